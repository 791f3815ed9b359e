package work

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// slowObjects takes longer to delete than a lease goes without being renewed.
type slowObjects struct {
	objects.Store
	delay time.Duration
}

func (o slowObjects) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.delay):
		return o.Store.Delete(ctx, why, keys...)
	}
}

// The lease ends with the publication, which the next renewal finds out. What is cleaned up behind it goes on.
func TestFinish_DeletesPartObjectsAfterLease(t *testing.T) {
	const lease = 300 * time.Millisecond
	s := storetest.Open(t, store.Config{Lease: lease})
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	models, err := plan.OpenModels("", "", metrics.NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
		strings.Repeat("A-1,1,29.85,29.85,Month-to-month\n", 3000)
	queueFile(t, s, o, models, file)
	slow := slowObjects{o, lease}
	key, err := customer.NewKey(make([]byte, customer.SecretMin))
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Name: "w", CustomerKey: key}
	kept := plan.NewKeptModels(plan.KeptParts{
		Registry: models.Registry, Models: s.Models, Objects: slow, Metrics: metrics.NewMetrics(),
	})
	w := New(config, s.Ledger, slow, kept, metrics.NewMetrics(), slog.New(slog.DiscardHandler))
	for {
		c, err := s.Ledger.ClaimPart(t.Context(), "w")
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			break
		}
		w.attempt(t.Context(), c)
	}
	var keys []string
	for info, err := range o.List(t.Context(), "results/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
		if strings.Contains(info.Key, "/parts/") {
			t.Errorf("left over: %s", info.Key)
		}
	}
	if len(keys) < 2 {
		t.Errorf("objects: %v", keys)
	}
}

// queueFile records an upload in several parts.
func queueFile(t *testing.T, s *store.Store, o objects.Store, m *plan.Models, file string) {
	t.Helper()
	user, err := s.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	planner, err := ingest.NewPlanner(strings.NewReader(file), ingest.Limits{PartBytes: 32 << 10, ChunkBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	u := store.NewUpload{ID: store.NewID(), UserID: user.ID, SHA256: sha256.Sum256([]byte(file)), Explain: "none"}
	u.ObjectKey = objects.InputKey(u.ID)
	info, err := o.Put(t.Context(), u.ObjectKey, planner)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := m.Registry.Choose(planner.Header())
	if err != nil {
		t.Fatal(err)
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	u.ObjectETag, u.Bytes, u.Rows, u.Header = info.ETag, plan.Bytes, plan.Rows, plan.Header
	u.Parts, u.Model = plan.Parts, plan.Model
	if len(u.Parts) < 3 {
		t.Fatalf("%d parts", len(u.Parts))
	}
	if _, err := s.Predictions.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}
