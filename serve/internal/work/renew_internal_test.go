package work

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
)

// silentLedger answers no renewal for the time of silence. Then another worker has the part.
type silentLedger struct {
	ledger
	silence            time.Duration
	postponed, renewed int
	acquitted          int
}

func (l *silentLedger) RenewLease(ctx context.Context, _ *store.Claim) error {
	l.renewed++
	silence, cancel := context.WithTimeout(ctx, l.silence)
	defer cancel()
	begin := time.Now()
	<-silence.Done()
	if l.silence -= time.Since(begin); l.silence > 0 {
		return ctx.Err()
	}
	return store.ErrLeaseLost
}

func (l *silentLedger) PostponePart(context.Context, *store.Claim, store.Postponement) error {
	l.postponed++
	return store.ErrLeaseLost
}

func (l *silentLedger) Acquit(context.Context, *store.Claim) error {
	l.acquitted++
	return nil
}

// A connection that goes silent neither keeps a worker from asking again nor costs an attempt, though the lease ends
// meanwhile. A lease that was lost while the database answered is another matter.
func TestRenew_LeaseLostInOutage(t *testing.T) {
	for _, test := range []struct {
		silence            time.Duration
		postponed, renewed int
	}{
		{silence: time.Minute, postponed: 1, renewed: 6},
		{silence: 0, postponed: 0, renewed: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &silentLedger{silence: test.silence}
			w := &Worker{
				ledger: l, metrics: metrics.NewMetrics(), log: slog.New(slog.DiscardHandler),
				runStep: func(ctx context.Context, _ *store.Claim) (*store.Claim, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				},
			}
			w.attempt(t.Context(), &store.Claim{Lease: 30 * time.Second})
			if l.postponed != test.postponed || l.renewed != test.renewed || l.acquitted != 1 {
				t.Errorf("silent for %s: renewed %d times, postponed %d times, acquitted %d times", test.silence, l.renewed,
					l.postponed, l.acquitted)
			}
		})
	}
}
