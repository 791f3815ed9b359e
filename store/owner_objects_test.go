package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/retainwise/millrace/store"
)

// Only what may be ours is deleted, and each deletion is in the log with its reason but without what customers named.
func TestDeletionsAreLogged(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o store.Objects) {
		var log bytes.Buffer
		w := store.NewOwner(b.Store, o, slog.New(slog.NewTextHandler(&log, nil)))
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		put(t, o, "other/a", []byte("x"))
		put(t, o, "resultsx/a", []byte("x"))
		for _, key := range []string{store.MarkKey, "other/a", "resultsx/a"} {
			wantErr(t, w.Objects().Delete(t.Context(), store.Deleted, key), store.ErrKey)
			if _, err := o.Head(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
		key := store.InputKey(store.NewID())
		put(t, o, key, []byte("x"))
		put(t, o, "inbox/u/smith.csv", []byte("x"))
		if err := w.Objects().Delete(t.Context(), store.Refused, key, "inbox/u/smith.csv"); err != nil {
			t.Fatal(err)
		}
		if said := log.String(); !strings.Contains(said, key) || !strings.Contains(said, string(store.Refused)) ||
			strings.Contains(said, "smith") || strings.Contains(said, "inbox/u") {
			t.Errorf("log: %s", said)
		}
	})
}
