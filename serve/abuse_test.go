package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/place"
)

// hostile is connections of callers who want to stop the service for others, until stop.
type hostile struct {
	a    *testAPI
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
	mu   sync.Mutex
	got  map[string]int // answers by status and code
}

func (a *testAPI) hostile() *hostile {
	ctx, stop := context.WithCancel(a.t.Context())
	h := &hostile{a: a, ctx: ctx, stop: stop, got: map[string]int{}}
	a.t.Cleanup(h.end)
	return h
}

// end ends the connections and waits for them.
func (h *hostile) end() {
	h.stop()
	h.all.Wait()
}

// send opens n connections, sends head on each, and then more, every 100 ms.
func (h *hostile) send(n int, head, more string) {
	h.a.t.Helper()
	for range n {
		c, err := net.Dial("tcp", h.a.address)
		if err != nil {
			h.a.t.Fatal(err)
		}
		stop := context.AfterFunc(h.ctx, func() { _ = c.Close() })
		_, _ = io.WriteString(c, head)
		if more == "" {
			h.all.Go(func() { // reads nothing
				<-h.ctx.Done()
				stop()
			})
			continue
		}
		h.all.Go(func() { h.note(c) })
		h.all.Go(func() {
			for h.ctx.Err() == nil {
				if _, err := io.WriteString(c, more); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// note counts the answer on a connection.
func (h *hostile) note(c net.Conn) {
	r, err := readAnswer(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, code, _ := strings.Cut(string(r.body), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got[strconv.Itoa(r.status)+" "+code]++
}

func (h *hostile) answers() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.got)
}

// slowScores and slowUploads send at little more than the least rate that is accepted.
func (h *hostile) slowScores(n int, user string) {
	piece := strings.Repeat("A-1,5,70.35,350.5,Month-to-month\n", 80)
	h.send(n, "POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: "+h.a.token(user)+"\r\nContent-Type: text/csv\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n37\r\ncustomerID,tenure,MonthlyCharges,TotalCharges,Contract\n\r\n",
		fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
}

func (h *hostile) slowUploads(n int, user string) {
	h.send(n, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: "+h.a.token(user)+"\r\nContent-Type: text/csv\r\n"+
		"Content-Length: 40000000\r\n\r\ncustomerID,tenure,MonthlyCharges,TotalCharges,Contract\n",
		strings.Repeat("A-1,5,70.35,350.5,Month-to-month\n", 80))
}

// atRest is what is counted while requests run.
type atRest struct {
	running, places    float64
	goroutines, opened int
}

// rest looks at what the server holds, without the test's own idle connections.
func (a *testAPI) rest() (r atRest) {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	for line := range strings.Lines(a.metricsText()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch {
		case name == "millrace_http_requests_in_flight":
			r.running = n
		case strings.HasPrefix(name, "millrace_places_used"):
			r.places += n
		}
	}
	r.goroutines = runtime.NumGoroutine()
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.opened = len(list)
	}
	return r
}

// metricsText is what is scraped.
func (a *testAPI) metricsText() string {
	w := httptest.NewRecorder()
	a.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// waitAtRest waits until no more is held than before.
func (a *testAPI) waitAtRest(before atRest) {
	a.t.Helper()
	var now atRest
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		now = a.rest()
		// The pools of database connections and of fasthttp's goroutines may have grown.
		if now.running <= before.running && now.places <= before.places && now.goroutines <= before.goroutines+40 &&
			now.opened <= before.opened+40 {
			return
		}
	}
	a.t.Errorf("%+v before, and afterwards %+v", before, now)
}

// TestAbuse has users whose requests are slow, or many, while another scores, uploads and asks: none of its requests fails,
// and when the others have gone nothing of theirs is left.
func TestAbuse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.Places = place.Config{Scores: 2, Uploads: 4, Streams: 8}
	})
	id := a.upload(telecom)
	a.victim(t, 2)
	before := a.rest()
	h := a.hostile()
	h.slowScores(60, "mallory")
	h.slowScores(60, "eve")
	h.slowUploads(8, "mallory")
	h.slowUploads(8, "eve")
	h.send(100, "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n", "")
	h.send(50, "GET /docs", "") // half a request
	h.send(20, "GET /predictions/"+id+"/events HTTP/1.1\r\nHost: x\r\nAuthorization: "+a.token("owner")+"\r\n\r\n", "")
	a.victim(t, 30)
	time.Sleep(6 * time.Second) // until slow clients count as slow
	a.victim(t, 30)
	if got := h.answers(); !strings.Contains(got, "503 ERR-1404") && !strings.Contains(got, "408 ERR-1406") {
		t.Errorf("nothing was short: the attackers were answered %s", got)
	}
	h.end()
	a.waitAtRest(before)
}

// victim sends n requests that must all succeed.
func (a *testAPI) victim(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		var r answer
		switch i % 3 {
		case 0:
			r = a.post("/score", telecom, as(a.token("victim")))
		case 1:
			r = a.post("/upload", telecom, as(a.token("victim")))
		case 2:
			r = a.get("/predictions", as(a.token("victim")))
		}
		if r.status != http.StatusOK {
			t.Errorf("request %d: %d %.300s", i, r.status, r.body)
		}
	}
}

// TestScore_PlaceIsTakenForWork has more slow bodies on their way than there are places to score, of two users, so that
// their shares are not what helps.
func TestScore_PlaceIsTakenForWork(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Scores = 2 })
	h := a.hostile()
	h.slowScores(2, "mallory")
	h.slowScores(2, "eve")
	waitFor(t, "four requests", func() bool { return a.rest().running == 4 })
	a.post("/score", telecom).want(t, http.StatusOK)
	a.post("/validate", telecom).want(t, http.StatusOK)
}

// TestUpload_OneUserLeavesPlaces has one user ask for more places than there are.
func TestUpload_OneUserLeavesPlaces(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Uploads = 4 })
	h := a.hostile()
	h.slowUploads(6, "mallory")
	waitFor(t, "the refusal of two", func() bool { return strings.Contains(h.answers(), "503 ERR-1404:4") })
	for range 3 {
		a.post("/upload", telecom).want(t, http.StatusOK)
	}
}

// TestUpload_SlowLosesPlace takes the only place with a slow upload, which loses it to the next user; the error names how to do
// without one.
func TestUpload_SlowLosesPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Uploads = 1 })
	h := a.hostile()
	h.slowUploads(1, "mallory")
	waitFor(t, "the place to be taken", func() bool { return a.post("/upload", telecom).status != http.StatusOK })
	waitFor(t, "the place to be lost", func() bool { return a.post("/upload", telecom).status == http.StatusOK })
	waitFor(t, "the answer", func() bool { return h.answers() != "map[]" })
	if got := h.answers(); got != "map[408 ERR-1406:1]" {
		t.Errorf("the slow upload was answered %s", got)
	}
}

// TestExpect_AbandonedIsNotCounted closes connections between "100 Continue" and the body.
func TestExpect_AbandonedIsNotCounted(t *testing.T) {
	a := startAPI(t, nil)
	before := a.rest()
	const n = 20
	for range n {
		c, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
			"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n", a.token("owner"))
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
			t.Fatalf("%q, %v", line, err)
		}
		_ = c.Close()
	}
	waitFor(t, "a log line for each", func() bool { return strings.Count(a.log.String(), `"msg":"request"`) == n })
	a.waitAtRest(before)
}

// TestConnections_PerAddress refuses connections of an address that has its bound; behind a trusted proxy those of the
// clients that it names are counted, and not its own.
func TestConnections_PerAddress(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.Places = place.Config{Connections: 50, ConnectionsPerAddress: 10}
	})
	h := a.hostile()
	h.send(10, "GET /docs", "")
	waitFor(t, "ten connections", func() bool { return a.rest().places == 10 })
	r, err := a.raw("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if err == nil {
		r.wantError(t, http.StatusServiceUnavailable, "ERR-1404")
	}
	h.end()
	waitFor(t, "the next connection", func() bool {
		r, err := a.raw("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		return err == nil && r.status == http.StatusOK
	})
}

func TestConnections_ForwardedAddress(t *testing.T) {
	proxies, err := api.ParseNetworks([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.TrustedProxies, c.Places = proxies, place.Config{Connections: 50, ConnectionsPerAddress: 5}
	})
	id := a.upload(telecom)
	h := a.hostile()
	h.send(8, "GET /predictions/"+id+"/events HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: "+
		a.token("owner")+"\r\n\r\n", "")
	waitFor(t, "five streams", func() bool { return strings.Contains(a.metricsText(), `millrace_places_used{kind="streams"} 5`) })
	a.get("/predictions", header("X-Forwarded-For", "192.0.2.1")).wantError(t, http.StatusServiceUnavailable, "ERR-1404")
	a.get("/health", header("X-Forwarded-For", "192.0.2.1")).want(t, http.StatusOK)
	a.get("/predictions", header("X-Forwarded-For", "192.0.2.2")).want(t, http.StatusOK)
	h.end()
	waitFor(t, "the client's connections", func() bool {
		return a.get("/predictions", header("X-Forwarded-For", "192.0.2.1")).status == http.StatusOK
	})
}
