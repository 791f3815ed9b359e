package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipelineRun runs a pipeline over numbered slots whose stages take random virtual time.
type pipelineRun struct {
	seed     uint64
	chunks   int
	failNext int // chunk whose reading fails; -1 for none
	failWork map[int]func() error
	failEmit int
	emitted  []int
	inFlight atomic.Int64
	most     atomic.Int64
}

func (tr *pipelineRun) run(ctx context.Context, workers int) error {
	rng := rand.New(rand.NewPCG(tr.seed, 1))
	pause := func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond) }
	read := 0
	next := func(s *slot) error {
		pause(rng)
		defer func() { read++ }()
		if read == tr.failNext {
			return errors.New("read")
		}
		if read == tr.chunks {
			return io.EOF
		}
		tr.most.Store(max(tr.most.Load(), tr.inFlight.Add(1)))
		return nil
	}
	newWork := func() (func(*slot) error, error) {
		rng := rand.New(rand.NewPCG(tr.seed, 2))
		return func(s *slot) error {
			pause(rng)
			if f := tr.failWork[s.seq]; f != nil {
				return f()
			}
			return nil
		}, nil
	}
	emit := func(s *slot) error {
		if s.seq == tr.failEmit {
			return errors.New("emit")
		}
		tr.emitted = append(tr.emitted, s.seq)
		tr.inFlight.Add(-1)
		return nil
	}
	return runPipeline(ctx, workers, new(slotPool), next, newWork, emit)
}

func newPipelineRun(seed uint64, chunks int) *pipelineRun {
	return &pipelineRun{seed: seed, chunks: chunks, failNext: -1, failEmit: -1}
}

func (tr *pipelineRun) wantEmitted(t *testing.T, n int) {
	t.Helper()
	if len(tr.emitted) != n {
		t.Fatalf("emitted %d chunks, want %d", len(tr.emitted), n)
	}
	for i, seq := range tr.emitted {
		if seq != i {
			t.Fatalf("chunk %d was emitted at place %d", seq, i)
		}
	}
}

func TestPipelineKeepsOrderWithinItsBound(t *testing.T) {
	for _, workers := range []int{1, 2, 16} {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				tr := newPipelineRun(seed, 200)
				if err := tr.run(t.Context(), workers); err != nil {
					t.Fatal(err)
				}
				tr.wantEmitted(t, 200)
				if most := tr.most.Load(); most > int64(2*workers+2) {
					t.Fatalf("%d chunks in flight with %d workers", most, workers)
				}
			})
		}
	}
}

func TestPipelineReturnsEarliestError(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			tr := newPipelineRun(seed, 100)
			tr.failWork = map[int]func() error{}
			first := 100
			for range 5 {
				seq := rng.IntN(100)
				first = min(first, seq)
				if rng.IntN(2) == 0 {
					tr.failWork[seq] = func() error { return fmt.Errorf("work %d", seq) }
				} else {
					tr.failWork[seq] = func() error { panic(fmt.Sprintf("work %d", seq)) }
				}
			}
			err := tr.run(t.Context(), 4)
			tr.wantEmitted(t, first)
			var caught *PanicError
			want := fmt.Sprintf("chunk %d: work %d", first, first)
			if errors.As(err, &caught) {
				want = fmt.Sprintf("chunk %d: panic: work %d", first, first)
				if len(caught.Stack) == 0 {
					t.Fatal("a panic must keep its stack")
				}
			}
			if err == nil || err.Error() != want {
				t.Fatalf("error %v, want %q", err, want)
			}
		})
	}
}

func TestPipelineStopsOnReadAndEmitErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newPipelineRun(1, 50)
		tr.failNext = 7
		if err := tr.run(t.Context(), 3); err == nil || err.Error() != "chunk 7: read" {
			t.Fatalf("error %v", err)
		}
		tr.wantEmitted(t, 7)
	})
	synctest.Test(t, func(t *testing.T) {
		tr := newPipelineRun(1, 50)
		tr.failEmit = 9
		if err := tr.run(t.Context(), 3); err == nil || err.Error() != "chunk 9: emit" {
			t.Fatalf("error %v", err)
		}
		tr.wantEmitted(t, 9)
	})
}

// A panic or runtime.Goexit in emit ends one run, and all its goroutines have ended by then.
func TestPipelineRecoversPanicInEmit(t *testing.T) {
	idle := func(*slot) error { return nil }
	newWork := func() (func(*slot) error, error) { return idle, nil }
	for name, emit := range map[string]func(*slot) error{
		"panic": func(s *slot) error { panic("emit") },
		"exit":  func(s *slot) error { runtime.Goexit(); return nil },
	} {
		synctest.Test(t, func(t *testing.T) { // waits for all goroutines and fails on a deadlock
			var running atomic.Int64
			next := func(*slot) error {
				running.Add(1)
				defer running.Add(-1)
				time.Sleep(time.Millisecond)
				return nil
			}
			var err error
			ended := make(chan int64, 1)
			go func() {
				defer func() { ended <- running.Load() }()
				defer func() {
					if v := recover(); v != nil {
						err = fmt.Errorf("panic: %v", v)
					}
				}()
				err = runPipeline(context.Background(), 3, new(slotPool), next, newWork, emit)
			}()
			if n := <-ended; n != 0 {
				t.Errorf("%s: %d reads are under way", name, n)
			}
			synctest.Wait()
			var caught *PanicError
			if name == "panic" && (!errors.As(err, &caught) || caught.Value != "emit" || len(caught.Stack) == 0) {
				t.Errorf("%v", err)
			}
		})
	}
}

// synctest fails a test whose goroutines outlive it.
func TestPipelineCancelLeavesNoGoroutine(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(time.Duration(seed)*time.Millisecond, cancel)
			tr := newPipelineRun(seed, 1_000_000)
			if err := tr.run(ctx, 2); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestPipelineReturnsWorkerStartError(t *testing.T) {
	want := errors.New("no scorer")
	err := runPipeline(t.Context(), 2, new(slotPool), nil, func() (func(*slot) error, error) { return nil, want }, nil)
	if !errors.Is(err, want) {
		t.Fatalf("error %v", err)
	}
}

func BenchmarkPipelineOverhead(b *testing.B) {
	n := 0
	next := func(*slot) error {
		if n == b.N {
			return io.EOF
		}
		n++
		return nil
	}
	idle := func(*slot) error { return nil }
	b.ReportAllocs()
	err := runPipeline(b.Context(), 2, new(slotPool), next, func() (func(*slot) error, error) { return idle, nil }, idle)
	if err != nil {
		b.Fatal(err)
	}
}

// TestSlotPoolKeepsBuffersOnly expects nothing of an earlier run in a slot but the capacity of its buffers.
func TestSlotPoolKeepsBuffersOnly(t *testing.T) {
	pool := new(slotPool)
	used := &slot{seq: 7, buf: []byte("chunk"), err: io.EOF, done: make(chan struct{}, 1)}
	used.out.Result, used.out.Tally.Rows, used.out.ids = []byte("result"), 3, []uint64{1}
	pool.put(used)
	s := pool.get() // under the race detector a pool drops items at random
	if s.seq != 0 || s.err != nil || s.out.Tally.Rows != 0 || len(s.buf)+len(s.out.Result)+len(s.out.ids) != 0 {
		t.Errorf("the slot is not empty: %+v", s)
	}
	if s.done == nil || s.done == used.done {
		t.Error("the signal is not new")
	}
}
