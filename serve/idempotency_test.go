package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// unavailableObjects is an object store that tests can make unavailable.
type unavailableObjects struct {
	objects.Store
	away atomic.Bool
}

func (o *unavailableObjects) Put(ctx context.Context, key string, r io.Reader) (objects.Info, error) {
	if o.away.Load() {
		return objects.Info{}, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return o.Store.Put(ctx, key, r)
}

func onceKey(text string) option { return header("Idempotency-Key", text) }

// predictions counts the owner's predictions.
func (a *testAPI) predictions() int {
	a.t.Helper()
	return len(a.get("/predictions?limit=100").object(a.t)["predictions"].([]any))
}

// TestIdempotency_OneUploadPerKey sends the same request many times at once, and again until each has its answer.
func TestIdempotency_OneUploadPerKey(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	answers := a.atOnce(100, func() answer { return a.post("/upload?filename=march.csv", telecom, onceKey("k")) })
	first := 0
	for _, r := range answers {
		r.want(t, http.StatusOK)
		if !bytes.Equal(r.body, answers[0].body) || r.header.Get("Location") != answers[0].header.Get("Location") {
			t.Fatalf("two answers:\n%s\n%s", r.body, answers[0].body)
		}
		if r.header.Get("Idempotent-Replayed") == "" {
			first++
		}
	}
	if n := a.predictions(); n != 1 || first != 1 {
		t.Errorf("%d predictions, %d of them first answers", n, first)
	}
	if keys := a.objectKeys(); len(inputs(keys)) != 1 {
		t.Errorf("objects %v", keys)
	}
}

func inputs(keys []string) (list []string) {
	for _, key := range keys {
		if strings.HasSuffix(key, "/input.csv") {
			list = append(list, key)
		}
	}
	return list
}

func TestIdempotency_Replay(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	id := a.upload(telecom, onceKey("k"))
	same := func(r answer) {
		t.Helper()
		if r.object(t)["prediction_id"] != id || r.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("got %s, %v", r.body, r.header)
		}
	}
	same(a.post("/upload?filename=march.csv", telecom, onceKey("k")).want(t, http.StatusOK))
	done := a.post("/upload?filename=march.csv", telecom, onceKey("k"), header("Prefer", "wait=30"))
	same(done.want(t, http.StatusOK))
	for name, r := range map[string]answer{
		"other content":   a.post("/upload?filename=march.csv", bad, onceKey("k")),
		"other name":      a.post("/upload?filename=april.csv", telecom, onceKey("k")),
		"other parameter": a.post("/upload?filename=march.csv&explain=none", telecom, onceKey("k")),
	} {
		t.Run(name, func(t *testing.T) { r.wantError(t, http.StatusUnprocessableEntity, "ERR-1312") })
	}
	body, contentType := form(t, "march.csv", []byte(telecom), "model", "telecom")
	first := a.postForm("/upload", body, contentType, onceKey("f")).want(t, http.StatusOK)
	body, contentType = form(t, "march.csv", []byte(telecom), "model", "telecom") // another boundary
	if again := a.postForm("/upload", body, contentType, onceKey("f")); !bytes.Equal(again.body, first.body) {
		t.Errorf("a form again: %s", again.body)
	}
	body, contentType = form(t, "march.csv", []byte(telecom), "dataset", "x")
	a.postForm("/upload", body, contentType, onceKey("f")).wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
	other := a.post("/upload?filename=march.csv", telecom, onceKey("k"), as(a.token("other")))
	if other.want(t, http.StatusOK).object(t)["prediction_id"] == id {
		t.Error("a key of another user")
	}
	if n := a.predictions(); n != 2 {
		t.Errorf("%d predictions", n)
	}
	if keys := a.objectKeys(); len(inputs(keys)) != 3 {
		t.Errorf("objects %v", keys)
	}
}

// TestIdempotency_ReplayAfterFinish sends a request again when its prediction is finished: the answer is still the first one,
// byte for byte, though the links of the prediction name a generation now.
func TestIdempotency_ReplayAfterFinish(t *testing.T) {
	a := startAPI(t, nil)
	first := a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK)
	a.work()
	done := a.post("/upload", telecom, onceKey("k"), header("Prefer", "wait=30")).want(t, http.StatusOK).object(t)
	if rows := done["links"].(map[string]any)["rows"].(string); !strings.HasSuffix(rows, "?generation=1") {
		t.Fatalf("not finished: %s", rows)
	}
	if again := a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK); !bytes.Equal(again.body, first.body) {
		t.Errorf("now it is\n%s\nand was\n%s", again.body, first.body)
	}
}

// TestIdempotency_RefusedRequestReleasesKey sends what is refused and then what is not, under the same key.
func TestIdempotency_RefusedRequestReleasesKey(t *testing.T) {
	away := &unavailableObjects{}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		away.Store = p.Objects
		p.Objects = away
	})
	a.post("/upload?model=weather", telecom, onceKey("k")).wantError(t, http.StatusNotFound, "ERR-1701")
	a.post("/upload", "customerID\n1\n", onceKey("k")).wantError(t, http.StatusBadRequest, "ERR-1004")
	a.post("/upload", "", onceKey("k")).wantError(t, http.StatusBadRequest, "ERR-1005")
	a.post("/upload?max_rejected=x", telecom, onceKey("k")).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	away.away.Store(true)
	a.post("/upload", telecom, onceKey("k")).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
	away.away.Store(false)
	r := a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK)
	if r.header.Get("Idempotent-Replayed") != "" {
		t.Error("a refusal was kept")
	}
}

func TestIdempotency_Keys(t *testing.T) {
	a := startAPI(t, nil)
	for text, code := range map[string]string{
		"": "ERR-1303", strings.Repeat("k", 256): "ERR-1303", "kö": "ERR-1302", "a\tb": "ERR-1302",
	} {
		a.post("/upload", telecom, onceKey(text)).wantError(t, http.StatusUnprocessableEntity, code)
	}
	twice := func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }
	a.post("/upload", telecom, twice).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	a.post("/upload", telecom, onceKey(strings.Repeat("k", 255))).want(t, http.StatusOK)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func TestContentDigest(t *testing.T) {
	a := startAPI(t, nil)
	long := sha512.Sum512([]byte(telecom))
	both := "unknown=:AA==:, " + digest(telecom) + ",sha-512=:" + base64.StdEncoding.EncodeToString(long[:]) + ":"
	a.post("/upload", telecom, header("Content-Digest", both)).want(t, http.StatusOK)
	before := len(a.leftovers())
	for _, path := range []string{"/upload", "/validate", "/score"} {
		e := a.post(path, telecom, header("Content-Digest", digest(bad))).wantError(t, http.StatusBadRequest, "ERR-1013")
		if !e.Retryable {
			t.Error("not retryable")
		}
	}
	body, contentType := form(t, "a.csv", []byte(telecom))
	a.postForm("/upload", body, contentType, header("Content-Digest", digest(telecom))).
		wantError(t, http.StatusBadRequest, "ERR-1013") // of the file, not of the body
	a.postForm("/upload", body, contentType, header("Content-Digest", digest(string(body)))).
		want(t, http.StatusOK)
	for _, wrong := range []string{"sha-256=abc", "sha-256=:AA==:", "sha-512=:" + strings.Repeat("=", 88) + ":"} {
		a.post("/upload", telecom, header("Content-Digest", wrong)).
			wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	}
	if after := len(a.leftovers()); after != before+2 { // one file and its ETag
		t.Errorf("%d files left behind", after-before-2)
	}
}

// uploadHead begins an upload under the key "k" on a bare connection.
func (a *testAPI) uploadHead(length int) string {
	return fmt.Sprintf("POST /upload?filename=march.csv HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n"+
		"Content-Type: text/csv\r\nContent-Length: %d\r\nIdempotency-Key: k\r\n", a.token("owner"), length)
}

// TestIdempotency_DigestAvoidsReadingBody announces a body that never comes: the digest says whether it is the same request.
func TestIdempotency_DigestAvoidsReadingBody(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom, onceKey("k"))
	ask := func(announced string) answer {
		r, err := a.raw(a.uploadHead(1_000_000) + "Content-Digest: " + announced + "\r\n\r\nc")
		if err != nil {
			t.Fatal(err)
		}
		if !r.closes {
			t.Error("the connection stays, with the body on its way")
		}
		return r
	}
	if got := ask(digest(telecom)).want(t, http.StatusOK); got.object(t)["prediction_id"] != id {
		t.Errorf("same request: %s", got.body)
	}
	ask(digest(bad)).wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
}

// TestIdempotency_Crashes breaks an upload off where the reference names it, and sends it again with the same key.
func TestIdempotency_Crashes(t *testing.T) {
	for name, crash := range map[string]func(*testAPI){
		"C2: stored, then dead before the commit": func(a *testAPI) {
			if _, err := a.store.Accounts.ClaimKey(context.Background(), a.owner(), "POST /upload", "k"); err != nil {
				t.Fatal(err)
			}
			id := store.NewID()
			if _, err := a.objects.Put(context.Background(), objects.InputKey(id), strings.NewReader(telecom)); err != nil {
				t.Fatal(err)
			}
		},
		"C4: committed, answer not sent": func(a *testAPI) {
			conn, err := net.Dial("tcp", a.address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, a.uploadHead(len(telecom))+"\r\n"+telecom)
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t, func(_ *api.Config, p *api.Parts) {
				p.Store = storetest.Open(t, store.Config{Lease: 300 * time.Millisecond})
			})
			crash(a)
			var id any
			for id == nil {
				r := a.post("/upload?filename=march.csv", telecom, onceKey("k"))
				if r.status == http.StatusConflict {
					r.wantError(t, http.StatusConflict, "ERR-1313")
					time.Sleep(50 * time.Millisecond)
					continue
				}
				id = r.want(t, http.StatusOK).object(t)["prediction_id"]
			}
			if again := a.upload(telecom, onceKey("k")); again != id || a.predictions() != 1 {
				t.Errorf("%s after %s, %d predictions", again, id, a.predictions())
			}
		})
	}
}

// owner is the internal id of the user whom requests are sent as.
func (a *testAPI) owner() int64 {
	a.t.Helper()
	u, err := a.store.Accounts.EnsureUser(context.Background(), "owner")
	if err != nil {
		a.t.Fatal(err)
	}
	return u.ID
}

// TestIdempotency_AgainstModel sends random requests under random keys and compares what happens with a map.
func TestIdempotency_AgainstModel(t *testing.T) {
	a := startAPI(t, nil)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	type made struct{ request, id string }
	known := map[string]made{}
	uploads := 0
	for range 60 {
		key := fmt.Sprint("key ", random.IntN(6))
		path := "/upload?filename=" + []string{"a.csv", "b.csv"}[random.IntN(2)]
		text := []string{telecom, bad, "x\n"}[random.IntN(3)]
		r := a.post(path, text, onceKey(key), header("Content-Digest", digest(text)))
		before, exists := known[key]
		switch {
		case exists && before.request != path+text:
			r.wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
		case exists:
			if id := r.want(t, http.StatusOK).object(t)["prediction_id"]; id != before.id {
				t.Fatalf("%s: %v, not %s", key, id, before.id)
			}
		case text == "x\n":
			r.wantError(t, http.StatusBadRequest, "ERR-1005")
		default:
			uploads++
			known[key] = made{path + text, r.want(t, http.StatusOK).object(t)["prediction_id"].(string)}
		}
	}
	if n := a.predictions(); n != uploads {
		t.Errorf("%d predictions of %d uploads", n, uploads)
	}
}

func TestPossibleDuplicates(t *testing.T) {
	a := startAPI(t, nil)
	of := func(path, text string, options ...option) any {
		view := a.post(path, text, options...).want(t, http.StatusOK).object(t)
		resource := a.get(view["links"].(map[string]any)["self"].(string)).object(t)
		if view["possible_duplicate_of"] != resource["possible_duplicate_of"] {
			t.Errorf("answer and resource differ: %v, %v", view, resource["possible_duplicate_of"])
		}
		return view["possible_duplicate_of"]
	}
	id := a.upload(telecom)
	if got := of("/upload?filename=other.csv", telecom); got != id {
		t.Errorf("the same content: %v, want %s", got, id)
	}
	for name, got := range map[string]any{
		"other content": of("/upload", bad), "with a key": of("/upload", telecom, onceKey("k")),
		"another user": a.post("/upload", telecom, as(a.token("other"))).object(t)["possible_duplicate_of"],
	} {
		if got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestIdempotency_OneAccessKeyPerKey sends the same wish many times at once. The secret is in one answer only.
func TestIdempotency_OneAccessKeyPerKey(t *testing.T) {
	a := startAPI(t, nil)
	const wish = `{"name":"job","scopes":["write","read"]}`
	answers := a.atOnce(20, func() answer { return a.postJSON("/keys", wish, onceKey("k")) })
	secrets := 0
	for _, r := range answers {
		view := r.want(t, http.StatusCreated).object(t)
		_, secret := view["key"]
		if secret {
			secrets++
		}
		if secret == (r.header.Get("Idempotent-Replayed") == "true") || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("secret %v, %v", secret, r.header)
		}
	}
	list := a.get("/keys").object(t)["keys"].([]any)
	if len(list) != 1 || secrets != 1 {
		t.Fatalf("%d keys, %d secrets", len(list), secrets)
	}
	reordered := a.postJSON("/keys", `{"scopes":["read","write"],"name":" job "}`, onceKey("k")).want(t, http.StatusCreated)
	if id := list[0].(map[string]any)["id"]; reordered.object(t)["id"] != id {
		t.Errorf("the same wish in other words: %s", reordered.body)
	}
	a.postJSON("/keys", `{"name":"job","scopes":["read"]}`, onceKey("k")).
		wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
	a.postJSON("/keys", `{"name":"job"}`, onceKey("free")).wantError(t, http.StatusUnprocessableEntity, "ERR-1301")
	a.postJSON("/keys", wish, onceKey("free")).want(t, http.StatusCreated)
	a.do(http.MethodDelete, "/keys/"+list[0].(map[string]any)["id"].(string), nil).want(t, http.StatusNoContent)
	a.postJSON("/keys", wish, onceKey("k")).wantError(t, http.StatusNotFound, "ERR-1206")
}

// atOnce sends the same request n times concurrently, and repeats each until it is not refused because another one runs.
func (a *testAPI) atOnce(n int, send func() answer) []answer {
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for answers[i] = send(); answers[i].status == http.StatusConflict; answers[i] = send() {
				answers[i].wantError(a.t, http.StatusConflict, "ERR-1313")
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	return answers
}

// TestIdempotency_OneUploadLinkPerKey gets one link, which is signed anew and works as the first did.
func TestIdempotency_OneUploadLinkPerKey(t *testing.T) {
	a := startAPIOnS3(t)
	path := fmt.Sprintf("/upload-links?bytes=%d", len(telecom))
	answers := a.atOnce(5, func() answer { return a.do(http.MethodPost, path, nil, onceKey("k")) })
	first, replayed := answers[0].want(t, http.StatusCreated).object(t), 0
	for _, r := range answers {
		link := r.want(t, http.StatusCreated).object(t)
		if link["link_id"] != first["link_id"] || link["expires_at"] != first["expires_at"] {
			t.Errorf("%v and %v", link, first)
		}
		if r.header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
	}
	if replayed != 4 {
		t.Errorf("%d replayed", replayed)
	}
	a.do(http.MethodPost, path+"&guard=off", nil, onceKey("k")).wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
	again := a.do(http.MethodPost, path, nil, onceKey("k")).want(t, http.StatusCreated).object(t)
	if got := putTo(t, again, telecom, nil); got != http.StatusOK {
		t.Fatalf("put: %d", got)
	}
	complete := again["links"].(map[string]any)["complete"].(string)
	made := map[any]bool{}
	for _, r := range a.atOnce(5, func() answer { return a.do(http.MethodPost, complete, nil) }) {
		made[r.want(t, http.StatusOK).object(t)["prediction_id"]] = true
	}
	if n := a.predictions(); n != 1 || len(made) != 1 {
		t.Errorf("%d predictions, %d answers", n, len(made))
	}
	if err := a.store.UploadLinks.Sweep(t.Context(), -time.Hour); err != nil {
		t.Fatal(err)
	}
	a.do(http.MethodPost, path, nil, onceKey("k")).wantError(t, http.StatusNotFound, "ERR-1101")
}
