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

// slot carries one chunk through the pipeline: its bytes first, then its results. It owns all memory that must stay
// valid after a worker's step, so no buffer is reused while it is being written.
type slot struct {
	seq   int
	buf   []byte // holds the chunk's bytes
	chunk ingest.Chunk
	out   ScoredChunk
	err   error
	done  chan struct{} // capacity 1: signalled once per chunk
}

// slotPool reuses the memory of slots between scores: a chunk of 1 MiB has explained results of 8 MiB, and allocating
// them takes longer than writing them. The zero value is ready to use. The garbage collector may empty the pool.
type slotPool struct{ sync.Pool }

func (p *slotPool) get() *slot {
	s, ok := p.Get().(*slot)
	if !ok {
		s = new(slot)
	}
	s.done = make(chan struct{}, 1)
	return s
}

// put takes back a slot that is no longer in use. It keeps the buffers only, as a tally belongs to one model and one
// header.
func (p *slotPool) put(s *slot) {
	p.Put(&slot{buf: s.buf[:0], out: ScoredChunk{
		Result: s.out.Result[:0], Rejects: s.out.Rejects[:0], Blocks: s.out.Blocks[:0],
		Sample: s.out.Sample[:0], ids: s.out.ids[:0],
	}})
}

// runPipeline moves slots through workers and emits them in input order.
//
// One goroutine calls next, workers goroutines call the functions that newWork returns, the caller's goroutine calls
// emit. At most 2*workers+2 slots exist; they come from the pool and return to it. runPipeline returns when every goroutine
// has ended, with the error of the earliest chunk that failed: exactly the chunks before it were emitted. A panic in any
// of the three functions is a [*PanicError].
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

// slotsFor bounds the chunks in memory: one in progress and one waiting per worker, one being read and one being
// written.
func slotsFor(workers int) int { return 2*workers + 2 }

// pipeline holds the three queues between the stages. Each has the capacity for every slot, so only an empty free list
// blocks.
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

// read fills slots until the input ends, reading fails or the context is done.
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

// write emits slots in input order. Nothing else cancels the context, so the error kept is that of the earliest chunk.
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

// PanicError is a panic recovered in a stage. It fails one score instead of the process.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded calls f and returns a panic as a [*PanicError].
func guarded(f func(*slot) error, s *slot) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(s)
}
