package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// storeVersion stores an archive of a version of churn, as a push does before it publishes.
func (b bench) storeVersion(o objects.Store, digest, version string) {
	b.Helper()
	m, err := b.Models.Note(ctx(), digest, "churn", version)
	if err != nil {
		b.Fatal(err)
	}
	if m.Kept() {
		return
	}
	info, err := o.Put(ctx(), objects.ModelKey(digest), strings.NewReader("archive of "+digest))
	if err != nil {
		b.Fatal(err)
	}
	if err := b.Models.Keep(ctx(), m, info); err != nil {
		b.Fatal(err)
	}
}

// publish makes the n-th model the version n of churn.
func (b bench) publish(o objects.Store, n int) models.Published {
	b.Helper()
	b.storeVersion(o, modelDigest(n), fmt.Sprint(n))
	p, err := b.Models.Publish(ctx(), modelDigest(n), true)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b bench) catalog() *models.Catalog {
	b.Helper()
	c, err := b.Models.Catalog(ctx())
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// named is the digest that an alias names; empty for none.
func (b bench) named(alias string) string {
	b.Helper()
	a, _ := b.catalog().FindAlias(alias)
	return a.SHA256
}

func (b bench) setAlias(alias string, n int) (before string, changed bool) {
	b.Helper()
	before, changed, err := b.Models.SetAlias(ctx(), alias, modelDigest(n))
	if err != nil {
		b.Fatal(err)
	}
	return before, changed
}

// A version is one content: the same push again changes nothing, another content with its name is refused, and what is not
// kept cannot be published. Only the first push of a name sets its alias.
func TestModels_Publish(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	if _, err := b.Models.Publish(ctx(), modelDigest(1), true); !errors.Is(err, models.ErrNotKept) {
		t.Errorf("an unknown model: %v", err)
	}
	if _, err := b.Models.Note(ctx(), modelDigest(1), "churn", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Models.Publish(ctx(), modelDigest(1), true); !errors.Is(err, models.ErrNotKept) {
		t.Errorf("one that is not stored: %v", err)
	}
	wantEqual(t, "versions", len(b.catalog().Versions), 0)
	wantEqual(t, "first", b.publish(o, 1), models.Published{Alias: "churn"})
	for range 2 {
		wantEqual(t, "again", b.publish(o, 1), models.Published{Existed: true})
	}
	wantEqual(t, "second", b.publish(o, 2), models.Published{})
	wantEqual(t, "the name", b.named("churn"), modelDigest(1))

	b.storeVersion(o, modelDigest(3), "1")
	_, err := b.Models.Publish(ctx(), modelDigest(3), true)
	var taken *models.VersionTakenError
	if !errors.As(err, &taken) || taken.SHA256 != modelDigest(1) {
		t.Errorf("another content: %v", err)
	}
	c := b.catalog()
	if len(c.Versions) != 2 || c.Versions[0].Ref() != "churn@1" || c.Versions[1].Ref() != "churn@2" || c.Versions[0].PushedAt.IsZero() {
		t.Errorf("%+v", c.Versions)
	}
	if _, ok := c.FindVersion("churn", "3"); ok {
		t.Error("a refused version")
	}

	if _, err := b.Upkeep.WithdrawModel(ctx(), modelDigest(2), store.Failure{Code: "ERR-1702"}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Models.Publish(ctx(), modelDigest(2), true)
	wantErr(t, err, models.ErrWithdrawn)
	_, _, err = b.Models.SetAlias(ctx(), "champion", modelDigest(2))
	wantErr(t, err, models.ErrWithdrawn)
}

// Of many pushes at once of one content one is the first; of several contents under one version one wins, and the others
// are refused with its digest.
func TestModels_PublishAtOnce(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	for n := range 4 {
		b.storeVersion(o, modelDigest(n), "1")
	}
	var pushes sync.WaitGroup
	var mu sync.Mutex
	first, won := 0, map[string]bool{}
	for i := range 16 {
		pushes.Go(func() {
			digest := modelDigest(i % 4)
			p, err := b.Models.Publish(ctx(), digest, true)
			var taken *models.VersionTakenError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won[digest] = true
				if !p.Existed {
					first++
				}
			case errors.As(err, &taken):
				won[taken.SHA256] = true
			default:
				t.Error(err)
			}
		})
	}
	pushes.Wait()
	wantEqual(t, "first", first, 1)
	wantEqual(t, "won", len(won), 1)
	wantEqual(t, "versions", len(b.catalog().Versions), 1)
	wantEqual(t, "aliases", len(b.catalog().Aliases), 1)
}

// An alias moves, goes back step by step, and keeps its history.
func TestModels_Alias(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	for n := 1; n <= 3; n++ {
		b.publish(o, n)
	}
	_, _, err := b.Models.SetAlias(ctx(), "champion", modelDigest(9))
	wantErr(t, err, store.ErrNotFound)
	for n := 1; n <= 3; n++ {
		before, changed := b.setAlias("champion", n)
		wantEqual(t, "changed", changed, true)
		if n > 1 {
			wantEqual(t, "before", before, modelDigest(n-1))
		}
	}
	_, changed := b.setAlias("champion", 3)
	wantEqual(t, "the same again", changed, false)
	for n := 2; n >= 1; n-- {
		from, to, err := b.Models.Rollback(ctx(), "champion")
		if err != nil || from != modelDigest(n+1) || to != modelDigest(n) {
			t.Fatalf("back to %d: %s to %s, %v", n, from, to, err)
		}
		wantEqual(t, "named", b.named("champion"), modelDigest(n))
	}
	_, _, err = b.Models.Rollback(ctx(), "champion")
	wantErr(t, err, models.ErrNothingBefore)
	_, _, err = b.Models.Rollback(ctx(), "unknown")
	wantErr(t, err, store.ErrNotFound)
	wantEqual(t, "history", ask[int](b, `SELECT count(*)::int FROM model_aliases WHERE alias = 'champion'
		AND set_at IS NOT NULL AND (id IN (SELECT min(id) FROM model_aliases WHERE alias = 'champion')) = (undone_at IS NULL)`), 3)

	if before, err := b.Models.RemoveAlias(ctx(), "champion"); err != nil || before != modelDigest(1) {
		t.Errorf("removed %s, %v", before, err)
	}
	wantEqual(t, "named", b.named("champion"), "")
	_, err = b.Models.RemoveAlias(ctx(), "champion")
	wantErr(t, err, store.ErrNotFound)
	if _, _, err := b.Models.Rollback(ctx(), "champion"); err != nil { // of the removal
		t.Error(err)
	}
	wantEqual(t, "named", b.named("champion"), modelDigest(1))
}

// A version that an alias or a default names is not retired; a retired one takes no new prediction, keeps those that are
// there, and cannot be named until that is taken back.
func TestModels_Retire(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	for n := 1; n <= 3; n++ {
		b.publish(o, n)
	}
	running := b.mustAccept(modelDigest(2))
	b.setAlias("stable", 2)
	var named *models.NamedError
	if _, err := b.Models.Retire(ctx(), modelDigest(2)); !errors.As(err, &named) || !slices.Equal(named.Aliases, []string{"stable"}) {
		t.Errorf("named by an alias: %v", err)
	}
	if err := b.Models.SetDefault(ctx(), models.Default{Dataset: "north", SHA256: modelDigest(2)}); err != nil {
		t.Fatal(err)
	}
	b.setAlias("stable", 3)
	if _, err := b.Models.Retire(ctx(), modelDigest(2)); !errors.As(err, &named) || named.Defaults != 1 {
		t.Errorf("named by a default: %v", err)
	}
	b.mustAccept(modelDigest(2))
	if err := b.Models.RemoveDefault(ctx(), 0, "north"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		changed, err := b.Models.Retire(ctx(), modelDigest(2))
		if err != nil || changed != want {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
	_, err := b.accept(modelDigest(2))
	wantErr(t, err, models.ErrRetired)
	_, _, err = b.Models.SetAlias(ctx(), "stable", modelDigest(2))
	wantErr(t, err, models.ErrRetired)
	_, _, err = b.Models.Rollback(ctx(), "stable")
	wantErr(t, err, models.ErrRetired)
	wantErr(t, b.Models.SetDefault(ctx(), models.Default{SHA256: modelDigest(2)}), models.ErrRetired)
	wantEqual(t, "again", b.publish(o, 2), models.Published{Existed: true, Retired: true})
	if c := b.claim("w"); c == nil || c.PublicID != running.ID { // which ends
		t.Errorf("claimed %+v", c)
	}

	if changed, err := b.Models.Restore(ctx(), modelDigest(2)); err != nil || !changed {
		t.Errorf("restored %v, %v", changed, err)
	}
	b.mustAccept(modelDigest(2))
	_, err = b.Models.Retire(ctx(), modelDigest(9))
	wantErr(t, err, store.ErrNotFound)
	uses, err := b.Models.Uses(ctx())
	if err != nil || uses[modelDigest(2)] != 3 || uses[modelDigest(1)] != 0 {
		t.Errorf("uses %v, %v", uses, err)
	}
}

// Aliases and retirements at once never leave an alias with a retired version.
func TestModels_RetireWhileNamed(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	for n := 1; n <= 3; n++ {
		b.publish(o, n)
	}
	var callers sync.WaitGroup
	for i := range 4 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		callers.Go(func() {
			for range 25 {
				digest := modelDigest(2 + random.IntN(2))
				switch random.IntN(4) {
				case 0:
					_, _ = b.Models.Retire(ctx(), digest)
				case 1:
					_, _ = b.Models.Restore(ctx(), digest)
				case 2:
					_, _, _ = b.Models.SetAlias(ctx(), "champion", digest)
				default:
					_, _, _ = b.Models.Rollback(ctx(), "champion")
				}
			}
		})
	}
	callers.Wait()
	c := b.catalog()
	if a, ok := c.FindAlias("champion"); ok {
		if v, _ := c.Find(a.SHA256); v.Retired {
			t.Errorf("champion names the retired %s", v.Ref())
		}
	}
}

// The narrowest default counts, and one by an alias moves with it.
func TestModels_Default(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	for n := 1; n <= 5; n++ {
		b.publish(o, n)
	}
	b.setAlias("champion", 4)
	for _, d := range []models.Default{
		{SHA256: modelDigest(1)},
		{Dataset: "north", SHA256: modelDigest(2)},
		{UserID: b.user.ID, SHA256: modelDigest(3)},
		{UserID: b.user.ID, Dataset: "north", Alias: "champion"},
	} {
		if err := b.Models.SetDefault(ctx(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		user    int64
		dataset string
		want    models.Default
	}{
		{b.user.ID + 1, "", models.Default{SHA256: modelDigest(1)}},
		{b.user.ID + 1, "south", models.Default{SHA256: modelDigest(1)}},
		{b.user.ID + 1, "north", models.Default{SHA256: modelDigest(2)}},
		{b.user.ID, "", models.Default{SHA256: modelDigest(3)}},
		{b.user.ID, "south", models.Default{SHA256: modelDigest(3)}},
		{b.user.ID, "north", models.Default{Alias: "champion"}},
	} {
		d, ok := b.catalog().DefaultOf(tt.user, tt.dataset)
		if !ok || d.Alias != tt.want.Alias || d.SHA256 != tt.want.SHA256 {
			t.Errorf("user %d, dataset %q: %+v", tt.user, tt.dataset, d)
		}
	}
	_, err := b.Models.RemoveAlias(ctx(), "champion")
	var named *models.NamedError
	if !errors.As(err, &named) || named.Defaults != 1 {
		t.Errorf("an alias that a default names: %v", err)
	}
	wantErr(t, b.Models.SetDefault(ctx(), models.Default{Alias: "unknown"}), store.ErrNotFound)
	if err := b.Models.SetDefault(ctx(), models.Default{SHA256: modelDigest(5)}); err != nil { // in place of the first
		t.Fatal(err)
	}
	wantEqual(t, "defaults", len(b.catalog().Defaults), 4)
	subjects, err := b.Models.Subjects(ctx())
	if err != nil || len(subjects) != 1 || subjects[b.user.ID] != b.user.Subject {
		t.Errorf("subjects %v, %v", subjects, err)
	}
	if id, err := b.Models.User(ctx(), b.user.Subject); err != nil || id != b.user.ID {
		t.Errorf("user %d, %v", id, err)
	}
	_, err = b.Models.User(ctx(), "nobody")
	wantErr(t, err, store.ErrNotFound)
	for range 2 {
		err = b.Models.RemoveDefault(ctx(), b.user.ID, "north")
	}
	wantErr(t, err, store.ErrNotFound)
}

// A pushed model is kept without a prediction that names it, until it is retired.
func TestModels_SweepLeavesPushed(t *testing.T) {
	b, o := newBench(t, store.Config{}), openDir(t)
	b.publish(o, 1)
	b.publish(o, 2)
	b.storeVersion(o, modelDigest(3), "3")
	for range 2 {
		b.sweepModels(0)
	}
	wantEqual(t, "pushed", b.model(modelDigest(2)).Kept(), true)
	wantEqual(t, "not pushed", b.model(modelDigest(3)).Kept(), false)
	if _, err := b.Models.Retire(ctx(), modelDigest(2)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.sweepModels(0)
	}
	wantEqual(t, "retired", b.model(modelDigest(2)).Kept(), false)
	_, err := b.Models.Restore(ctx(), modelDigest(2))
	wantErr(t, err, models.ErrNotKept)
	b.storeVersion(o, modelDigest(2), "2") // pushed again
	if _, err := b.Models.Restore(ctx(), modelDigest(2)); err != nil {
		t.Error(err)
	}
}
