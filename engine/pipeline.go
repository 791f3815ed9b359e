package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/retainwise/millrace/ingest"
)

// slot carries one chunk through the pipeline: its bytes on the way in, what was made of them on the way out. What must
// outlive a worker's step belongs to the slot, so nothing that is being written is reused.
type slot struct {
	seq   int
	buf   []byte // owned by the slot; the chunk's bytes lie in it
	chunk ingest.Chunk
	out   ScoredChunk
	err   error
	done  chan struct{} // capacity 1: signalled once per trip
}

// slotPool keeps the memory of slots from one run to the next: a megabyte of chunks makes eight of explained results, and
// fresh memory for them takes longer than what is written into it. The zero value is ready; the garbage collector empties
// it.
type slotPool struct{ sync.Pool }

func (p *slotPool) get() *slot {
	s, ok := p.Get().(*slot)
	if !ok {
		s = new(slot)
	}
	s.done = make(chan struct{}, 1)
	return s
}

// put takes a slot back that nobody uses any more. Only its buffers are kept: a tally is of one model and one header.
func (p *slotPool) put(s *slot) {
	p.Put(&slot{buf: s.buf[:0], out: ScoredChunk{
		Result: s.out.Result[:0], Rejects: s.out.Rejects[:0], Blocks: s.out.Blocks[:0],
		Sample: s.out.Sample[:0], ids: s.out.ids[:0],
	}})
}

// runPipeline moves slots through workers and emits them in input order.
//
// One goroutine calls next, workers goroutines call the functions that newWork returns, the caller's goroutine calls
// emit. At most 2*workers+2 slots exist, taken from the pool and given back. run returns when every goroutine has ended,
// with the error of the earliest chunk that failed: exactly the chunks before it were emitted.
func runPipeline(
	ctx context.Context, workers int, slots *slotPool,
	next func(*slot) error, newWork func() (func(*slot) error, error), emit func(*slot) error,
) error {
	works := make([]func(*slot) error, workers)
	for i := range works {
		work, err := newWork()
		if err != nil {
			return err
		}
		works[i] = work
	}
	ctx, cancel := context.WithCancel(ctx)
	p := newPipeline(slotsFor(workers), slots)
	var wg sync.WaitGroup
	defer func() { // also when emit ends this goroutine
		cancel()
		wg.Wait()
		for _, s := range p.slots {
			slots.put(s)
		}
	}()
	wg.Go(func() { p.read(ctx, next) })
	for _, work := range works {
		wg.Go(func() { p.work(ctx, work) })
	}
	return p.write(ctx, cancel, emit)
}

// slotsFor bounds the chunks in memory: one in hand and one waiting for each worker, one being read, one being written.
func slotsFor(workers int) int { return 2*workers + 2 }

// pipeline is the three queues between the stages. Each holds every slot, so only an empty free list makes anyone wait.
type pipeline struct {
	free, queue, order chan *slot
	slots              []*slot
}

func newPipeline(slots int, pool *slotPool) *pipeline {
	p := &pipeline{
		free:  make(chan *slot, slots),
		queue: make(chan *slot, slots),
		order: make(chan *slot, slots),
	}
	for range slots {
		s := pool.get()
		p.slots = append(p.slots, s)
		p.free <- s
	}
	return p
}

// read fills slots until the input ends, fails or the context is done.
func (p *pipeline) read(ctx context.Context, next func(*slot) error) {
	defer close(p.order)
	defer close(p.queue)
	for seq := 0; ; seq++ {
		var s *slot
		select {
		case <-ctx.Done():
			return
		case s = <-p.free:
		}
		s.seq = seq
		s.err = guarded(next, s)
		if errors.Is(s.err, io.EOF) {
			return
		}
		p.order <- s
		if s.err != nil {
			s.done <- struct{}{}
			return
		}
		p.queue <- s
	}
}

func (p *pipeline) work(ctx context.Context, work func(*slot) error) {
	for s := range p.queue {
		if s.err = ctx.Err(); s.err == nil {
			s.err = guarded(work, s)
		}
		s.done <- struct{}{}
	}
}

// write emits slots in input order. Only here is the context cancelled, so the error kept is the earliest chunk's.
func (p *pipeline) write(ctx context.Context, cancel context.CancelFunc, emit func(*slot) error) error {
	var kept error
	for s := range p.order {
		<-s.done
		if kept != nil {
			continue
		}
		if kept = ctx.Err(); kept != nil {
			continue
		}
		err := s.err
		if err == nil {
			err = guarded(emit, s)
		}
		if err != nil {
			kept = fmt.Errorf("chunk %d: %w", s.seq, err)
			cancel()
			continue
		}
		p.free <- s
	}
	if kept == nil {
		kept = ctx.Err()
	}
	return kept
}

// PanicError is a panic caught in a stage; it fails one prediction, not the process.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded calls f and turns a panic into its error.
func guarded(f func(*slot) error, s *slot) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(s)
}
