package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// upkeepCall is what keeps database and object store in order, and may be made again after an outage.
type upkeepCall struct {
	objects bool // it reads or writes objects
	prepare func(b bench, o objects.Store)
	call    func(b bench, s *store.Store, w *store.Owner) error
	want    string // of outcome, afterwards
	outcome func(b bench, o objects.Store) string
}

// errUnknownOwner stands for a start that does not know the store's owner yet, which is no error.
var errUnknownOwner = errors.New("the owner is not known")

var upkeepCalls = map[string]upkeepCall{
	"start": {
		objects: true,
		prepare: func(b bench, o objects.Store) { b.stored(o) },
		call: func(b bench, _ *store.Store, w *store.Owner) error {
			if err := w.Start(ctx()); err != nil || w.Last() != store.Unknown {
				return err
			}
			if w.Objects().Delete(ctx(), objects.Deleted, objects.InputKey(store.NewID())) == nil {
				b.Error("objects are deleted though the owner is not known")
			}
			return errUnknownOwner
		},
		want: "owned, 1 objects", outcome: ownership,
	},
	"adopt": {
		objects: true,
		prepare: func(b bench, o objects.Store) { b.stored(o); b.owner(o) },
		call: func(_ bench, _ *store.Store, w *store.Owner) error {
			_, err := w.Adopt(ctx())
			return err
		},
		want: "owned, 1 objects", outcome: ownership,
	},
	"sweep orphans": {
		objects: true,
		prepare: func(b bench, o objects.Store) {
			b.stored(o)
			w := b.owner(o)
			strays(b, o, 3)
			mustSweepAll(b, w) // notes them
		},
		call: func(_ bench, _ *store.Store, w *store.Owner) error {
			_, err := w.SweepOrphans(ctx(), 0)
			return err
		},
		want: "owned, 1 objects", outcome: ownership,
	},
	"sweep deletions": {
		objects: true,
		prepare: func(b bench, o objects.Store) {
			b.owner(o)
			p := b.stored(o)
			if err := b.Predictions.Delete(ctx(), b.user.ID, p.ID); err != nil {
				b.Fatal(err)
			}
		},
		call: func(b bench, s *store.Store, w *store.Owner) error {
			b.exec(`UPDATE deletions SET due_at = clock_timestamp()`) // after an outage it is due again later
			return s.Upkeep.SweepDeletions(ctx(), w.Objects())
		},
		want: "owned, 0 objects", outcome: ownership,
	},
	"confirm orphans": {
		prepare: func(b bench, o objects.Store) {
			b.stored(o)
			w := b.owner(o)
			strays(b, o, 3)
			mustSweepAll(b, w)
		},
		call: func(b bench, s *store.Store, _ *store.Owner) error {
			h, err := s.Upkeep.Housekeeping(ctx())
			if err != nil {
				return err
			}
			list, err := s.Upkeep.Orphans(ctx())
			if err != nil {
				return err
			}
			wantEqual(b, "listed", len(list), h.Orphans)
			return s.Upkeep.ConfirmOrphans(ctx(), len(list))
		},
		want: "3 confirmed",
		outcome: func(b bench, _ objects.Store) string {
			return fmt.Sprint(ask[int](b, `SELECT count(*)::int FROM orphans WHERE confirmed`), " confirmed")
		},
	},
	"check objects": {
		objects: true,
		prepare: func(b bench, o objects.Store) {
			b.stored(o) // whose content has another digest than its row
			b.keepModel(o, modelDigest(1))
		},
		call: func(b bench, s *store.Store, w *store.Owner) error {
			var problems []string
			_, err := s.Upkeep.CheckObjects(ctx(), store.Unguarded(w), true, func(p store.Problem) {
				problems = append(problems, p.What+" of "+p.Of)
			})
			if err == nil {
				wantEqual(b, "problems", strings.Join(problems, ", "), "digest of upload")
			}
			return err
		},
		want: "unmarked, 2 objects", outcome: ownership,
	},
	"sweep models": {
		prepare: func(b bench, o objects.Store) {
			b.keepModel(o, modelDigest(1))
			b.mustAccept(modelDigest(1))
			b.keepModel(o, modelDigest(2))
			b.sweepModels(time.Hour) // notes that nothing names the second
		},
		call: func(_ bench, s *store.Store, _ *store.Owner) error {
			if _, err := s.Models.Note(ctx(), modelDigest(3), "telecom", "1"); err != nil {
				return err
			}
			if _, err := s.Models.Wanted(ctx(), []string{modelDigest(1)}); err != nil {
				return err
			}
			_, err := s.Models.Sweep(ctx(), 0)
			return err
		},
		want: "kept 1",
		outcome: func(b bench, _ objects.Store) string {
			list, err := b.Models.List(ctx())
			if err != nil || len(list) != 1 || list[0].SHA256 != modelDigest(1) {
				return fmt.Sprint(list, err)
			}
			return "kept 1"
		},
	},
	"forget": {
		prepare: func(b bench, o objects.Store) { b.stored(o) },
		call: func(_ bench, s *store.Store, _ *store.Owner) error {
			for _, err := range []error{
				s.Upkeep.SweepKeys(ctx()), s.Upkeep.SweepBudgets(ctx()), s.Upkeep.ForgetEnded(ctx()),
			} {
				if err != nil {
					return err
				}
			}
			if _, err := s.Upkeep.QueueState(ctx()); err != nil {
				return err
			}
			_, err := s.Upkeep.Expire(ctx(), time.Hour)
			return err
		},
		want: "unmarked, 1 objects", outcome: ownership,
	},
}

// ownership is the state of both marks, and how many objects are left.
func ownership(b bench, o objects.Store) string {
	state, err := store.NewOwner(b.Store, o, nil).Check(ctx())
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%s, %d objects", state, len(storetest.Keys(b, o, ""))-map[store.Ownership]int{store.Owned: 1}[state])
}

func mustSweepAll(t testing.TB, w *store.Owner) {
	t.Helper()
	if _, err := w.SweepOrphans(ctx(), 0); err != nil {
		t.Fatal(err)
	}
}

// eachOutage makes a call again and again with an outage that begins at its first message, its second, and so on, until it
// does not meet one. Each time it must fail as in an outage, and succeed when it is made once more.
func (b bench) eachOutage(c upkeepCall, open func(n int) objects.Store, interrupted func(n int) (*store.Store, *store.Owner, func())) {
	b.Helper()
	for n := 1; ; n++ {
		b.exec(`TRUNCATE uploads, orphans, deletions, installation, models, request_keys CASCADE`)
		direct := open(n)
		c.prepare(b, direct)
		s, w, restore := interrupted(n)
		err := c.call(b, s, w)
		restore()
		if err == nil && n == 1 {
			b.Error("there was no outage")
		}
		if err != nil && !store.Unavailable(err) && !errors.Is(err, errUnknownOwner) {
			b.Errorf("outage %d: %v", n, err)
		}
		if err != nil {
			if err := c.call(b, b.Store, store.NewOwner(b.Store, direct, nil)); err != nil {
				b.Errorf("after outage %d: %v", n, err)
			}
		}
		wantEqual(b, fmt.Sprintf("after outage %d", n), c.outcome(b, direct), c.want)
		if err == nil || b.Failed() {
			return
		}
	}
}

// TestUpkeep_DatabaseCutAnywhere cuts the connection to the database in place of each message of an upkeep's call.
func TestUpkeep_DatabaseCutAnywhere(t *testing.T) {
	for name, c := range upkeepCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, store.Config{})
			var direct objects.Store
			open := func(int) objects.Store {
				direct = directory(t)
				return direct
			}
			b.eachOutage(c, open, func(n int) (*store.Store, *store.Owner, func()) {
				relay := newCutRelay(t, b.url)
				s := openAt(t, relay.url)
				relay.left.Store(int64(n))
				return s, store.NewOwner(s, direct, nil), func() { relay.left.Store(0) }
			})
		})
	}
}

// TestUpkeep_ObjectStoreFailsAnywhere lets the object store fail from each request of an upkeep's call on.
func TestUpkeep_ObjectStoreFailsAnywhere(t *testing.T) {
	for name, c := range upkeepCalls {
		if !c.objects {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, store.Config{})
			faults, config := storetest.NewFaults(t, storetest.S3(t))
			config.RetryPause = time.Millisecond
			open := func(n int) objects.Store {
				config.Prefix = fmt.Sprint("outage", n)
				o, err := objects.OpenS3(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			b.eachOutage(c, open, func(n int) (*store.Store, *store.Owner, func()) {
				var requests atomic.Int64
				faults.Answer(func(*http.Request) (int, string) {
					if requests.Add(1) < int64(n) {
						return 0, ""
					}
					return http.StatusInternalServerError, "InternalError"
				})
				return b.Store, store.NewOwner(b.Store, open(n), nil), func() { faults.Answer(nil) }
			})
		})
	}
}
