package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// Only keys below own folders and the inbox are deleted, and each deletion is logged with its reason but without file
// names.
func TestDeletionsAreLogged(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		var log bytes.Buffer
		w := store.NewOwner(b.Store, o, slog.New(slog.NewTextHandler(&log, nil)))
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		storetest.PutObject(t, o, "other/a", []byte("x"))
		storetest.PutObject(t, o, "resultsx/a", []byte("x"))
		for _, key := range []string{objects.MarkKey, "other/a", "resultsx/a"} {
			wantErr(t, w.Objects().Delete(t.Context(), objects.Deleted, key), objects.ErrKey)
			if _, err := o.Head(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
		key := objects.InputKey(store.NewID())
		storetest.PutObject(t, o, key, []byte("x"))
		storetest.PutObject(t, o, "inbox/u/smith.csv", []byte("x"))
		if err := w.Objects().Delete(t.Context(), objects.Refused, key, "inbox/u/smith.csv"); err != nil {
			t.Fatal(err)
		}
		if said := log.String(); !strings.Contains(said, key) || !strings.Contains(said, string(objects.Refused)) ||
			strings.Contains(said, "smith") || strings.Contains(said, "inbox/u") {
			t.Errorf("log: %s", said)
		}
	})
}

// A store that has become another installation's is not written to, and is taken for one that is not there: what it
// lacks may lie in the right one.
func TestOwner_RefusesWritesToOtherInstallation(t *testing.T) {
	for name, mark := range map[string]string{
		"another id": `{"installation":"` + uuid.NewString() + `","sweeps":1}`,
		"no mark":    "",
	} {
		t.Run(name, func(t *testing.T) {
			onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
				w := b.start(o)
				mustSweep(t, w)
				guarded := w.Objects()
				if err := store.PingObjects(t.Context(), guarded); err != nil {
					t.Fatal(err)
				}
				storetest.PutObject(t, guarded, "uploads/a", []byte("x"))
				if mark != "" {
					storetest.PutObject(t, o, objects.MarkKey, []byte(mark))
				} else if err := o.Delete(t.Context(), objects.Deleted, objects.MarkKey); err != nil {
					t.Fatal(err)
				}
				err := store.PingObjects(t.Context(), guarded)
				wantErr(t, err, store.ErrNotOwner)
				wantEqual(t, "fault", store.FaultOf(err), store.FaultOutage)
				wantState(t, w, store.Stranger)
				_, err = guarded.Put(t.Context(), "uploads/b", strings.NewReader("x"))
				wantErr(t, err, store.ErrNotOwner)
				_, err = guarded.Compose(t.Context(), "uploads/b", storetest.Sources("uploads/a"))
				wantErr(t, err, store.ErrNotOwner)
				if links, ok := guarded.(objects.Presigner); ok {
					_, err = links.PresignPut(t.Context(), "direct/b.csv", 1, time.Minute)
					wantErr(t, err, store.ErrNotOwner)
				}
				wantEqual(t, "keys", strings.Join(storetest.Keys(t, o, "uploads/"), " "), "uploads/a")
				if err := store.PingObjects(t.Context(), o); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
