package engine

import (
	"sync"
	"time"
)

const (
	// Where urgent work wants its cores, a background worker works for a slice and rests for nine at most. So it gets a
	// tenth of a core whatever else goes on.
	backgroundSlice = 2 * time.Millisecond
	backgroundRest  = 9 * backgroundSlice
	// urgentCores are left to each piece of urgent work: one for its rows, one for those that serve it.
	urgentCores = 2
	// restRows are written between two looks at what is urgent.
	restRows = 64
)

// Background is what scores that nobody waits for may take of a machine: they share its cores among themselves and rest
// where urgent work wants them. Where the system can, their threads step back as well. It may be used concurrently.
type Background struct {
	cores chan struct{} // a worker has an element in it while it works on a chunk

	mu      sync.Mutex
	urgent  int           // pieces of work in hand
	calm    chan struct{} // closed when the last of them ends; nil before the first
	resting int           // workers in the middle of a chunk that do not work
	rests   int           // how often one of them stopped, in all
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
		b.calm = make(chan struct{})
	}
	b.urgent++
	return b.urgentDone
}

func (b *Background) urgentDone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.urgent--; b.urgent == 0 {
		close(b.calm)
	}
}

// BackgroundState is what goes on at a moment.
type BackgroundState struct {
	Urgent  int // pieces of work that somebody waits for
	Resting int // workers in the middle of a chunk that make way
}

// State says what goes on now. Of nil it is nothing.
func (b *Background) State() BackgroundState {
	if b == nil {
		return BackgroundState{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return BackgroundState{b.urgent, b.resting}
}

// takeCore waits for a core, which is held for one chunk only and no longer than its work takes.
func (b *Background) takeCore() (giveBack func()) {
	b.cores <- struct{}{}
	return func() { <-b.cores }
}

// rest returns when a worker that was in the middle of a chunk may go on.
func (b *Background) rest() {
	calm := b.giveUpCore()
	if calm == nil {
		return
	}
	timer := time.NewTimer(backgroundRest)
	defer timer.Stop()
	select {
	case <-calm:
	case <-timer.C:
	}
	b.mu.Lock()
	b.resting--
	b.mu.Unlock()
}

// giveUpCore counts the worker as resting if urgent work wants its core, and gives what to wait for; nil if not.
func (b *Background) giveUpCore() (calm <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if working := len(b.cores) - b.resting; working <= cap(b.cores)-urgentCores*b.urgent {
		return nil
	}
	b.resting++
	b.rests++
	return b.calm
}

// pace is one worker's turn of work and rest. That of other work than background work never rests.
type pace struct {
	background *Background   // nil: somebody waits for this work
	since      time.Time     // when it began to work
	rested     time.Duration // since the last lap
}

// rest is called now and then in the middle of a chunk.
func (p *pace) rest() {
	if p.background == nil || time.Since(p.since) < backgroundSlice {
		return
	}
	begin := time.Now()
	p.background.rest()
	p.since = time.Now()
	p.rested += p.since.Sub(begin)
}

// lap gives the time worked since the clock's last lap.
func (p *pace) lap(clock *time.Time) time.Duration {
	worked := lap(clock) - p.rested
	p.rested = 0
	return worked
}
