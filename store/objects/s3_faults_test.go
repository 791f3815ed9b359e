package objects_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// faultyS3 is a bucket behind a proxy that does what fault wants: it may answer a request itself (true), or change the
// body of the answer by wrapping its writer.
type fault func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool)

func faultyS3(t *testing.T, f fault) (objects.Store, objects.Store) {
	t.Helper()
	config := storetest.S3(t)
	direct, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ErrorLog: quiet(),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w, answered := f(w, r)
		if !answered {
			proxy.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = quiet()
	t.Cleanup(server.Close)
	config.Endpoint, config.ReadTimeout = server.URL, 200*time.Millisecond
	faulty, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return faulty, direct
}

// cutter ends the connection, or stops talking, after some bytes of a body.
type cutter struct {
	http.ResponseWriter
	left  int
	stall time.Duration
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		time.Sleep(c.stall)
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func isBody(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/a/")
}

func TestS3ReadSurvivesBrokenConnections(t *testing.T) {
	for name, stall := range map[string]time.Duration{"cut": 0, "silence": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			const broken = 8
			var requests atomic.Int32
			faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
				if n := requests.Add(1); isBody(r) && n <= broken {
					return &cutter{w, int(n%4) * 50_000, stall}, false
				}
				return w, false
			})
			content := storetest.Pattern(1 << 20)
			info := storetest.PutObject(t, direct, "a/b", content)
			if got := storetest.GetObject(t, faulty, "a/b", objects.Range{Offset: 10}, info.ETag); !bytes.Equal(got, content[10:]) {
				t.Errorf("%d bytes", len(got))
			}
			if n := requests.Load(); n <= broken { // a slow server may seem silent once more
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestS3ReadGivesUp(t *testing.T) {
	faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
		if isBody(r) {
			return &cutter{ResponseWriter: w}, false
		}
		return w, false
	})
	storetest.PutObject(t, direct, "a/b", storetest.Pattern(1000))
	body, _, err := faulty.Get(t.Context(), "a/b", objects.Range{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.ReadAll(body); !errors.Is(err, objects.ErrInterrupted) || !store.Unavailable(err) {
		t.Errorf("%v", err)
	}
}

// After a break, the rest must come from the same object.
func TestS3ReadOfAnObjectThatChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, o objects.Store)
		want   error
	}{
		"replaced": {func(t *testing.T, o objects.Store) { storetest.PutObject(t, o, "a/b", storetest.Pattern(500_000)) }, objects.ErrChanged},
		"deleted": {func(t *testing.T, o objects.Store) {
			if err := o.Delete(t.Context(), objects.Deleted, "a/b"); err != nil {
				t.Fatal(err)
			}
		}, objects.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			var once atomic.Bool
			faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
				if isBody(r) && once.CompareAndSwap(false, true) {
					return &cutter{w, 100_000, 0}, false
				}
				return w, false
			})
			storetest.PutObject(t, direct, "a/b", storetest.Pattern(1<<20))
			body, _, err := faulty.Get(t.Context(), "a/b", objects.Range{}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = body.Close() }()
			c.change(t, direct)
			_, err = io.ReadAll(body)
			wantErr(t, err, c.want)
		})
	}
}

func TestS3Answers(t *testing.T) {
	answer := func(status int, code string) fault {
		return func(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, bool) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
			return w, true
		}
	}
	for name, c := range map[string]struct {
		fault       fault
		full        bool
		unavailable bool
	}{
		"no room":   {answer(507, "XMinioStorageFull"), true, true},
		"throttled": {answer(503, "SlowDown"), false, true},
		"broken":    {answer(500, "InternalError"), false, true},
		"forbidden": {answer(403, "AccessDenied"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _ := faultyS3(t, c.fault)
			_, err := o.Put(t.Context(), "a/b", bytes.NewReader(storetest.Pattern(100)))
			if err == nil || errors.Is(err, objects.ErrStorageFull) != c.full || store.Unavailable(err) != c.unavailable {
				t.Errorf("full %v, unavailable %v: %v", errors.Is(err, objects.ErrStorageFull), store.Unavailable(err), err)
			}
			if _, err := o.Sweep(t.Context(), 0, nil); err == nil {
				t.Error("swept")
			}
			if err := o.Delete(t.Context(), objects.Deleted, "a/b"); err == nil {
				t.Error("deleted")
			}
			if _, err := o.Compose(t.Context(), "a/b", storetest.Sources("a/c")); err == nil {
				t.Error("composed")
			}
		})
	}
}

func TestS3WithoutAServer(t *testing.T) {
	o, err := objects.OpenS3(t.Context(), objects.S3Config{
		Bucket: "b", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "s", Checksums: objects.ChecksumsWhenRequired,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = o.Head(t.Context(), "a/b"); err == nil || !store.Unavailable(err) {
		t.Errorf("%v", err)
	}
}

// The object was completed, but the acknowledgement got lost.
func TestS3ComposeAfterALostAcknowledgement(t *testing.T) {
	var lost atomic.Int32
	faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && lost.Add(1) == 1 {
			return &cutter{ResponseWriter: w}, false
		}
		return w, false
	})
	storetest.PutObject(t, direct, "a/1", storetest.Pattern(5<<20))
	storetest.PutObject(t, direct, "a/2", storetest.Pattern(10))
	info, err := faulty.Compose(t.Context(), "results/whole", storetest.Sources("a/1", "a/2"))
	if err != nil {
		t.Fatal(err)
	}
	if lost.Load() == 0 {
		t.Error("nothing got lost")
	}
	want := append(storetest.Pattern(5<<20), storetest.Pattern(10)...)
	if got := storetest.GetObject(t, direct, "results/whole", objects.Range{}, info.ETag); !bytes.Equal(got, want) {
		t.Errorf("%d bytes", len(got))
	}
}

// A copy that fails in the middle leaves neither an object nor an open upload.
func TestS3ComposeFails(t *testing.T) {
	faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
		if r.URL.Query().Get("partNumber") == "2" {
			w.WriteHeader(http.StatusForbidden)
			return w, true
		}
		return w, false
	})
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		storetest.PutObject(t, direct, key, storetest.Pattern(5<<20))
	}
	if _, err := faulty.Compose(t.Context(), "results/whole", storetest.Sources("a/1", "a/2", "a/3")); err == nil {
		t.Fatal("composed")
	}
	_, err := direct.Head(t.Context(), "results/whole")
	wantErr(t, err, objects.ErrNotFound)
	if left, err := direct.Sweep(t.Context(), 0, nil); left != 0 || err != nil {
		t.Errorf("%d open uploads: %v", left, err)
	}
}

// A put that is cancelled ends its upload with a context that has not ended.
func TestS3CancelledPutIsAborted(t *testing.T) {
	var aborted atomic.Bool
	faulty, _ := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted.Store(true)
		}
		return w, false
	})
	if err := putCancelled(t, faulty, 30<<20); err == nil {
		t.Fatal("stored")
	}
	wantEqual(t, "aborted", aborted.Load(), true)
}

// An upload of a process that was killed is found by the sweep.
func TestS3SweepAbortsOpenUploads(t *testing.T) {
	storetest.SkipOnS3(t, "moto", "says that every open upload began years ago")
	storetest.SkipOnS3(t, "minio", "lists open uploads of whole keys only, and aborts them itself after a day")
	var started atomic.Bool
	faulty, direct := faultyS3(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
		if started.Load() && r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusForbidden) // so that it stays unaborted
			return w, true
		}
		if r.URL.Query().Has("partNumber") {
			started.Store(true)
			w.WriteHeader(http.StatusForbidden)
			return w, true
		}
		return w, false
	})
	if _, err := faulty.Put(t.Context(), "uploads/a/b", bytes.NewReader(storetest.Pattern(20<<20))); err == nil {
		t.Fatal("stored")
	}
	if left, err := direct.Sweep(t.Context(), time.Hour, nil); left != 0 || err != nil {
		t.Errorf("swept %d young ones: %v", left, err)
	}
	if left, err := direct.Sweep(t.Context(), 0, nil); left != 1 || err != nil {
		t.Errorf("swept %d: %v", left, err)
	}
	if left, err := direct.Sweep(t.Context(), 0, nil); left != 0 || err != nil {
		t.Errorf("swept %d again: %v", left, err)
	}
}

func TestS3_UploadsMax(t *testing.T) {
	config := storetest.S3(t)
	config.UploadsMax = 1
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	inside, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		var once sync.Once
		content := bytes.NewReader(storetest.Pattern(10))
		_, err := o.Put(t.Context(), "a/b", readFunc(func(p []byte) (int, error) {
			once.Do(func() { close(inside) })
			<-release
			return content.Read(p)
		}))
		done <- err
	}()
	<-inside
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	if _, err := o.Put(ctx, "a/c", bytes.NewReader(storetest.Pattern(10))); err == nil || ctx.Err() == nil {
		t.Errorf("two at once: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Multipart uploads of others in the same bucket go on, whatever their age: beside our folders, into the inbox, under
// another prefix.
func TestS3SweepLeavesUploadsOfOthers(t *testing.T) {
	storetest.SkipOnS3(t, "minio", "lists open uploads of whole keys only, and aborts them itself after a day")
	config := storetest.S3(t)
	config.Prefix = "ours"
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	theirs := []string{
		"other-app/backup.tar", "uploads/a", "results/a", "ours/inbox/u/a.csv", "ours/direct/a", "ours/a", "ours2/uploads/a",
	}
	ours := []string{"ours/uploads/a", "ours/results/a/1/result.csv"}
	for _, key := range append(theirs, ours...) {
		storetest.OpenMultipart(t, config, key)
	}
	var asked []string
	n, err := o.Sweep(t.Context(), 0, func(key string) error {
		asked = append(asked, "ours/"+key)
		return nil
	})
	slices.Sort(theirs)
	if n != 2 || err != nil || !slices.Equal(asked, ours) {
		t.Errorf("%d swept, %v: %v", n, asked, err)
	}
	if left := storetest.Multiparts(t, config); !slices.Equal(left, theirs) {
		t.Errorf("left %v, want %v", left, theirs)
	}
}
