package plan_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/plan/plantest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// host is a process: what it has in use, and what it shares with others.
type host struct {
	*plan.KeptModels
	page *metrics.Metrics
}

// newHost starts a process with bundles in use.
func newHost(t *testing.T, s *store.Store, o objects.Store, bundles ...*engine.Bundle) host {
	t.Helper()
	registry, err := engine.NewRegistry(bundles...)
	if err != nil {
		t.Fatal(err)
	}
	m := metrics.NewMetrics()
	return host{plan.NewKeptModels(plan.KeptParts{Registry: registry, Models: s.Models, Objects: o, Metrics: m}), m}
}

// fetched counts the readings of models by a result.
func (h host) fetched(result string) float64 {
	var shown dto.Metric
	if err := h.page.ModelFetches.WithLabelValues(result).Write(&shown); err != nil {
		panic(err) // a counter is always written
	}
	return shown.GetCounter().GetValue()
}

// openStore opens a database with the logins of an API and of a worker.
func openStore(t *testing.T) (s *store.Store, url string) {
	t.Helper()
	url = storetest.Postgres(t)
	api, loader := storetest.Logins(url)
	return storetest.Open(t, store.Config{URL: api, LoaderURL: loader}), url
}

func openDir(t *testing.T) objects.Store {
	t.Helper()
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// version opens a version of a bundle, which differs from others in its bundle.yaml.
func version(t *testing.T, n int) *engine.Bundle {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mine")
	plantest.WriteBundle(t, dir, "name: telecom", fmt.Sprintf("# edited %d times\nname: mine", n))
	b, err := engine.OpenBundleKept(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pinnedTo(b *engine.Bundle) store.Model {
	return store.Model{Name: b.Name(), Version: b.Version(), SHA256: b.SHA256()}
}

func wantResult(t *testing.T, err error, result string) {
	t.Helper()
	var missing *plan.MissingModelError
	if !errors.As(err, &missing) || missing.Result != result {
		t.Errorf("got %v, want a model that is %s", err, result)
	}
}

func rowOf(t *testing.T, s *store.Store, b *engine.Bundle) models.Model {
	t.Helper()
	row, err := s.Models.Find(t.Context(), b.SHA256())
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// A process that has no bundle reads the stored one, once for many callers, and has the same model.
func TestKeptModels_Fetch(t *testing.T) {
	s, url := openStore(t)
	b := version(t, 1)
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		storetest.Exec(t, url, `DELETE FROM models`)
		first := newHost(t, s, o, b)
		for range 3 {
			if err := first.Keep(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if keys := storetest.Keys(t, o, objects.ModelsPrefix); len(keys) != 1 {
			t.Fatalf("stored as %v", keys)
		}
		other := newHost(t, s, o)
		if err := other.Keep(t.Context(), b); err != nil { // it is there
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		var got [20]*engine.Bundle
		for i := range got {
			callers.Go(func() {
				var err error
				if got[i], err = other.Pinned(t.Context(), pinnedTo(b)); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		for _, g := range got {
			if g == nil || g != got[0] || g.SHA256() != b.SHA256() {
				t.Fatal("another bundle")
			}
		}
		if n := other.fetched(metrics.ModelFetched); n != 1 {
			t.Errorf("read %v times", n)
		}
		if keys := storetest.Keys(t, o, objects.ModelsPrefix); len(keys) != 1 {
			t.Errorf("stored as %v", keys)
		}
	})
}

// flaky answers the first readings of models with a flipped bit.
type flaky struct {
	objects.Store
	damaged, reads atomic.Int64 // how many readings are to be damaged; how many there were
}

func (f *flaky) Get(
	ctx context.Context, key string, r objects.Range, etag string,
) (io.ReadCloser, objects.Info, error) {
	body, info, err := f.Store.Get(ctx, key, r, etag)
	if err != nil || f.reads.Add(1) > f.damaged.Load() {
		return body, info, err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, info, err
	}
	content[len(content)/2] ^= 4
	return io.NopCloser(bytes.NewReader(content)), info, body.Close()
}

// A bit that flips on the way is read again. A stored archive with one is refused, and stored again by a process that has
// the bundle.
func TestKeptModels_Damaged(t *testing.T) {
	s, _ := openStore(t)
	b, dir := version(t, 1), openDir(t)
	o := &flaky{Store: dir}
	owner := newHost(t, s, o, b)
	if err := owner.Keep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	o.damaged.Store(1)
	if _, err := newHost(t, s, o).Pinned(t.Context(), pinnedTo(b)); err != nil || o.reads.Load() != 2 {
		t.Errorf("after %d readings: %v", o.reads.Load(), err)
	}
	archive, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	acceptWith(t, s, b)
	random := rand.New(rand.NewPCG(19, 5))
	for range 20 {
		before := rowOf(t, s, b)
		broken := bytes.Clone(archive)
		broken[random.IntN(len(broken))] ^= 1 << random.IntN(8)
		if random.IntN(4) == 0 {
			broken = broken[:random.IntN(len(broken))]
		}
		storetest.PutObject(t, dir, before.Key, broken)
		h := newHost(t, s, o)
		reads := o.reads.Load()
		_, err = h.Pinned(t.Context(), pinnedTo(b))
		wantResult(t, err, metrics.ModelDamaged)
		if n := o.reads.Load() - reads; n != 2 || h.fetched(metrics.ModelDamaged) != 1 {
			t.Errorf("%d readings, %v damaged", n, h.fetched(metrics.ModelDamaged))
		}
		_, again := h.Pinned(t.Context(), pinnedTo(b))
		if n := o.reads.Load() - reads; n != 2 || again != err {
			t.Errorf("read at once again, %d times: %v", n, again)
		}
		if err := owner.KeepWanted(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := rowOf(t, s, b); !after.Kept() || after.Key == before.Key {
			t.Errorf("%+v became %+v", before, after)
		}
		if _, err := newHost(t, s, o).Pinned(t.Context(), pinnedTo(b)); err != nil {
			t.Error(err)
		}
	}
}

// acceptWith records a prediction that names a bundle.
func acceptWith(t *testing.T, s *store.Store, b *engine.Bundle) store.Prediction {
	t.Helper()
	p, err := s.Predictions.CreateUpload(t.Context(), newUploadOf(user(t, s), b))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func user(t *testing.T, s *store.Store) int64 {
	t.Helper()
	u, err := s.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func newUploadOf(user int64, b *engine.Bundle) store.NewUpload {
	u := store.NewUpload{
		ID: store.NewID(), UserID: user, Filename: "march.csv", Explain: "none", Rows: 1, Bytes: 2, Model: pinnedTo(b),
		Header: store.Header{Columns: []string{"customerID"}, Delimiter: ',', Bytes: 11, Lines: 1},
		Parts:  []store.Part{{Planned: true, Offset: 11, Bytes: 2, FirstRow: 1, FirstLine: 2, Rows: 1}},
	}
	u.ObjectKey = objects.InputKey(u.ID)
	return u
}

// What the row names must be the model that predictions are pinned to, even if its bytes are those that were recorded.
func TestKeptModels_AnotherModel(t *testing.T) {
	s, _ := openStore(t)
	b, o := version(t, 1), openDir(t)
	row, err := s.Models.Note(t.Context(), b.SHA256(), b.Name(), b.Version())
	if err != nil {
		t.Fatal(err)
	}
	other, err := version(t, 2).Archive()
	if err != nil {
		t.Fatal(err)
	}
	info := storetest.PutObject(t, o, objects.ModelKey(b.SHA256()), other)
	if err := s.Models.Keep(t.Context(), row, info); err != nil {
		t.Fatal(err)
	}
	_, err = newHost(t, s, o).Pinned(t.Context(), pinnedTo(b))
	wantResult(t, err, metrics.ModelDamaged)
}

// A model that fails a check in this process is refused, and its archive is left as it is.
func TestKeptModels_Rejected(t *testing.T) {
	s, url := openStore(t)
	b, o := version(t, 1), openDir(t)
	if err := newHost(t, s, o, b).Keep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s, o)
	h.Check = func(*engine.Bundle) error { return errors.New("not with this scorer") }
	_, err := h.Pinned(t.Context(), pinnedTo(b))
	wantResult(t, err, metrics.ModelRejected)
	if row := rowOf(t, s, b); !row.Kept() {
		t.Errorf("%+v", row)
	}
	var empty bytes.Buffer // an archive with the recorded bytes that is no bundle
	w := zip.NewWriter(&empty)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.Exec(t, url, `UPDATE models SET damaged_at = now()`)
	info := storetest.PutObject(t, o, objects.ModelKey(b.SHA256()), empty.Bytes())
	if err := s.Models.Keep(t.Context(), rowOf(t, s, b), info); err != nil {
		t.Fatal(err)
	}
	_, err = newHost(t, s, o).Pinned(t.Context(), pinnedTo(b))
	wantResult(t, err, metrics.ModelRejected)
}

// A model that was never stored, whose archive is gone, or that was given up is missing; a withdrawn one is withdrawn; and
// a store that answers nothing is an outage.
func TestKeptModels_Missing(t *testing.T) {
	s, _ := openStore(t)
	b, o := version(t, 1), openDir(t)
	pinned := func() error {
		_, err := newHost(t, s, o).Pinned(t.Context(), pinnedTo(b))
		return err
	}
	wantResult(t, pinned(), metrics.ModelMissing)
	owner := newHost(t, s, o, b)
	if err := owner.Keep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), objects.NotNeeded, rowOf(t, s, b).Key); err != nil {
		t.Fatal(err)
	}
	wantResult(t, pinned(), metrics.ModelMissing)
	// The process that has it remembers that it was stored, and stores it again before a prediction names it.
	records := 0
	wantErrorFree(t, owner.Accept(t.Context(), b, func() error {
		records++
		_, err := s.Predictions.CreateUpload(t.Context(), newUploadOf(user(t, s), b))
		return err
	}))
	if records != 2 {
		t.Errorf("recorded %d times", records)
	}
	wantErrorFree(t, pinned())
	if err := o.Delete(t.Context(), objects.NotNeeded, rowOf(t, s, b).Key); err != nil {
		t.Fatal(err)
	}
	wantResult(t, pinned(), metrics.ModelMissing)
	wantErrorFree(t, owner.KeepWanted(t.Context()))
	wantErrorFree(t, pinned())
	if _, err := s.Upkeep.WithdrawModel(t.Context(), b.SHA256(), store.Failure{Code: "ERR-1702"}); err != nil {
		t.Fatal(err)
	}
	if err := pinned(); !errors.Is(err, plan.ErrModelWithdrawn) {
		t.Errorf("withdrawn: %v", err)
	}
	if err := newHost(t, s, o, b).Keep(t.Context(), b); !errors.Is(err, plan.ErrModelWithdrawn) {
		t.Errorf("keep a withdrawn model: %v", err)
	}
	if err := owner.Accept(t.Context(), b, func() error { return models.ErrWithdrawn }); !errors.Is(err, plan.ErrModelWithdrawn) {
		t.Errorf("accept with a withdrawn model: %v", err)
	}
}

func wantErrorFree(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A refusal of the whole object store is an outage, and one of the archive alone is a model that is missing.
func TestKeptModels_Refused(t *testing.T) {
	s, _ := openStore(t)
	b := version(t, 1)
	faults, config := storetest.NewFaults(t, storetest.S3(t))
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := newHost(t, s, o, b).Keep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	faults.All(403, "AccessDenied")
	_, err = newHost(t, s, o).Pinned(t.Context(), pinnedTo(b))
	if store.FaultOf(err) != store.FaultRefused {
		t.Errorf("everything refused: %v", err)
	}
	faults.Answer(func(r *http.Request) (int, string) {
		if strings.Contains(r.URL.Path, "/"+objects.ModelsPrefix) {
			return 403, "AccessDenied"
		}
		return 0, ""
	})
	_, err = newHost(t, s, o).Pinned(t.Context(), pinnedTo(b))
	wantResult(t, err, metrics.ModelMissing)
	if !rowOf(t, s, b).Kept() {
		t.Error("a refusal was taken for a damaged archive")
	}
}

// A model that a sweep has given up since this process stored it is stored again, under another key.
func TestKeptModels_AcceptAfterSweep(t *testing.T) {
	s, _ := openStore(t)
	b, o := version(t, 1), openDir(t)
	h := newHost(t, s, o, b)
	if err := h.Keep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	before := rowOf(t, s, b).Key
	if n, err := s.Models.Sweep(t.Context(), 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	records := 0
	err := h.Accept(t.Context(), b, func() error {
		records++
		_, err := s.Predictions.CreateUpload(t.Context(), newUploadOf(user(t, s), b))
		return err
	})
	if err != nil || records != 2 {
		t.Fatalf("recorded %d times: %v", records, err)
	}
	if row := rowOf(t, s, b); !row.Kept() || row.Key == before {
		t.Errorf("%+v", row)
	}
	if _, err := newHost(t, s, o).Pinned(t.Context(), pinnedTo(b)); err != nil {
		t.Error(err)
	}
	refused := errors.New("no")
	if err := h.Accept(t.Context(), b, func() error { return refused }); err != refused {
		t.Errorf("another error: %v", err)
	}
}

// The models that are read stay in memory up to a number, and the least recently used goes first.
func TestKeptModels_CacheIsBounded(t *testing.T) {
	s, _ := openStore(t)
	o := openDir(t)
	const most = 8
	var list []*engine.Bundle
	for i := range most + 1 {
		b := version(t, i)
		if err := newHost(t, s, o, b).Keep(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	h := newHost(t, s, o)
	read := func(i int) float64 {
		t.Helper()
		if _, err := h.Pinned(t.Context(), pinnedTo(list[i])); err != nil {
			t.Fatal(err)
		}
		return h.fetched(metrics.ModelFetched)
	}
	for i := range most {
		read(i)
	}
	if n := read(0); n != most {
		t.Errorf("%v readings of %d models", n, most)
	}
	if n := read(most); n != most+1 {
		t.Errorf("%v readings", n)
	}
	if n := read(0); n != most+1 {
		t.Errorf("the last used one was dropped: %v readings", n)
	}
	if n := read(1); n != most+2 {
		t.Errorf("nothing was dropped: %v readings", n)
	}
}
