package place

import (
	"sync"
	"time"
)

// meterWindow is the time over which a rate is taken, once or twice.
const meterWindow = 5 * time.Second

// Meter measures how many bytes a client moves in a second, over the last five to ten seconds. A nil *Meter moves none. It
// is safe for concurrent use.
type Meter struct {
	mu       sync.Mutex
	since    time.Time // of now
	now, was int64     // bytes of this window and of the one before
}

// Add counts bytes that were moved.
func (m *Meter) Add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(time.Now())
	m.now += int64(n)
}

// Rate returns bytes a second.
func (m *Meter) Rate(now time.Time) float64 {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	return float64(m.was+m.now) / (meterWindow + max(0, now.Sub(m.since))).Seconds()
}

// turn begins the next window when this one is over.
func (m *Meter) turn(now time.Time) {
	switch passed := now.Sub(m.since); {
	case passed < meterWindow:
	case passed < 2*meterWindow:
		m.since, m.was, m.now = m.since.Add(meterWindow), m.now, 0
	default:
		m.since, m.was, m.now = now, 0, 0
	}
}
