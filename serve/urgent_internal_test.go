package serve

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// The parts of small files are urgent as long as they are in hand, those of large ones never.
func TestSmallPartsAreUrgent(t *testing.T) {
	for _, small := range []bool{true, false} {
		w := newWorker(WorkerConfig{Cores: 1}, nil, nil, nil, NewMetrics(), slog.New(slog.DiscardHandler))
		urgent := -1
		w.work = func(_ context.Context, c *store.Claim) (*store.Claim, error) {
			urgent = w.background.State().Urgent
			return nil, nil
		}
		w.attempt(t.Context(), &store.Claim{Small: small, Lease: time.Minute})
		want := 0
		if small {
			want = 1
		}
		if urgent != want {
			t.Errorf("small %v: %d urgent, want %d", small, urgent, want)
		}
		if after := w.background.State().Urgent; after != 0 {
			t.Errorf("small %v: %d urgent when it was done", small, after)
		}
		if b := w.backgroundFor(&store.Claim{Small: small}); (b == nil) != small {
			t.Errorf("small %v: in the background: %v", small, b != nil)
		}
	}
}

func TestSmallUploadsAreUrgent(t *testing.T) {
	for length, want := range map[int]int{0: 1, 100: 1, store.SmallBytesMax: 1, store.SmallBytesMax + 1: 0, -1: 0} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{Parts: Parts{Background: engine.NewBackground(1)}}
			urgent := func() int { return s.Background.State().Urgent }
			r := &request{rc: &fasthttp.RequestCtx{}}
			r.rc.Request.Header.SetContentLength(length)
			done := s.urgent(r)
			if urgent() != want {
				t.Errorf("%d bytes: %d urgent, want %d", length, urgent(), want)
			}
			done()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent at the end", length, urgent())
			}
			done = s.urgent(r) // and one that takes long
			time.Sleep(urgentMax)
			synctest.Wait()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent for ever", length, urgent())
			}
			done()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent after its time and its end", length, urgent())
			}
		})
	}
}
