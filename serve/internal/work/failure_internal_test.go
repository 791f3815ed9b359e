package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// What is the file's own fault fails at once; what may pass is tried again.
func TestFailure_PermanentOnlyForFileErrors(t *testing.T) {
	limit := int64(3)
	for _, test := range []struct {
		err       error
		code      string
		permanent bool
	}{
		{atStage(stageScore, &engine.PanicError{Value: "x"}), "ERR-1102", false},
		{atStage(stagePanic, errors.New("panic: x")), "ERR-1102", false},
		{atStage(stageScore, &ingest.QuoteError{Line: 3}), "ERR-1009", true},
		{atStage(stagePlan, ingest.ErrEmpty), "ERR-1005", true},
		{atStage(stagePlan, &ingest.MissingColumnsError{}), "ERR-1004", true},
		{atStage(stageScore, &engine.BudgetError{Budget: engine.Budget{MaxRejected: &limit}}), "ERR-1107", true},
		{atStage(stageScore, plan.ErrModelWithdrawn), "ERR-1702", true},
		{atStage(stageRead, store.ErrNotFound), "ERR-1110", true},
		{atStage(stageScore, fmt.Errorf("resume: %w", store.ErrNotFound)), "ERR-1110", true},
		{atStage(stageFinish, asPartObjectsLost(store.ErrNotFound)), "ERR-1110", true},
		{atStage(stageFinish, asPartObjectsLost(objects.ErrChanged)), "ERR-1110", true},
		{storefault.ObjectRefused(errors.New("x")), "ERR-1506", false},
		{atStage(stageRead, objects.ErrChanged), "ERR-1015", true},
		{atStage(stageRead, objects.ErrDamaged), "ERR-1502", false},
		{atStage(stageFinish, asPartObjectsLost(objects.ErrDamaged)), "ERR-1502", false},
		{atStage(stageRead, errors.New("reset")), "ERR-1502", false},
		{atStage(stageWrite, errors.New("reset")), "ERR-1502", false},
		{atStage(stageCommit, errors.New("reset")), "ERR-1501", false},
		{atStage(stageCommit, store.ErrAccounting), "ERR-1504", false},
		{atStage(stageFinish, errors.New("reset")), "ERR-1501", false},
	} {
		f := failureOf(new(store.Claim), test.err)
		if f.Code != test.code || f.Permanent != test.permanent || f.Message == "" || f.Stage == "" {
			t.Errorf("%v: %+v", test.err, f)
		}
	}
}

// A dropped file that was removed before it was scored is the customer's fault.
func TestFailure_DroppedFileMissing(t *testing.T) {
	c := &store.Claim{ObjectKey: objects.InboxPrefix + "u/march.csv"}
	if f := failureOf(c, atStage(stageRead, store.ErrNotFound)); f.Code != "ERR-1014" || !f.Permanent {
		t.Errorf("%+v", f)
	}
}

// endLedger notes how a claim ended.
type endLedger struct {
	ledger
	end string
}

func (l *endLedger) PostponePart(_ context.Context, _ *store.Claim, p store.Postponement) error {
	l.end = fmt.Sprintf("postponed, refused %t", p.Refused)
	return nil
}

func (l *endLedger) FailPart(_ context.Context, _ *store.Claim, f store.Failure) error {
	l.end = fmt.Sprintf("failed with %s, permanent %t", f.Code, f.Permanent)
	return nil
}

func (l *endLedger) Restart(context.Context, *store.Claim, store.Failure) error {
	l.end = "restarted"
	return nil
}

// Damaged bytes postpone a part for as long as a refusal, and never cost it an attempt; what parts have left is made anew
// when it stays damaged.
func TestRecordEnd_DamagedBytes(t *testing.T) {
	read, joined := atStage(stageRead, objects.ErrDamaged), atStage(stageFinish, asPartObjectsLost(objects.ErrDamaged))
	for _, test := range []struct {
		err       error
		refused   bool
		postponed time.Duration
		result    string
		end       string
	}{
		{read, false, 0, "damaged", "postponed, refused true"},
		{read, false, 48 * time.Hour, "damaged", "postponed, refused true"}, // in an outage
		{read, true, 23 * time.Hour, "damaged", "postponed, refused true"},
		{read, true, 24 * time.Hour, "failed", "failed with ERR-1502, permanent true"},
		{joined, false, 2 * time.Minute, "damaged", "postponed, refused true"},
		{joined, true, 59 * time.Second, "damaged", "postponed, refused true"},
		{joined, true, time.Minute, "restarted", "restarted"},
	} {
		l := new(endLedger)
		w := &Worker{
			ledger: l, metrics: metrics.NewMetrics(), log: slog.New(slog.DiscardHandler),
			config: Config{PostponeMax: postponeMax},
		}
		c := &store.Claim{Refused: test.refused, Postponed: test.postponed}
		result, err := w.recordEnd(t.Context(), c, test.err)
		if err != nil || result != test.result || l.end != test.end {
			t.Errorf("%v after %s: %s, %s, %v; want %s, %s", test.err, test.postponed, result, l.end, err, test.result, test.end)
		}
	}
}

// plentyLedger has always another part.
type plentyLedger struct {
	ledger
	claimed, postponed int
}

func (l *plentyLedger) claim(context.Context) (*store.Claim, error) {
	l.claimed++
	return &store.Claim{Lease: 30 * time.Second}, nil
}

func (l *plentyLedger) PostponePart(context.Context, *store.Claim, store.Postponement) error {
	l.postponed++
	return nil
}

// In an outage a loop backs off, and does not postpone one part after the other as fast as the database allows.
func TestWorker_BacksOffInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(plentyLedger)
		w := &Worker{
			ledger: l, metrics: metrics.NewMetrics(), log: slog.New(slog.DiscardHandler), places: make(places, 1),
			runStep: func(context.Context, *store.Claim) (*store.Claim, error) { return nil, objects.ErrInterrupted },
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w.loop(ctx, ctx, slots{1, make(chan struct{}, 1), l.claim})
		if l.postponed != l.claimed || l.claimed < 30 || l.claimed > 120 {
			t.Errorf("%d parts claimed, %d postponed within a minute", l.claimed, l.postponed)
		}
	})
}
