package engine

import (
	"sync"
	"time"
)

const (
	// While urgent work wants its cores, a background worker alternates between one slice of work and a pause of up to
	// nine slices, so that it always keeps about a tenth of a core.
	backgroundSlice = 2 * time.Millisecond
	backgroundPause = 9 * backgroundSlice
	// urgentCores are reserved for each urgent task: one scores its rows, the other serves its connections.
	urgentCores = 2
	// yieldRows is the number of result rows written between two calls of throttle.yield.
	yieldRows = 64
)

// Background limits the cores used by low-priority scoring and yields them to urgent work in the middle of a chunk. On
// Linux the threads of background workers also run at a lower priority. Background is safe for concurrent use. A nil
// *Background counts no urgent work; use [NewBackground] to make one.
type Background struct {
	cores chan struct{} // semaphore: one element per worker that has a chunk

	mu     sync.Mutex
	urgent int           // urgent tasks in progress
	idle   chan struct{} // closed when the last urgent task ends; nil before the first one
	paused int           // workers that are paused in the middle of a chunk
	pauses int           // total number of pauses, for tests
}

// NewBackground returns a Background whose scores use at most the given number of cores in total. cores must be above
// 0.
func NewBackground(cores int) *Background {
	return &Background{cores: make(chan struct{}, cores)}
}

// Urgent marks the start of latency-sensitive work. The caller must call done exactly once, when that work ends. On a
// nil Background both do nothing.
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

// BackgroundState is a snapshot of a [Background], for metrics.
type BackgroundState struct {
	Urgent int // urgent tasks in progress
	Paused int // workers paused in the middle of a chunk
}

// State returns the current state; the zero state for a nil Background.
func (b *Background) State() BackgroundState {
	if b == nil {
		return BackgroundState{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return BackgroundState{b.urgent, b.paused}
}

// acquireCore blocks until a core is free. The caller holds it for one chunk only and must call release.
func (b *Background) acquireCore() (giveBack func()) {
	b.cores <- struct{}{}
	return func() { <-b.cores }
}

// yield pauses the calling worker, which is in the middle of a chunk, while urgent work wants its core: until the last
// urgent task ends, but for backgroundPause at most.
func (b *Background) yield() {
	idle := b.yieldCore()
	if idle == nil {
		return
	}
	timer := time.NewTimer(backgroundPause)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	b.mu.Lock()
	b.paused--
	b.mu.Unlock()
}

// yieldCore counts the worker as paused and returns the channel that ends the pause; nil if the worker may keep its
// core.
func (b *Background) yieldCore() (idle <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if working := len(b.cores) - b.paused; working <= cap(b.cores)-urgentCores*b.urgent {
		return nil
	}
	b.paused++
	b.pauses++
	return b.idle
}

// throttle alternates work and pauses of one worker. It belongs to one goroutine. Without a Background it never pauses.
type throttle struct {
	background *Background   // nil: the work is not throttled
	since      time.Time     // start of the current slice of work
	paused     time.Duration // time spent in pauses since the last lap
}

// yield pauses if the current slice is used up and urgent work wants the core. Workers call it between rows.
func (p *throttle) yield() {
	if p.background == nil || time.Since(p.since) < backgroundSlice {
		return
	}
	begin := time.Now()
	p.background.yield()
	p.since = time.Now()
	p.paused += p.since.Sub(begin)
}

// lap returns the time since the last lap without the pauses, and restarts the clock.
func (p *throttle) lap(clock *time.Time) time.Duration {
	worked := lap(clock) - p.paused
	p.paused = 0
	return worked
}
