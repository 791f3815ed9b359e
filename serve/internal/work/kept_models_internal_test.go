package work

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/plan/plantest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// swap is an installation whose processes have different bundles under the name mine.
type swap struct {
	*testing.T
	store   *store.Store
	objects objects.Store
	url     string
	user    store.User
	limits  ingest.Limits
}

func newSwap(t *testing.T, o objects.Store) *swap {
	url := storetest.Postgres(t)
	s := storetest.Open(t, store.Config{URL: url, Lease: 10 * time.Second})
	user, err := s.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	return &swap{t, s, o, url, user, ingest.Limits{PartBytes: 32 << 10, ChunkBytes: 4 << 10}}
}

// bundle opens telecom under another name, with a change to its bundle.yaml.
func (s *swap) bundle(change func(yaml string) string) *engine.Bundle {
	s.Helper()
	source, err := os.ReadFile("../../../engine/baseline/telecom/bundle.yaml")
	if err != nil {
		s.Fatal(err)
	}
	dir := filepath.Join(s.TempDir(), "mine")
	yaml := strings.Replace(string(source), "name: telecom", "name: mine", 1)
	if change != nil {
		if yaml = change(yaml); yaml == string(source) {
			s.Fatal("nothing is changed")
		}
	}
	plantest.WriteBundle(s.T, dir, string(source), yaml)
	b, err := engine.OpenBundleKept(os.DirFS(dir))
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// process starts a process with bundles in use. Its loops are not run: a test takes its steps.
func (s *swap) process(bundles ...*engine.Bundle) *Worker {
	s.Helper()
	registry, err := engine.NewRegistry(bundles...)
	if err != nil {
		s.Fatal(err)
	}
	key, err := customer.NewKey(make([]byte, customer.SecretMin))
	if err != nil {
		s.Fatal(err)
	}
	m, log := metrics.NewMetrics(), slog.New(slog.DiscardHandler)
	kept := plan.NewKeptModels(plan.KeptParts{Registry: registry, Models: s.store.Models, Objects: s.objects, Metrics: m})
	return New(Config{Name: "w", CustomerKey: key, Cores: 1, Limits: s.limits}, s.store.Ledger, s.objects, kept, m, log)
}

// file is a CSV of several parts.
func file(rows int) string {
	return "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
		strings.Repeat("A-1,1,29.85,29.85,Month-to-month\nA-2,40,20.1,804,Two year\n", rows/2)
}

// accept records a file as an upload of a process, with the model of its header, like the API.
func (s *swap) accept(w *Worker, text string) store.Prediction {
	s.Helper()
	planner, err := ingest.NewPlanner(strings.NewReader(text), s.limits)
	if err != nil {
		s.Fatal(err)
	}
	u := store.NewUpload{ID: store.NewID(), UserID: s.user.ID, SHA256: sha256.Sum256([]byte(text)), Explain: "all"}
	u.ObjectKey = objects.InputKey(u.ID)
	info, err := s.objects.Put(s.Context(), u.ObjectKey, planner)
	if err != nil {
		s.Fatal(err)
	}
	bundle, err := w.models.Choose(s.Context(), plan.Wish{Model: "mine"}, planner.Header())
	if err != nil {
		s.Fatal(err)
	}
	p := plan.StoredPlan(planner.Plan(), bundle)
	u.ObjectETag, u.Bytes, u.Rows, u.Header, u.Parts, u.Model = info.ETag, p.Bytes, p.Rows, p.Header, p.Parts, p.Model
	var made store.Prediction
	err = w.models.Accept(s.Context(), bundle, func() (err error) {
		made, err = s.store.Predictions.CreateUpload(s.Context(), u)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return made
}

// drop records a file that a worker has to plan first.
func (s *swap) drop(text string) store.Prediction {
	s.Helper()
	l := store.UploadLink{
		ID: store.NewID(), UserID: s.user.ID, Filename: "march.csv", Bytes: int64(len(text)), Model: "mine", Explain: "all",
		Options: json.RawMessage(`{}`),
	}
	if err := s.store.UploadLinks.Create(s.Context(), &l, time.Hour); err != nil {
		s.Fatal(err)
	}
	info, err := s.objects.Put(s.Context(), store.DirectKey(l.ID), strings.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	p, err := s.store.UploadLinks.Complete(s.Context(), l, info)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// claim claims a part; nil if none can be claimed.
func (s *swap) claim() *store.Claim {
	s.Helper()
	c, err := s.store.Ledger.ClaimPart(s.Context(), "w")
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// step takes a claim one step on, and returns the claim of the last step if that is next.
func (s *swap) step(w *Worker, c *store.Claim) *store.Claim {
	s.Helper()
	if c == nil {
		s.Fatal("nothing to claim")
	}
	next, err := w.step(s.Context(), c)
	if err != nil {
		s.Fatal(err)
	}
	return next
}

// finish works until nothing is left to claim.
func (s *swap) finish(w *Worker) {
	s.Helper()
	for {
		c, err := w.claim(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		if c == nil {
			return
		}
		w.attempt(s.Context(), c)
	}
}

func (s *swap) reload(p store.Prediction) store.Prediction {
	s.Helper()
	p, err := s.store.Predictions.Get(s.Context(), p.UserID, p.ID)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// result reads the result of a completed prediction.
func (s *swap) result(p store.Prediction) []byte {
	s.Helper()
	p = s.reload(p)
	if p.Status != store.Completed {
		s.Fatalf("%s: %+v, %v", p.Status, p.Error, p.StatusReason)
	}
	body, _, err := s.objects.Get(s.Context(), p.ResultKey, objects.Range{}, p.ResultETag)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// swapStates bring a prediction to a state in a process, which then ends.
var swapStates = []struct {
	name string
	run  func(s *swap, w *Worker, random *rand.Rand) store.Prediction
}{
	{"waiting", func(s *swap, w *Worker, _ *rand.Rand) store.Prediction { return s.accept(w, file(3000)) }},
	{"planned", func(s *swap, w *Worker, _ *rand.Rand) store.Prediction {
		p := s.drop(file(3000))
		s.step(w, s.claim())
		return p
	}},
	{"half scored", func(s *swap, w *Worker, random *rand.Rand) store.Prediction {
		p := s.accept(w, file(3000))
		for range 1 + random.IntN(2) {
			s.step(w, s.claim())
		}
		return p
	}},
	{"finishing", func(s *swap, w *Worker, _ *rand.Rand) store.Prediction {
		p := s.accept(w, file(3000))
		var last *store.Claim
		for last == nil {
			last = s.step(w, s.claim())
		}
		if err := s.store.Ledger.ReleasePart(s.Context(), last); err != nil {
			s.Fatal(err)
		}
		return p
	}},
	{"cancelled before its first part", func(s *swap, w *Worker, _ *rand.Rand) store.Prediction {
		p := s.accept(w, file(3000))
		first, second := s.claim(), s.claim()
		s.step(w, second)
		if err := s.store.Ledger.ReleasePart(s.Context(), first); err != nil {
			s.Fatal(err)
		}
		if _, err := s.store.Predictions.Cancel(s.Context(), p.UserID, p.ID); err != nil {
			s.Fatal(err)
		}
		return p
	}},
}

// A bundle is swapped, or a word of it edited, and the process restarted, while a prediction is in any state: it is scored
// with the model that it was accepted with, to the same bytes.
func TestKeptModels_SwapAndRestart(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		s := newSwap(t, o)
		before := s.bundle(nil)
		after := map[string]*engine.Bundle{
			"another version": s.bundle(func(y string) string { return strings.Replace(y, "version: ", "version: \"2\" # ", 1) }),
			"another word":    s.bundle(func(y string) string { return strings.ReplaceAll(y, "contract", "agreement") }),
		}
		first := s.process(before)
		undisturbed := s.accept(first, file(3000))
		s.finish(first)
		want := s.result(undisturbed)
		for round := range uint64(20) {
			random := rand.New(rand.NewPCG(19, round))
			state := swapStates[int(round)%len(swapStates)]
			how := []string{"another version", "another word"}[random.IntN(2)]
			p := state.run(s, s.process(before), random)
			second := s.process(after[how])
			s.finish(second)
			if p = s.reload(p); p.Status == store.Cancelled {
				if p.ResultKey == "" {
					t.Errorf("%s, %s: nothing of it is published: %+v", state.name, how, p.Error)
				}
				continue
			}
			if got := s.result(p); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: another result", state.name, how)
			}
			if p.Model.SHA256 != before.SHA256() {
				t.Errorf("%s, %s: scored with %s", state.name, how, p.Model.SHA256)
			}
			var summary struct {
				Changes struct{ Status string }
			}
			if err := json.Unmarshal(p.Summary, &summary); err != nil || summary.Changes.Status != "compared" {
				t.Errorf("%s, %s: changes %q %v", state.name, how, summary.Changes.Status, err)
			}
		}
	})
}

// A model that nobody has is waited for, with a reason and without an attempt, and the prediction goes on when it is back.
func TestKeptModels_MissingEverywhere(t *testing.T) {
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := newSwap(t, o)
	before := s.bundle(nil)
	first := s.process(before)
	half := s.accept(first, file(3000))
	s.step(first, s.claim())
	waits, finishing := s.accept(first, file(3000)), swapStates[3].run(s, first, nil)
	row, err := s.store.Models.Find(t.Context(), before.SHA256())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), objects.NotNeeded, row.Key); err != nil {
		t.Fatal(err)
	}
	second := s.process(s.bundle(func(y string) string { return strings.Replace(y, "version: ", "version: \"2\" # ", 1) }))
	s.finish(second)
	for _, p := range []store.Prediction{half, waits, finishing} {
		p = s.reload(p)
		if p.Status.Done() || p.StatusReason != "waiting for its model, which is missing" {
			t.Errorf("%s: %v", p.Status, p.StatusReason)
		}
	}
	if got := storetest.Ask(t, s.url, `SELECT sum(attempts) FROM prediction_parts WHERE status = 'open'`); got != "0" {
		t.Errorf("%s attempts are charged", got)
	}
	if got := storetest.Ask(t, s.url, `SELECT count(*) FROM prediction_failures`); got != "0" {
		t.Errorf("%s failures", got)
	}
	if c := s.claim(); c != nil {
		t.Error("a part can be claimed again at once")
	}
	if late, err := s.store.Ledger.EndOverdue(t.Context(), time.Nanosecond, store.Failure{}); err != nil || len(late) > 0 {
		t.Errorf("%d overdue before a worker has sent a heartbeat: %v", len(late), err)
	}
	if got := storetest.Ask(t, s.url, `SELECT count(*) FROM predictions
		WHERE status_reason IS NOT NULL AND started_at < created_at`); got != "0" {
		t.Errorf("%s predictions have waited on their own time", got)
	}
	third := s.process(before) // somebody has copied the bundle back
	if err := third.models.KeepWanted(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Exec(t, s.url, `UPDATE prediction_parts SET lease_until = '-infinity' WHERE status = 'open'`)
	storetest.Exec(t, s.url, `UPDATE predictions SET finish_lease_until = '-infinity' WHERE finish_due`)
	fourth := s.process()
	s.finish(fourth)
	for _, p := range []store.Prediction{half, waits, finishing} {
		s.result(p)
	}
}

// The pauses before a model is looked for again grow, and end.
func TestKeptModels_PostponeBackoff(t *testing.T) {
	for _, since := range []time.Duration{0, time.Second, time.Minute, 30 * time.Hour} {
		got := postponeBackoff(&store.Claim{Postponed: since}, false, modelPostponeMax)
		if got < postponeMin || got > 3*modelPostponeMax/2 || since < modelPostponeMax && got < since {
			t.Errorf("after %s: %s", since, got)
		}
	}
}

// A process is killed at any moment between having stored the model and having recorded the prediction: the next one finds
// what is there, or stores it again.
func TestKeptModels_KilledBeforeAccepting(t *testing.T) {
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := newSwap(t, o)
	b := s.bundle(nil)
	ctx, m := context.Background(), s.store.Models
	archive, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	for i, killed := range []func(){
		func() {}, // before anything
		func() { _, err = m.Note(ctx, b.SHA256(), b.Name(), b.Version()) },
		func() { _, err = o.Put(ctx, objects.ModelKey(b.SHA256()), bytes.NewReader(archive)) },
		func() { err = s.process(b).models.Keep(ctx, b) },
	} {
		if killed(); err != nil {
			t.Fatal(err)
		}
		p := s.accept(s.process(b), fmt.Sprintf("%sA-3,%d,1,1,One year\n", file(3000), i))
		s.finish(s.process())
		s.result(p)
		storetest.Exec(t, s.url, `UPDATE models SET object_key = NULL, bytes = NULL, object_sha256 = NULL`)
	}
}
