package work

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// fullOnce is an object store whose disk is full at one call, the nth from when left is set to n.
type fullOnce struct {
	objects.Store
	left atomic.Int64
}

func (o *fullOnce) fail(op string) error {
	if o.left.Add(-1) == 0 {
		return &fs.PathError{Op: op, Err: syscall.ENOSPC}
	}
	return nil
}

func (o *fullOnce) Put(ctx context.Context, key string, r io.Reader) (objects.Info, error) {
	if err := o.fail("put"); err != nil {
		return objects.Info{}, err
	}
	return o.Store.Put(ctx, key, r)
}

func (o *fullOnce) Get(ctx context.Context, key string, r objects.Range, ifMatch string) (io.ReadCloser, objects.Info, error) {
	if err := o.fail("get"); err != nil {
		return nil, objects.Info{}, err
	}
	return o.Store.Get(ctx, key, r, ifMatch)
}

func (o *fullOnce) Head(ctx context.Context, key string) (objects.Info, error) {
	if err := o.fail("head"); err != nil {
		return objects.Info{}, err
	}
	return o.Store.Head(ctx, key)
}

func (o *fullOnce) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	if err := o.fail("list"); err != nil {
		return func(yield func(objects.Info, error) bool) { yield(objects.Info{}, err) }
	}
	return o.Store.List(ctx, prefix)
}

func (o *fullOnce) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	if err := o.fail("delete"); err != nil {
		return err
	}
	return o.Store.Delete(ctx, why, keys...)
}

func (o *fullOnce) Compose(ctx context.Context, dst string, parts []objects.Source) (objects.Info, error) {
	if err := o.fail("compose"); err != nil {
		return objects.Info{}, err
	}
	return o.Store.Compose(ctx, dst, parts)
}

// finishThrough works until nothing is left, whatever is unavailable meanwhile. What was postponed is due at once.
func (s *swap) finishThrough(w *Worker) {
	s.Helper()
	for idle := 0; idle < 2; {
		c, err := w.claim(s.Context())
		switch {
		case err != nil && !store.Unavailable(err):
			s.Fatal(err)
		case err != nil:
		case c != nil:
			idle = 0
			w.attempt(s.Context(), c)
		default:
			idle++
			storetest.Exec(s, s.url, `UPDATE prediction_parts SET lease_until = '-infinity' WHERE status = 'open'`)
			storetest.Exec(s, s.url, `UPDATE predictions SET finish_lease_until = '-infinity' WHERE finish_due`)
		}
	}
}

// outcome is what customers see of a prediction that has ended.
func (s *swap) outcome(p store.Prediction) string {
	s.Helper()
	p = s.reload(p)
	text := fmt.Sprintf("%s, %d scored, %d rejected", p.Status, p.Scored, p.Rejected)
	for _, key := range []string{p.ResultKey, p.RejectsKey} {
		if key == "" {
			continue
		}
		body, _, err := s.objects.Get(s.Context(), key, objects.Range{}, "")
		if err != nil {
			s.Fatal(err)
		}
		content, err := io.ReadAll(body)
		if _ = body.Close(); err != nil {
			s.Fatal(err)
		}
		text += "\n" + string(content)
	}
	return text
}

// wantUncharged fails the test if an attempt was charged.
func (s *swap) wantUncharged(when string) {
	s.Helper()
	got := storetest.Ask(s, s.url, `SELECT (SELECT count(*) FROM prediction_failures) || ' ' || max(attempts) FROM prediction_parts`)
	if got != "0 1" {
		s.Errorf("%s: failures, and most attempts at a part: %s", when, got)
	}
}

// wantOutagesHarmless has predictions worked on by processes of remote, with an outage at the first step, the second, and so
// on, until the work is over before it begins: all end in the same bytes.
func (s *swap) wantOutagesHarmless(c outageCase, remote *swap, outage *atomic.Int64) {
	s.Helper()
	if !c.loads { // several parts of a small file
		s.limits.PartBytes, s.limits.ChunkBytes = 8<<10, 1<<10
		remote.limits = s.limits
	}
	bundle := s.bundle(nil)
	owner := s.process(bundle)
	newWorker := func() *Worker {
		if c.loads {
			return remote.process()
		}
		return remote.process(bundle)
	}
	s.finishThrough(owner)
	start := func() store.Prediction { return c.start(s, owner) }
	start() // the next ones are compared with one before
	s.finishThrough(newWorker())
	undisturbed := start()
	s.finishThrough(newWorker())
	want := s.outcome(undisturbed)
	for n := int64(1); n < 500; n++ {
		p, w := start(), newWorker()
		outage.Store(n)
		s.finishThrough(w)
		met := outage.Swap(0) <= 0
		if got := s.outcome(p); got != want {
			s.Fatalf("outage at step %d: %.200s\nwant %.200s", n, got, want)
		}
		s.wantUncharged(fmt.Sprintf("outage at step %d", n))
		if met {
			continue
		}
		if n < c.steps {
			s.Errorf("only %d steps", n)
		}
		return
	}
	s.Error("no end")
}

// outageCase brings a prediction to where a worker takes over.
type outageCase struct {
	start func(s *swap, owner *Worker) store.Prediction
	loads bool  // the worker has not the model in memory
	steps int64 // that there are at least, of either kind
}

var outageCases = map[string]outageCase{
	"dropped": {start: func(s *swap, _ *Worker) store.Prediction {
		return s.drop(file(400) + strings.Repeat("A-3,many,29.85,29.85,Month-to-month\n", 6))
	}, steps: 10},
	"cancelled": {start: func(s *swap, owner *Worker) store.Prediction {
		return swapStates[len(swapStates)-1].run(s, owner, nil)
	}, loads: true, steps: 6},
}

// TestWorker_DatabaseLostAnywhere breaks the connections to the database in place of each of a worker's statements.
func TestWorker_DatabaseLostAnywhere(t *testing.T) {
	for name, c := range outageCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := objects.OpenDirectory(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := newSwap(t, o)
			toDatabase, through := storetest.NewProxy(t, s.url)
			var left atomic.Int64
			remote := *s
			remote.store = storetest.Open(t, store.Config{URL: through, Trace: func(string, []any) {
				if left.Add(-1) == 0 {
					toDatabase.Cut()
					if err := toDatabase.Restore(); err != nil {
						t.Error(err)
					}
				}
			}})
			s.wantOutagesHarmless(c, &remote, &left)
		})
	}
}

// TestWorker_ObjectStoreFailsAnywhere has each of a worker's calls to the object store fail once.
func TestWorker_ObjectStoreFailsAnywhere(t *testing.T) {
	for name, c := range outageCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := objects.OpenDirectory(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := newSwap(t, o)
			remote, failing := *s, &fullOnce{Store: o}
			remote.objects = failing
			s.wantOutagesHarmless(c, &remote, &failing.left)
		})
	}
}
