package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/storetest"
	"github.com/retainwise/millrace/store/storetest/proxy"
)

// flipBench is a server on an object store that can be made to flip bits: on the way to the program, and where it lies.
type flipBench struct {
	*testAPI
	database string
	files    string // the directory that the objects lie in
	flips    *proxy.BitFlips
}

// eachFlipped runs a test with a directory and with a bucket.
func eachFlipped(t *testing.T, test func(t *testing.T, a flipBench)) {
	for name, open := range map[string]func(*testing.T, *proxy.BitFlips) (objects.Store, string){
		"directory": flippedDirectory, "bucket": flippedBucket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := flipBench{database: storetest.Postgres(t), flips: new(proxy.BitFlips)}
			var flipped objects.Store
			flipped, a.files = open(t, a.flips)
			a.testAPI = startAPI(t, func(c *api.Config, p *api.Parts) {
				p.Store = storetest.Open(t, store.Config{URL: a.database})
				p.Objects = flipped
				c.UploadLimits = ingest.Limits{ChunkBytes: 8 << 10, PartBytes: 40 << 10}
			})
			a.objects = flipped
			test(t, a)
		})
	}
}

// startFlipBench starts a server on a directory.
func startFlipBench(t *testing.T) flipBench {
	a := flipBench{database: storetest.Postgres(t)}
	a.testAPI = startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, store.Config{URL: a.database})
	})
	return a
}

// withoutDigests makes all rows those of an older version.
func (a flipBench) withoutDigests() {
	storetest.Exec(a.t, a.database, `UPDATE prediction_parts SET input_digest = NULL, snapshot_digest = NULL`)
	storetest.Exec(a.t, a.database, `UPDATE predictions SET result_digest = NULL, result_sha256 = NULL,
		rejects_digest = NULL, rejects_sha256 = NULL`)
}

func flippedBucket(t *testing.T, flips *proxy.BitFlips) (objects.Store, string) {
	config := storetest.S3(t)
	target, err := url.Parse(config.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: flips.Modify,
	})
	t.Cleanup(front.Close)
	config.Endpoint = front.URL
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return o, storetest.S3Dir(t, config.Bucket)
}

func flippedDirectory(t *testing.T, flips *proxy.BitFlips) (objects.Store, string) {
	dir := t.TempDir()
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	return flippedReads{o, flips}, dir
}

// flippedReads flips the bits of a directory as the proxy does those of a bucket.
type flippedReads struct {
	objects.Store
	flips *proxy.BitFlips
}

func (f flippedReads) Get(ctx context.Context, key string, r objects.Range, etag string) (io.ReadCloser, objects.Info, error) {
	body, info, err := f.Store.Get(ctx, key, r, etag)
	if err != nil {
		return body, info, err
	}
	length := info.Bytes - r.Offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	answer := http.Response{
		StatusCode: http.StatusOK, Body: body, ContentLength: length,
		Request: httptest.NewRequest(http.MethodGet, "/?x-id=GetObject", nil),
	}
	err = f.flips.Modify(&answer)
	return answer.Body, info, err
}

// flipBit flips a bit at a random place of a file without a trace in its times, and returns what flips it back.
func flipBit(t *testing.T, path string) (restore func()) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil || len(content) == 0 {
		t.Fatalf("%s has %d bytes: %v", path, len(content), err)
	}
	at, bit := rand.IntN(len(content)), byte(1)<<rand.IntN(8)
	flip := func(b byte) {
		stat, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			return
		}
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := file.WriteAt([]byte{b}, int64(at)); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Chtimes(path, stat.ModTime(), stat.ModTime()); err != nil {
			t.Error(err)
		}
	}
	flip(content[at] ^ bit)
	return func() { flip(content[at]) }
}

// file returns the path of the only object whose key ends so.
func (a flipBench) file(pattern string) string {
	a.t.Helper()
	found, err := filepath.Glob(filepath.Join(a.files, pattern))
	if err != nil || len(found) == 0 {
		a.t.Fatalf("%d objects %s: %v", len(found), pattern, err)
	}
	return found[rand.IntN(len(found))]
}

// customerFile has rows of several parts, a tenth of them with a tenure that is no number.
func customerFile(rows int, shift float64) string {
	random := rand.New(rand.NewPCG(7, 8))
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for i := range rows {
		tenure := fmt.Sprint(random.IntN(72))
		if random.IntN(10) == 0 {
			tenure = "unknown"
		}
		fmt.Fprintf(&b, "C-%d,%s,%.2f,%.2f,Month-to-month\n", i, tenure, 20+shift+90*random.Float64(), 900*random.Float64())
	}
	return b.String()
}

// download reads a path; what is wrong with it is an error and not the test's end.
func (a flipBench) download(path string, options ...option) (answer, error) {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.url+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", a.token("owner"))
	req.Header.Set("Accept-Encoding", "identity")
	for _, o := range options {
		o(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: text}, join(err, resp.Body.Close())
}

func wantEqual(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func join(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func reprDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// wantRight reads a file of a prediction in all ways: right, or not as a success. It returns how many were no success.
func (a flipBench) wantRight(path string, want []byte, reads int) (failed int) {
	a.t.Helper()
	for range reads {
		var options []option
		part, status := want, http.StatusOK
		if rand.IntN(3) > 0 {
			from := rand.IntN(len(want))
			to := from + 1 + rand.IntN(len(want)-from)
			part, status = want[from:to], http.StatusPartialContent
			options = append(options, header("Range", fmt.Sprintf("bytes=%d-%d", from, to-1)))
		}
		got, err := a.download(path, options...)
		switch {
		case err != nil:
			failed++
		case got.status == http.StatusServiceUnavailable:
			got.wantError(a.t, got.status, "ERR-1502")
			failed++
		case got.status != status || !bytes.Equal(got.body, part):
			a.t.Fatalf("%s: status %d with %d bytes that are not those of the file", path, got.status, len(got.body))
		case got.header.Get("Repr-Digest") != reprDigest(want):
			a.t.Errorf("%s: Repr-Digest %q", path, got.header.Get("Repr-Digest"))
		}
	}
	return failed
}

// files of a prediction that is undisturbed.
type calmFiles struct{ result, rejects []byte }

func (a flipBench) calm(text string) calmFiles {
	a.t.Helper()
	id := a.finished(text)["prediction_id"].(string)
	return calmFiles{
		a.get("/predictions/"+id+"/download").want(a.t, http.StatusOK).body,
		a.get("/predictions/"+id+"/rejects").want(a.t, http.StatusOK).body,
	}
}

// wantCalm checks a prediction that has ended.
func (a flipBench) wantCalm(view map[string]any, want calmFiles) {
	a.t.Helper()
	if view["status"] != "completed" {
		a.t.Fatalf("%v: %v", view["status"], view["error"])
	}
	path := "/predictions/" + view["prediction_id"].(string)
	for name, content := range map[string][]byte{"/download": want.result, "/rejects": want.rejects} {
		if failed := a.wantRight(path+name, content, 3); failed > 0 {
			a.t.Errorf("%s: %d reads failed", path+name, failed)
		}
	}
}

// changesOf returns the comparison with the previous upload.
func changesOf(t *testing.T, view map[string]any) map[string]any {
	t.Helper()
	summary, _ := view["summary"].(map[string]any)
	changes, _ := summary["changes"].(map[string]any)
	if changes == nil {
		t.Fatalf("no comparison in %v", view["summary"])
	}
	delete(changes, "previous")
	return changes
}

// Bits flip in every third answer of the object store, in uploads, parts, results, snapshots and the installation's mark,
// while files are scored, compared and downloaded: nothing wrong is published or sent, and all ends right.
func TestBitFlips_OnTheWay(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		a.work()
		first, second := customerFile(4000, 0), customerFile(4000, 3)
		a.calm(first)
		want := a.calm(second)
		changes := changesOf(t, a.get("/predictions/"+a.newest()).object(t))

		a.flips.Begin(3) // so that a step which reads all parts is right in most attempts: those who fail for a minute are charged
		a.ended(a.upload(first))
		id := a.upload(second)
		view := a.ended(id)
		failed := a.wantRight("/predictions/"+id+"/download", want.result, 20)
		for range 50 {
			if a.flips.Count() >= 20 {
				break
			}
			failed += a.wantRight("/predictions/"+id+"/download", want.result, 5)
		}
		a.put("inbox/owner/march.csv", second)
		dropped := a.dropped("inbox/owner/march.csv")
		a.flips.End()

		a.wantCalm(view, want)
		a.wantCalm(a.ended(dropped), want)
		if got := changesOf(t, a.get("/predictions/"+id).object(t)); fmt.Sprint(got) != fmt.Sprint(changes) {
			t.Errorf("changes %v, want %v", got, changes)
		}
		if a.flips.Count() < 20 {
			t.Errorf("%d bits flipped", a.flips.Count())
		}
		t.Logf("%d bits flipped, %d downloads without success", a.flips.Count(), failed)
		wantEqual(t, "charged attempts", storetest.Ask(t, a.database, `SELECT count(*) FROM prediction_failures`), "0")
	})
}

// dropped enqueues a dropped file as the queue's event does, and returns the id of its prediction.
func (a flipBench) dropped(key string) string {
	a.t.Helper()
	event := queue.ObjectEvent{Bucket: "b", Key: key}
	_, err := serve.HandleMessage(a.t.Context(), a.store, a.objects, a.log, queue.Notice{Objects: []queue.ObjectEvent{event}})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.newest()
}

// A bit flips in an upload between its acceptance and its scoring: nothing is scored until it is right again, and then all
// is.
func TestBitFlips_StoredUpload(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		stop := a.work()
		text := customerFile(4000, 0)
		want := a.calm(text)
		stop()
		for range 3 {
			id := a.upload(text)
			upload := storetest.Ask(t, a.database, `SELECT object_key FROM uploads ORDER BY id DESC LIMIT 1`)
			restore := flipBit(t, filepath.Join(a.files, upload))
			stop := a.work()
			waitFor(t, "the postponement", func() bool {
				view := a.get("/predictions/" + id).object(t)
				if view["done"] == true {
					t.Fatalf("%v %v", view["status"], view["error"])
				}
				reason, _ := view["status_reason"].(string)
				return strings.Contains(reason, "damaged")
			})
			restore()
			a.wantCalm(a.ended(id), want)
			stop()
		}
		wantEqual(t, "charged attempts", storetest.Ask(t, a.database, `SELECT count(*) FROM prediction_failures`), "0")
		if text := a.scrape(); strings.Contains(text, `millrace_damaged_reads_total{kind="upload"} 0`) ||
			strings.Contains(text, `millrace_attempts_total{result="damaged"} 0`) {
			t.Error("not counted")
		}
	})
}

// Every read of a dropped file flips a bit while it is planned: neither a plan nor an error is made of it.
func TestBitFlips_DroppedFile(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		a.work()
		text := customerFile(4000, 0)
		want := a.calm(text)
		for range 3 {
			key := fmt.Sprintf("inbox/owner/%d.csv", rand.Int64())
			a.put(key, text)
			a.flips.Begin(1)
			id := a.dropped(key)
			waitFor(t, "the postponement", func() bool {
				view := a.get("/predictions/" + id).object(t)
				reason, _ := view["status_reason"].(string)
				return strings.Contains(reason, "damaged") || view["done"] == true
			})
			a.flips.End()
			a.wantCalm(a.ended(id), want)
		}
	})
}

// A bit flips in what a part has left before the last step joins it.
func TestBitFlips_StoredParts(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		stop := a.work()
		text := customerFile(4000, 0)
		want := a.calm(text)
		stop()
		for _, name := range []string{"[0-9]*-result.csv", "[0-9]*-rejects.csv"} {
			var restore func()
			once := sync.OnceFunc(func() { restore = flipBit(t, a.file("results/*/1/parts/"+name)) })
			a.withHook(func() { once() }, func() {
				id := a.upload(text)
				waitFor(t, "the postponement", func() bool {
					return storetest.Ask(t, a.database, `SELECT count(*) FROM predictions WHERE finish_refused AND finish_due`) == "1"
				})
				if view := a.get("/predictions/" + id).object(t); view["done"] == true {
					t.Fatalf("%v", view["status"])
				}
				restore()
				a.wantCalm(a.ended(id), want)
			})
		}
	})
}

// withHook runs f beside a worker that calls before each time before it joins results.
func (a flipBench) withHook(before, f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		hook := joinHook{a.objects, func() error { before(); return nil }}
		serve.RunWorker(ctx, a.store, hook, a.models, a.metrics, slog.New(slog.DiscardHandler), a.customers)
	})
	defer func() {
		cancel()
		worker.Wait()
	}()
	f()
}

// A bit flips in a published file: it is sent in no form, in whole or in part, and pages of explained rows neither.
func TestBitFlips_StoredResults(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		a.work()
		want := a.calm(customerFile(4000, 0))
		path := "/predictions/" + a.newest()
		page := path + "/rows?explain=true&limit=100&sort=probability"
		rows := a.get(page).want(t, http.StatusOK).body
		lines := a.get(path+"/download?format=jsonl").want(t, http.StatusOK).body
		for range 10 {
			for name, content := range map[string][]byte{"download": want.result, "rejects": want.rejects} {
				file := map[string]string{"download": "result.csv", "rejects": "rejects.csv"}[name]
				restore := flipBit(t, a.file("results/*/1/"+file))
				a.wantRight(path+"/"+name, content, 3)
				if got, err := a.download(path + "/" + name); err == nil && got.status == http.StatusOK {
					t.Errorf("%s: the whole was sent", name)
				}
				a.wantNothingElse(path+"/download?format=jsonl", lines)
				a.wantNothingElse(page, rows)
				restore()
				if failed := a.wantRight(path+"/"+name, content, 2); failed > 0 {
					t.Errorf("%s: %d reads failed after all", name, failed)
				}
			}
		}
		a.wantNothingElse(page, rows)
	})
}

// wantNothingElse reads a path: what it gives is as wanted, or no success.
func (a flipBench) wantNothingElse(path string, want []byte) {
	a.t.Helper()
	got, err := a.download(path)
	if err == nil && got.status == http.StatusOK && !bytes.Equal(got.body, want) {
		a.t.Errorf("%s: other bytes", path)
	}
	if err == nil && got.status != http.StatusOK {
		got.wantError(a.t, http.StatusServiceUnavailable, "ERR-1502")
	}
}

// A bit flips in a snapshot of the previous upload before the next is compared with it.
func TestBitFlips_StoredSnapshots(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		a.work()
		first, second := customerFile(4000, 0), customerFile(4000, 3)
		a.calm(first)
		want := a.calm(second)
		changes := changesOf(t, a.get("/predictions/"+a.newest()).object(t))
		a.calm(first)
		previous := a.newest()
		restore := flipBit(t, a.file("results/"+previous+"/1/snapshot/[0-9]*"))
		id := a.upload(second)
		waitFor(t, "the postponement", func() bool {
			return storetest.Ask(t, a.database, `SELECT count(*) FROM predictions WHERE finish_refused AND finish_due`) == "1"
		})
		restore()
		view := a.ended(id)
		a.wantCalm(view, want)
		if got := changesOf(t, view); fmt.Sprint(got) != fmt.Sprint(changes) {
			t.Errorf("changes %v, want %v", got, changes)
		}
	})
}

// What stays damaged is made anew where it can be: parts by scoring again, and a comparison is given up.
func TestBitFlips_StayDamaged(t *testing.T) {
	t.Parallel()
	eachFlipped(t, func(t *testing.T, a flipBench) {
		stop := a.work()
		text := customerFile(4000, 0)
		want := a.calm(text)
		stop()
		damage := sync.OnceFunc(func() { flipBit(t, a.file("results/*/1/parts/[0-9]*-result.csv")) })
		a.withHook(damage, func() {
			id := a.upload(text)
			waitFor(t, "the postponement", func() bool {
				return storetest.Ask(t, a.database, `SELECT count(*) FROM predictions WHERE finish_refused AND finish_due`) == "1"
			})
			a.aMinuteLater()
			view := a.ended(id)
			wantEqual(t, "generation", storetest.Ask(t, a.database, `SELECT max(generation) FROM predictions`), "2")
			a.wantCalm(view, want)
		})
		flipBit(t, a.file("results/"+a.newest()+"/2/snapshot/[0-9]*"))
		a.work()
		id := a.upload(text)
		waitFor(t, "the postponement", func() bool {
			return storetest.Ask(t, a.database, `SELECT count(*) FROM predictions WHERE finish_refused AND finish_due`) == "1"
		})
		a.aMinuteLater()
		view := a.ended(id)
		a.wantCalm(view, want)
		wantEqual(t, "comparison", fmt.Sprint(changesOf(t, view)["status"]), "previous_unavailable")
	})
}

// aMinuteLater sets the begin of all postponements back.
func (a flipBench) aMinuteLater() {
	storetest.Exec(a.t, a.database, `
		UPDATE predictions SET finish_postponed_since = finish_postponed_since - interval '1 minute' WHERE finish_refused`)
}

// What an older version has stored has no digests: it is read as it was, and counted.
func TestDigests_OfOlderVersions(t *testing.T) {
	eachFlipped(t, func(t *testing.T, a flipBench) {
		stop := a.work()
		text := customerFile(4000, 0)
		want := a.calm(text)
		older := a.newest()
		stop()
		id := a.upload(text)
		a.withoutDigests()
		a.work()
		a.wantCalm(a.ended(id), want)
		got := a.get("/predictions/"+older+"/download").want(t, http.StatusOK)
		if !bytes.Equal(got.body, want.result) || got.header.Get("Repr-Digest") != "" {
			t.Errorf("%d bytes, Repr-Digest %q", len(got.body), got.header.Get("Repr-Digest"))
		}
		text = a.scrape()
		for _, kind := range []string{"upload", "result", "snapshot"} {
			if strings.Contains(text, `millrace_reads_without_digest_total{kind="`+kind+`"} 0`) {
				t.Errorf("%s: not counted", kind)
			}
		}
	})
}

// The result of several large parts is joined by S3 itself; its SHA-256 is computed for the first download and kept.
func TestReprDigest_JoinedByTheServer(t *testing.T) {
	eachFlipped(t, func(t *testing.T, a flipBench) {
		id := a.upload(telecom)
		a.work()
		a.ended(id)
		var parts []objects.Source
		var content []byte
		for i, n := range []int{5 << 20, 6 << 20, 7} {
			text := storetest.Pattern(n + i)[i:]
			info, err := a.objects.Put(t.Context(), fmt.Sprint("uploads/", i), bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, objects.Source{Key: info.Key, Digest: info.Digest})
			content = append(content, text...)
		}
		key := storetest.Ask(t, a.database, `SELECT result_key FROM predictions`)
		info, err := a.objects.Compose(t.Context(), key, parts)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Exec(t, a.database, fmt.Sprintf(`UPDATE predictions SET result_sha256 = NULL, result_etag = '%s', result_bytes = %d,
			result_digest = '\x%x'`, info.ETag, len(content), []byte(info.Digest)))
		if failed := a.wantRight("/predictions/"+id+"/download", content, 4); failed > 0 {
			t.Errorf("%d reads failed", failed)
		}
		head := a.do(http.MethodHead, "/predictions/"+id+"/download", nil).want(t, http.StatusOK)
		wantEqual(t, "of HEAD", head.header.Get("Repr-Digest"), reprDigest(content))
		sum := sha256.Sum256(content)
		wantEqual(t, "recorded", storetest.Ask(t, a.database, `SELECT encode(result_sha256, 'hex') FROM predictions`),
			fmt.Sprintf("%x", sum))
		packed := a.get("/predictions/"+id+"/download", header("Accept-Encoding", "gzip")).want(t, http.StatusOK)
		wantEqual(t, "of a packed answer", packed.header.Get("Repr-Digest"), "")
		flipBit(t, filepath.Join(a.files, key))
		storetest.Exec(t, a.database, `UPDATE predictions SET result_sha256 = NULL`)
		a.get("/predictions/"+id+"/download", header("Range", "bytes=0-0")).
			wantError(t, http.StatusServiceUnavailable, "ERR-1502")
	})
}
