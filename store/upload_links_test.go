package store_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func (b bench) link(life time.Duration) store.UploadLink {
	b.Helper()
	l := store.UploadLink{
		ID: store.NewID(), UserID: b.user.ID, Filename: "march.csv", Bytes: 7, Model: "telecom", Explain: "all",
		Options: []byte(`{"guard": "off"}`),
	}
	if err := b.UploadLinks.Create(b.Context(), &l, life); err != nil {
		b.Fatal(err)
	}
	return l
}

// A link becomes one prediction, of its owner's, however often and by however many it is completed.
func TestUploadLink(t *testing.T) {
	b := newBench(t, store.Config{})
	l := b.link(15 * time.Minute)
	if left := time.Until(l.ExpiresAt); left < 14*time.Minute || left > 16*time.Minute {
		t.Errorf("it is good for %v", left)
	}
	for who, find := range map[string]func() (store.UploadLink, error){
		"its owner": func() (store.UploadLink, error) { return b.UploadLinks.Get(t.Context(), b.user.ID, l.ID) },
		"an event":  func() (store.UploadLink, error) { return b.UploadLinks.OfObject(t.Context(), l.ID) },
	} {
		got, err := find()
		if err != nil || got.Filename != l.Filename || got.Bytes != 7 || got.Model != "telecom" ||
			got.Explain != "all" || string(got.Options) != string(l.Options) || got.Prediction != uuid.Nil ||
			!got.ExpiresAt.Equal(l.ExpiresAt) {
			t.Errorf("%s finds %+v: %v", who, got, err)
		}
	}
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.UploadLinks.Get(t.Context(), other.ID, l.ID)
	wantErr(t, err, store.ErrNotFound)
	_, err = b.UploadLinks.OfObject(t.Context(), uuid.New())
	wantErr(t, err, store.ErrNotFound)
	theirs := l
	theirs.UserID = other.ID
	_, err = b.UploadLinks.Complete(t.Context(), theirs, objects.Info{Bytes: 7})
	wantErr(t, err, store.ErrNotFound)

	made := make([]store.Prediction, 8)
	var group sync.WaitGroup
	for i := range made {
		group.Go(func() {
			var err error
			if made[i], err = b.UploadLinks.Complete(t.Context(), l, objects.Info{Bytes: 7, ETag: `"e"`}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, p := range made {
		wantEqual(t, "prediction", p.ID, made[0].ID)
	}
	p := made[0]
	if p.UserID != b.user.ID || p.UploadID != l.ID || p.Filename != "march.csv" || p.Status != store.Queued {
		t.Errorf("%+v", p)
	}
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 1)
	wantEqual(t, "its file", b.claim("w").ObjectKey, store.DirectKey(l.ID))
	if l, err = b.UploadLinks.OfObject(t.Context(), l.ID); err != nil || l.Prediction != p.ID {
		t.Errorf("the link says %v: %v", l.Prediction, err)
	}
}

// Links are deleted a while after they expired; files of uncompleted ones are left to SweepDeletions.
func TestUploadLinks_Sweep(t *testing.T) {
	b := newBench(t, store.Config{})
	abandoned, completed, open := b.link(-2*time.Hour), b.link(-2*time.Hour), b.link(-30*time.Minute)
	if _, err := b.UploadLinks.Complete(t.Context(), completed, objects.Info{Bytes: 7}); err != nil {
		t.Fatal(err)
	}
	if err := b.UploadLinks.Sweep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "to be deleted", ask[string](b, `SELECT string_agg(upload_id::text, ' ') FROM deletions`),
		abandoned.ID.String())
	wantEqual(t, "left", ask[string](b, `SELECT string_agg(public_id::text, ' ') FROM upload_links`), open.ID.String())
}

func TestDirectUpload(t *testing.T) {
	id := uuid.MustParse("019a0000-0000-7000-8000-000000000001")
	for key, want := range map[string]bool{
		"direct/019a0000-0000-7000-8000-000000000001.csv":   true,
		"direct/019A0000-0000-7000-8000-000000000001.csv":   false,
		"direct/{019a0000-0000-7000-8000-000000000001}.csv": false,
		"direct/019a0000-0000-7000-8000-000000000001":       false,
		"019a0000-0000-7000-8000-000000000001.csv":          false,
		"direct/a.csv": false, "": false,
	} {
		if got, ok := store.DirectUpload(key); ok != want || ok && got != id {
			t.Errorf("%q: %v, %v", key, got, ok)
		}
	}
}

// A link puts one object of one size, once and for a while.
func TestPresignedPut(t *testing.T) {
	o, err := objects.OpenS3(t.Context(), storetest.S3(t))
	if err != nil {
		t.Fatal(err)
	}
	links := o.(objects.Presigner)
	_, err = links.PresignPut(t.Context(), "../x", 7, time.Minute)
	wantErr(t, err, objects.ErrKey)
	send := func(p objects.PresignedPut, text string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.URL, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range p.Headers {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	presign := func(life time.Duration) objects.PresignedPut {
		t.Helper()
		p, err := links.PresignPut(t.Context(), "direct/a.csv", 7, life)
		if err != nil || p.Headers["Host"] != "" || p.Headers["If-None-Match"] != "*" {
			t.Fatal(p, err)
		}
		return p
	}
	short := presign(time.Second)
	time.Sleep(2500 * time.Millisecond)
	wantEqual(t, "after its time", send(short, "a,b\n1,2")/100, 4)
	good := presign(time.Minute)
	wantEqual(t, "another size", send(good, "a,b\n1,2,3")/100, 4)
	wantEqual(t, "the promised file", send(good, "a,b\n1,2"), http.StatusOK)
	wantEqual(t, "again", send(good, "x,y\n3,4"), http.StatusPreconditionFailed)
	wantEqual(t, "content", string(storetest.GetObject(t, o, "direct/a.csv", objects.Range{}, "")), "a,b\n1,2")
}

// Links that are made at the same time have nothing in common but the bucket.
func TestPresignedPut_Concurrently(t *testing.T) {
	o, err := objects.OpenS3(t.Context(), storetest.S3(t))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			p, err := o.(objects.Presigner).PresignPut(t.Context(), "direct/a.csv", 7, time.Duration(i+1)*time.Minute)
			if err != nil || !strings.Contains(p.URL, fmt.Sprintf("X-Amz-Expires=%d&", (i+1)*60)) {
				t.Errorf("for %d minutes: %s, %v", i+1, p.URL, err)
			}
		})
	}
	group.Wait()
}
