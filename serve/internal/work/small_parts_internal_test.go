package work

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
)

// The parts of small files are urgent as long as they are in hand, those of large ones never.
func TestWorker_SmallPartsPreemptBackground(t *testing.T) {
	for _, small := range []bool{true, false} {
		w := New(Config{Cores: 1}, nil, nil, nil, metrics.NewMetrics(), slog.New(slog.DiscardHandler))
		urgent := -1
		w.runStep = func(_ context.Context, c *store.Claim) (*store.Claim, error) {
			urgent = w.Background.State().Urgent
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
		if after := w.Background.State().Urgent; after != 0 {
			t.Errorf("small %v: %d urgent when it was done", small, after)
		}
		if b := w.backgroundFor(&store.Claim{Small: small}); (b == nil) != small {
			t.Errorf("small %v: in the background: %v", small, b != nil)
		}
	}
}
