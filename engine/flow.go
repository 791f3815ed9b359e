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
	running map[*chunkCounts]struct{}
}

// Depth is how full a stage is at this moment, in chunks.
type Depth struct {
	InFlight int64 // being worked on
	Queued   int64 // waiting in front of it
	Capacity int64 // how many may wait; 0: the stage has no queue
}

// chunkCounts is where the chunks of one scoring are. What is left in it when the scoring ends goes with it.
type chunkCounts struct {
	working, waiting [stages]atomic.Int64
	slots            int64
}

// start adds a scoring of so many slots until the result is called.
func (f *Flow) start(slots int) (p *chunkCounts, leave func()) {
	p = &chunkCounts{slots: int64(slots)}
	if f == nil {
		return p, func() {}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		f.running = map[*chunkCounts]struct{}{}
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

func (p *chunkCounts) enqueue(s Stage) { p.waiting[s].Add(1) }

func (p *chunkCounts) enter(s Stage) { p.working[s].Add(1) }

func (p *chunkCounts) leave(s Stage) { p.working[s].Add(-1) }

// dequeue moves a chunk from the queue of a stage into it.
func (p *chunkCounts) dequeue(s Stage) {
	p.waiting[s].Add(-1)
	p.enter(s)
}

// advance moves a chunk from one stage into the next.
func (p *chunkCounts) advance(from, to Stage) {
	p.leave(from)
	p.enter(to)
}
