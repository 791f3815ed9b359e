package engine

import (
	"sync"
	"time"
)

const (
	// Where urgent work wants its cores, a background worker works for a slice and rests for nine at most. So it gets a
	// tenth of a core whatever else goes on.
	backgroundSlice = 2 * time.Millisecond
	backgroundPause = 9 * backgroundSlice
	// urgentCores are left to each piece of urgent work: one for its rows, one for those that serve it.
	urgentCores = 2
	// yieldRows are written between two looks at what is urgent.
	yieldRows = 64
)

// Background is what scores that nobody waits for may take of a machine: they share its cores among themselves and rest
// where urgent work wants them. Where the system can, their threads step back as well. It may be used concurrently.
type Background struct {
	cores chan struct{} // a worker has an element in it while it works on a chunk

	mu     sync.Mutex
	urgent int           // pieces of work in hand
	idle   chan struct{} // closed when the last of them ends; nil before the first
	paused int           // workers in the middle of a chunk that do not work
	pauses int           // how often one of them stopped, in all
}

// NewBackground lets background scores take so many cores in all.
func NewBackground(cores int) *Background {
	return &Background{cores: make(chan struct{}, cores)}
}

// Urgent says that work begins for which somebody waits. done must be called once, when it ends. Of nil nobody wants to
// know.
func (b *Background) Urgent() (done func()) {
	if b == nil {
		return func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.urgent == 0 {
		b.idle = make(chan struct{})
	}
	b.urgent++
	return b.urgentDone
}

func (b *Background) urgentDone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.urgent--; b.urgent == 0 {
		close(b.idle)
	}
}

// BackgroundState is what goes on at a moment.
type BackgroundState struct {
	Urgent int // pieces of work that somebody waits for
	Paused int // workers in the middle of a chunk that make way
}

// State says what goes on now. Of nil it is nothing.
func (b *Background) State() BackgroundState {
	if b == nil {
		return BackgroundState{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return BackgroundState{b.urgent, b.paused}
}

// acquireCore waits for a core, which is held for one chunk only and no longer than its work takes.
func (b *Background) acquireCore() (giveBack func()) {
	b.cores <- struct{}{}
	return func() { <-b.cores }
}

// yield returns when a worker that was in the middle of a chunk may go on.
func (b *Background) yield() {
	calm := b.yieldCore()
	if calm == nil {
		return
	}
	timer := time.NewTimer(backgroundPause)
	defer timer.Stop()
	select {
	case <-calm:
	case <-timer.C:
	}
	b.mu.Lock()
	b.paused--
	b.mu.Unlock()
}

// yieldCore counts the worker as resting if urgent work wants its core, and gives what to wait for; nil if not.
func (b *Background) yieldCore() (calm <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if working := len(b.cores) - b.paused; working <= cap(b.cores)-urgentCores*b.urgent {
		return nil
	}
	b.paused++
	b.pauses++
	return b.idle
}

// throttle is one worker's turn of work and rest. That of other work than background work never rests.
type throttle struct {
	background *Background   // nil: somebody waits for this work
	since      time.Time     // when it began to work
	paused     time.Duration // since the last lap
}

// yield is called now and then in the middle of a chunk.
func (p *throttle) yield() {
	if p.background == nil || time.Since(p.since) < backgroundSlice {
		return
	}
	begin := time.Now()
	p.background.yield()
	p.since = time.Now()
	p.paused += p.since.Sub(begin)
}

// lap gives the time worked since the clock's last lap.
func (p *throttle) lap(clock *time.Time) time.Duration {
	worked := lap(clock) - p.paused
	p.paused = 0
	return worked
}
