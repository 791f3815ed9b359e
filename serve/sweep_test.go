package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// whileRunning runs a loop until something has come true, and then ends it.
func whileRunning(t *testing.T, loop func(context.Context), until func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		loop(ctx)
	}()
	for end := time.Now().Add(time.Minute); !until(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("it was waited for in vain")
			break
		}
	}
	cancel()
	<-done
}

// link makes an upload link that ends after life, and puts a file there.
func (a *testAPI) link(life time.Duration, promised int, text string) store.UploadLink {
	a.t.Helper()
	l := store.UploadLink{
		ID: store.NewID(), UserID: a.owner(), Filename: "march.csv", Bytes: int64(promised), Explain: "all",
		Options: json.RawMessage(`{}`),
	}
	if err := a.store.UploadLinks.Create(a.t.Context(), &l, life); err != nil {
		a.t.Fatal(err)
	}
	a.put(store.DirectKey(l.ID), text)
	return l
}

func (a *testAPI) put(key, text string) {
	a.t.Helper()
	if _, err := a.objects.Put(a.t.Context(), key, strings.NewReader(text)); err != nil {
		a.t.Fatal(err)
	}
}

// The sweep deletes abandoned links with their files, and the objects of queued deletions.
func TestSweep(t *testing.T) {
	a := startAPI(t, nil)
	abandoned, open := a.link(-25*time.Hour, 5, "a,b\n1"), a.link(-23*time.Hour, 5, "a,b\n1")
	deleted := a.upload(telecom)
	a.do(http.MethodDelete, "/predictions/"+deleted, nil).want(t, http.StatusNoContent)
	want := []string{store.DirectKey(open.ID)}
	whileRunning(t, func(ctx context.Context) { serve.Sweep(ctx, a.store, a.objects, a.log) }, func() bool {
		return slices.Equal(a.objectKeys(), want)
	})
	if keys := a.objectKeys(); !slices.Equal(keys, want) {
		t.Errorf("left %v, want %v", keys, want)
	}
	if _, err := a.store.UploadLinks.OfObject(t.Context(), abandoned.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link: %v", err)
	}
}

// Every step of the sweep runs, and its error is logged, even if all fail.
func TestSweep_ContinuesAfterErrors(t *testing.T) {
	a := startAPI(t, nil)
	a.store.Close()
	whileRunning(t, func(ctx context.Context) { serve.Sweep(ctx, a.store, a.objects, a.log) }, func() bool {
		return strings.Contains(a.log.String(), `"sweep deletions"`)
	})
	for _, message := range []string{"sweep", "sweep keys", "sweep budgets", "sweep upload links"} {
		if !strings.Contains(a.log.String(), `"msg":"`+message+`"`) {
			t.Errorf("%q is not in the log:\n%s", message, a.log)
		}
	}
}

// age makes a file of the object store as old as that.
func (a *testAPI) age(key string, age time.Duration) {
	a.t.Helper()
	at := time.Now().Add(-age)
	if err := os.Chtimes(filepath.Join(a.dir, filepath.FromSlash(key)), at, at); err != nil {
		a.t.Fatal(err)
	}
}

// unlistedObjects is an object store that lists only the inbox.
type unlistedObjects struct{ objects.Store }

func (h unlistedObjects) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	if prefix != objects.InboxPrefix {
		return func(yield func(objects.Info, error) bool) { yield(objects.Info{}, errors.New("no such luck")) }
	}
	return h.Store.List(ctx, prefix)
}

// The upkeep expires results, deletes orphans and enqueues dropped files without an event.
func TestUpkeep(t *testing.T) {
	a := startAPI(t, nil)
	stop := a.work()
	finished := a.finished(telecom)
	stop()
	orphan, fresh := objects.InputKey(store.NewID()), objects.InputKey(store.NewID())
	a.put(orphan, "a,b\n")
	a.put(fresh, "a,b\n")
	a.age(orphan, 25*time.Hour)
	for name, age := range map[string]time.Duration{"old": 6 * time.Minute, "new": time.Minute} {
		a.put("inbox/owner/"+name+".csv", telecom)
		a.age("inbox/owner/"+name+".csv", age)
	}
	whileRunning(t, func(ctx context.Context) {
		serve.Upkeep(ctx, a.store, a.objects, time.Millisecond, a.log)
	}, func() bool { return a.predictions() == 2 && !slices.Contains(a.objectKeys(), orphan) })
	list := a.get("/predictions").object(t)["predictions"].([]any)
	if got := list[0].(map[string]any)["filename"]; got != "old.csv" || len(list) != 2 {
		t.Errorf("%d predictions, the newest of %v", len(list), got)
	}
	a.get(finished["links"].(map[string]any)["download"].(string)).wantError(t, http.StatusGone, "ERR-1108")
	if keys := a.objectKeys(); slices.Contains(keys, orphan) || !slices.Contains(keys, fresh) {
		t.Errorf("left %v; %s should be gone and %s not", keys, orphan, fresh)
	}
	if log := a.log.String(); !strings.Contains(log, `"expired":1`) || !strings.Contains(log, `"orphans":1`) ||
		!strings.Contains(log, string(objects.UnknownID)) {
		t.Errorf("log: %s", a.log)
	}
}

// Steps after a failed one run as well, and its error is logged.
func TestUpkeep_ContinuesAfterErrors(t *testing.T) {
	a := startAPI(t, nil)
	a.put("inbox/owner/march.csv", telecom)
	a.age("inbox/owner/march.csv", time.Hour)
	whileRunning(t, func(ctx context.Context) { serve.Upkeep(ctx, a.store, unlistedObjects{a.objects}, 0, a.log) }, func() bool {
		return strings.Contains(a.log.String(), "no such luck")
	})
	if n := a.predictions(); n != 1 {
		t.Errorf("%d predictions", n)
	}
}

// created is the news of a file in the bucket.
func created(bucket, key string) queue.Notice {
	return queue.Notice{Objects: []queue.ObjectEvent{{
		Bucket: bucket, Key: key,
	}}}
}

// Messages of the queue about files: only errors that a retry may fix leave the message in the queue, and what is set aside
// is logged without the name of a file.
func TestQueueHandler_ObjectEvents(t *testing.T) {
	a := startAPI(t, nil)
	good, wrong := a.link(time.Hour, len(telecom), telecom), a.link(time.Hour, 1, telecom)
	missing := a.link(time.Hour, 1, "x")
	if err := a.objects.Delete(t.Context(), objects.Deleted, store.DirectKey(missing.ID)); err != nil {
		t.Fatal(err)
	}
	leaving := as(a.token("leaving"))
	a.get("/account", leaving).want(t, http.StatusOK)
	a.do(http.MethodDelete, "/account", nil, leaving).want(t, http.StatusNoContent)
	a.put("inbox/owner/a.csv", telecom)
	a.put("inbox/leaving/a.csv", telecom)
	for _, test := range []struct {
		name, bucket, key string
		made              int // predictions
		aside             queue.Reason
		logged            string
	}{
		{name: "another bucket", bucket: "c", key: "inbox/owner/a.csv", aside: queue.OtherBucket},
		{name: "a result", bucket: "b", key: "results/a/1/result.csv"},
		{name: "a dropped file", bucket: "b", key: "inbox/owner/a.csv", made: 1, logged: `"created":true`},
		{name: "the same again", bucket: "b", key: "inbox/owner/a.csv", logged: `"created":false`},
		{name: "a file that is not there", bucket: "b", key: "inbox/owner/b.csv", aside: queue.Gone},
		{name: "a file outside of the users' folders", bucket: "b", key: "inbox/a.csv", aside: queue.NoUser},
		{name: "a file of no user", bucket: "b", key: "inbox//a.csv", aside: queue.NoUser},
		{name: "a user's folder", bucket: "b", key: "inbox/owner/", aside: queue.FolderMarker},
		{name: "a folder of theirs", bucket: "b", key: "inbox/owner/2026/", aside: queue.FolderMarker},
		{name: "NUL in the key", bucket: "b", key: "inbox/owner/a\x00.csv", aside: queue.InvalidKey},
		{name: "a hidden file", bucket: "b", key: "inbox/owner/.a.csv", aside: queue.InvalidKey},
		{name: "an empty folder name", bucket: "b", key: "inbox/owner//a.csv", aside: queue.InvalidKey},
		{name: "a file of a deleted account", bucket: "b", key: "inbox/leaving/a.csv", aside: queue.DeletedAccount},
		{name: "a link's file", bucket: "b", key: store.DirectKey(good.ID), made: 1},
		{name: "the same link again", bucket: "b", key: store.DirectKey(good.ID)},
		{name: "a file without a link", bucket: "b", key: store.DirectKey(uuid.New()), logged: "without an upload link"},
		{name: "no name of a link", bucket: "b", key: "direct/a.csv"},
		{name: "another bucket's link", bucket: "c", key: store.DirectKey(missing.ID), aside: queue.OtherBucket},
		{name: "a file of another size", bucket: "b", key: store.DirectKey(wrong.ID), aside: queue.WrongSize},
		{name: "a missing file", bucket: "b", key: store.DirectKey(missing.ID), aside: queue.Gone},
	} {
		before, log := a.predictions(), new(logBuffer)
		woken, err := serve.HandleMessage(t.Context(), a.store, a.objects, log, created(test.bucket, test.key))
		if err != nil || !woken {
			t.Errorf("%s: woken %v, %v", test.name, woken, err)
		}
		if aside := fmt.Sprintf(`"notice set aside","reason":%q`, test.aside); test.aside != "" &&
			!strings.Contains(log.String(), aside) || strings.Contains(log.String(), ".csv") {
			t.Errorf("%s: log %s, want %s", test.name, log, aside)
		}
		if made := a.predictions() - before; made != test.made || !strings.Contains(log.String(), test.logged) {
			t.Errorf("%s: %d predictions, log %s", test.name, made, log)
		}
	}
	if keys := a.objectKeys(); slices.Contains(keys, store.DirectKey(wrong.ID)) {
		t.Error("the file of another size is kept")
	}
	a.do(http.MethodDelete, "/predictions/"+a.newest(), nil).want(t, http.StatusNoContent)
	again := created("b", store.DirectKey(good.ID))
	if _, err := serve.HandleMessage(t.Context(), a.store, a.objects, a.log, again); err != nil {
		t.Errorf("a late message about a prediction that was deleted: %v", err)
	}
	complete := "/upload-links/" + good.ID.String() + "/complete"
	a.do(http.MethodPost, complete, nil).wantError(t, http.StatusNotFound, "ERR-1101")
}

// newest is the id of the prediction that was made last.
func (a *testAPI) newest() string {
	list := a.get("/predictions").want(a.t, http.StatusOK).object(a.t)["predictions"].([]any)
	return list[0].(map[string]any)["prediction_id"].(string)
}
