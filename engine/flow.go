package engine

import (
	"sync"
	"sync/atomic"
)

// Stage is a step of the data path.
type Stage int

// The stages in the order in which a chunk passes them. A worker takes a chunk from parse to encode without a
// queue in between, so only parse and put have one.
const (
	StageChunk Stage = iota
	StageParse
	StageScore
	StageExplain
	StageEncode
	StagePut
	stages
)

// Flow counts the chunks in every stage, over all scores that have it in their [Options]. The zero value is ready to
// use; a nil Flow counts nothing. Flow is safe for concurrent use and costs a few atomic additions per chunk.
type Flow struct {
	mu      sync.Mutex
	running map[*chunkCounts]struct{}
}

// Depth is the number of chunks in and before a stage.
type Depth struct {
	InFlight int64 // being processed
	Queued   int64 // waiting for the stage
	Capacity int64 // size of the queue; 0 if the stage has none
}

// chunkCounts counts the chunks of one score by stage. It is dropped when the score ends.
type chunkCounts struct {
	working, waiting [stages]atomic.Int64
	slots            int64
}

// start registers a score with the given number of slots. The caller must call leave when it ends.
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

// Depth returns the depth of a stage, summed over the running scores. f must not be nil.
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

// dequeue moves a chunk from the queue of a stage into the stage.
func (p *chunkCounts) dequeue(s Stage) {
	p.waiting[s].Add(-1)
	p.enter(s)
}

// advance moves a chunk from one stage to the next.
func (p *chunkCounts) advance(from, to Stage) {
	p.leave(from)
	p.enter(to)
}
