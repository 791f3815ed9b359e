package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func (b bench) key(text string) *store.RequestKey {
	b.Helper()
	k, err := b.Accounts.ClaimKey(b.Context(), b.user.ID, "POST /upload", text)
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func TestRequestKey(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour})
	age := func(by string) { // all claims, as if so much time had passed
		t.Helper()
		b.exec(`UPDATE request_keys SET claimed_until = claimed_until - $1::interval`, by)
	}
	first := b.key("k")
	_, err := b.Accounts.ClaimKey(t.Context(), b.user.ID, "POST /upload", "k")
	wantErr(t, err, store.ErrKeyInUse)
	b.key("other")
	if _, err := b.Accounts.ClaimKey(t.Context(), b.user.ID, "POST /other", "k"); err != nil {
		t.Error(err)
	}
	age("40 minutes")
	if err := b.Accounts.RenewKey(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	age("40 minutes")
	_, err = b.Accounts.ClaimKey(t.Context(), b.user.ID, "POST /upload", "k")
	wantErr(t, err, store.ErrKeyInUse) // renewed
	age("40 minutes")
	second := b.key("k")
	wantErr(t, b.Accounts.RenewKey(t.Context(), first), store.ErrLeaseLost)
	u := newUpload(b.user.ID, 10)
	u.Key = first
	_, err = b.Predictions.CreateUpload(t.Context(), u)
	wantErr(t, err, store.ErrLeaseLost)
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 0)
	if err := b.Accounts.ReleaseKey(t.Context(), first); err != nil { // is no longer its own
		t.Fatal(err)
	}
	second.Fingerprint[5] = 7
	u.Key = second
	p, err := b.Predictions.CreateUpload(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Accounts.ReleaseKey(t.Context(), second); err != nil { // nor can what is done be released
		t.Fatal(err)
	}
	again := b.key("k")
	if !again.Done || again.Made != p.ID || again.Fingerprint != second.Fingerprint {
		t.Errorf("got %+v", again)
	}
	if err := b.Upkeep.SweepKeys(t.Context()); err != nil || !b.key("k").Done {
		t.Errorf("swept too early: %v", err)
	}
	b.exec(`UPDATE request_keys SET expires_at = clock_timestamp() WHERE prediction_id IS NOT NULL`)
	if b.key("k").Done {
		t.Error("kept for ever")
	}
	b.exec(`UPDATE request_keys SET claimed_until = clock_timestamp() - interval '25 hours'`)
	if err := b.Upkeep.SweepKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "keys", ask[int](b, `SELECT count(*)::int FROM request_keys`), 0)
}

// TestRequestKeyIsClaimedOnce lets many requests claim and release one key at the same time.
func TestRequestKeyIsClaimedOnce(t *testing.T) {
	b := newBench(t, store.Config{})
	var group sync.WaitGroup
	var mu sync.Mutex
	holders, made := 0, 0
	for range 8 {
		group.Go(func() {
			for range 20 {
				k, err := b.Accounts.ClaimKey(ctx(), b.user.ID, "POST /upload", "k")
				if errors.Is(err, store.ErrKeyInUse) {
					continue
				}
				if err != nil || k.Done {
					t.Errorf("claim: %v", err)
					return
				}
				mu.Lock()
				made++
				if holders++; holders != 1 {
					t.Errorf("%d hold the key", holders)
				}
				mu.Unlock()
				mu.Lock()
				holders--
				mu.Unlock()
				if err := b.Accounts.ReleaseKey(ctx(), k); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if made == 0 {
		t.Error("no request got the key")
	}
}

// TestRequestKeyWhenTheConnectionBreaks cuts the connection in front of and behind everything that an upload under a
// key sends. Either it happened and the key is done, or it did not and the key is free again: one upload in the end.
func TestRequestKeyWhenTheConnectionBreaks(t *testing.T) {
	b := newBench(t, store.Config{})
	relay := newCutRelay(t, b.url)
	for _, behind := range []bool{false, true} {
		for n, whole := int64(1), false; !whole; n++ {
			s := storetest.Open(t, store.Config{URL: relay.url, ConnsMax: 1})
			before := ask[int](b, `SELECT count(*)::int FROM predictions`)
			u, key := newUpload(b.user.ID, 10), fmt.Sprint(n, behind)
			u.Key = b.key(key)
			relay.behind.Store(behind)
			relay.left.Store(n)
			_, err := s.Predictions.CreateUpload(ctx(), u)
			whole = relay.left.Load() > 0
			relay.left.Store(0)
			if err := b.Accounts.ReleaseKey(ctx(), u.Key); err != nil {
				t.Fatal(err)
			}
			if k := b.key(key); !k.Done {
				u.ID, u.Key = store.NewID(), k
				u.ObjectKey = objects.InputKey(u.ID)
				if _, err := b.Predictions.CreateUpload(ctx(), u); err != nil {
					t.Fatal(err)
				}
			}
			if made := ask[int](b, `SELECT count(*)::int FROM predictions`) - before; made != 1 {
				t.Errorf("cut %d, behind %v: %d predictions after %v", n, behind, made, err)
			}
		}
	}
}

func TestPossibleDuplicate(t *testing.T) {
	b := newBench(t, store.Config{})
	first, second := b.upload(10), b.upload(10)
	if first.PossibleDuplicateOf != nil || second.PossibleDuplicateOf == nil || *second.PossibleDuplicateOf != first.ID {
		t.Errorf("got %v and %v", first.PossibleDuplicateOf, second.PossibleDuplicateOf)
	}
	for name, change := range map[string]func(*store.NewUpload){
		"other content": func(u *store.NewUpload) { u.SHA256[3] = 9 },
		"other model":   func(u *store.NewUpload) { u.Model.SHA256 = "ff" },
		"other version": func(u *store.NewUpload) { u.Model.Version = "2" },
		"under a key":   func(u *store.NewUpload) { u.Key = b.key("d") },
	} {
		u := newUpload(b.user.ID, 10)
		change(&u)
		if p, err := b.Predictions.CreateUpload(ctx(), u); err != nil || p.PossibleDuplicateOf != nil {
			t.Errorf("%s: %v, %v", name, p.PossibleDuplicateOf, err)
		}
	}
	b.exec(`UPDATE uploads SET created_at = created_at - interval '11 minutes'`)
	if p := b.upload(10); p.PossibleDuplicateOf != nil {
		t.Error("of long ago")
	}
}
