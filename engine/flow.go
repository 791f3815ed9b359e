package engine

import (
	"sync"
	"sync/atomic"
)

// Stage is a step of the data path.
type Stage int

// The stages in the order in which a chunk passes them. Parse to encode are one trip on one core, so only parse and put
// have a queue in front of them.
const (
	StageChunk Stage = iota
	StageParse
	StageScore
	StageExplain
	StageEncode
	StagePut
	stages
)

// Flow knows where the chunks of all scorings are that were given it. The zero value is ready. It is safe for
// concurrent use. It costs a few atomic additions a chunk; nil costs the same and shows nobody anything.
type Flow struct {
	mu      sync.Mutex
	running map[*places]struct{}
}

// Depth is how full a stage is at this moment, in chunks.
type Depth struct {
	InFlight int64 // being worked on
	Queued   int64 // waiting in front of it
	Capacity int64 // how many may wait; 0: the stage has no queue
}

// places is where the chunks of one scoring are. What is left in it when the scoring ends goes with it.
type places struct {
	working, waiting [stages]atomic.Int64
	slots            int64
}

// join adds a scoring of so many slots until the result is called.
func (f *Flow) join(slots int) (p *places, leave func()) {
	p = &places{slots: int64(slots)}
	if f == nil {
		return p, func() {}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		f.running = map[*places]struct{}{}
	}
	f.running[p] = struct{}{}
	return p, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.running, p)
	}
}

// Depth sums a stage over the scorings under way.
func (f *Flow) Depth(s Stage) (d Depth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.running {
		d.InFlight += p.working[s].Load()
		d.Queued += p.waiting[s].Load()
		if s == StageParse || s == StagePut {
			d.Capacity += p.slots
		}
	}
	return d
}

func (p *places) queue(s Stage) { p.waiting[s].Add(1) }

func (p *places) enter(s Stage) { p.working[s].Add(1) }

func (p *places) leave(s Stage) { p.working[s].Add(-1) }

// take moves a chunk from the queue of a stage into it.
func (p *places) take(s Stage) {
	p.waiting[s].Add(-1)
	p.enter(s)
}

// pass moves a chunk from one stage into the next.
func (p *places) pass(from, to Stage) {
	p.leave(from)
	p.enter(to)
}
