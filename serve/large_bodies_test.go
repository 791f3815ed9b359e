package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// withoutLength hides the length of a body, which is then sent in chunks.
func withoutLength(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }

// wide is a good file of some size: rows with a long column that no model uses.
func wide(size int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract,churned,note\n")
	note := strings.Repeat("x", 1000)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "A-%d,5,70.35,350.5,Month-to-month,no,%s\n", i, note)
	}
	return b.String()
}

// startAPIWithURL is startAPI on a database that the test connects to as well.
func startAPIWithURL(t *testing.T, change func(*api.Config, *api.Parts)) (a *testAPI, url string) {
	url = storetest.Postgres(t)
	return startAPI(t, func(c *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, store.Config{URL: url})
		change(c, p)
	}), url
}

// holdScore takes a place to score, by outcomes that wait for the owner's earlier ones, until release.
func (a *testAPI) holdScore(url string) (release func()) {
	a.t.Helper()
	end := storetest.Hold(a.t, url, fmt.Sprintf(`SELECT pg_advisory_lock(hashtext('outcomes'), %d)`, int32(a.owner())))
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if r := a.post("/outcomes", "customerID,churned\nA-1,yes\n"); r.status != http.StatusOK {
			a.t.Errorf("outcomes: %d %.300s", r.status, r.body)
		}
	})
	release = sync.OnceFunc(func() {
		end()
		waiting.Wait()
	})
	a.t.Cleanup(release)
	waitFor(a.t, "the place to be taken", func() bool { return strings.Contains(a.metricsText(), `millrace_places_used{kind="scores"} 1`) })
	return release
}

// TestLargeBody_WorkTakesPlace sends bodies that are worked on while they arrive when no place for that work is free, and
// again when one is.
func TestLargeBody_WorkTakesPlace(t *testing.T) {
	a, url := startAPIWithURL(t, func(c *api.Config, _ *api.Parts) { c.Places.Scores = 1 })
	form, contentType := form(t, "x.csv", []byte(wide(1<<10)))
	send, before := map[string]func() answer{}, a.rest()
	for _, path := range []string{"/validate", "/outcomes"} {
		other := as(a.token("other"))
		send[path+" in chunks"] = func() answer {
			return a.do(http.MethodPost, path, withoutLength(wide(1<<10)), other, header("Content-Type", "text/csv"))
		}
		send[path+" as a form in chunks"] = func() answer {
			return a.do(http.MethodPost, path, withoutLength(string(form)), other, header("Content-Type", contentType))
		}
	}
	release := a.holdScore(url)
	t.Run("refused", func(t *testing.T) {
		for name, ask := range send {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ask().wantError(t, http.StatusServiceUnavailable, "ERR-1404")
			})
		}
	})
	a.post("/upload", wide(1<<10)).want(t, http.StatusOK) // has a place of its own
	release()
	for _, path := range []string{"/validate", "/outcomes"} { // with a length, and of many turns
		send[path+" of 17 MiB"] = func() answer { return a.post(path, wide(17<<20)) }
	}
	for name, ask := range send {
		t.Run(name, func(t *testing.T) { ask().want(t, http.StatusOK) })
	}
	a.waitAtRest(before)
}

// TestLargeBody_TurnsEqualWhole compares what is found in a body that is worked on in turns with what is found in one that was
// read before: no byte is lost or doubled between two batches.
func TestLargeBody_TurnsEqualWhole(t *testing.T) {
	a := startAPI(t, nil)
	file := wide(5<<20) + "A-0,forty,70.35,350.5,Two year,perhaps,x\n"
	for _, path := range []string{"/validate", "/outcomes"} {
		whole := a.post(path, file).want(t, http.StatusOK)
		turns := a.do(http.MethodPost, path, withoutLength(file), header("Content-Type", "text/csv")).want(t, http.StatusOK)
		if string(whole.body) != string(turns.body) || !strings.Contains(string(whole.body), `"rejected":1,`) {
			t.Errorf("%s: %.300s, in turns %.300s", path, whole.body, turns.body)
		}
	}
}

// TestLargeBody_HoldsNoPlaceWhileItWaits has more large bodies half received and worked on than there are places to score, of
// two users, so that their shares are not what helps.
func TestLargeBody_HoldsNoPlaceWhileItWaits(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Scores = 2 })
	front := wide(2 << 20)
	h := a.hostile()
	for _, user := range []string{"mallory", "eve"} {
		for _, path := range []string{"/validate", "/outcomes"} {
			h.send(2, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
				"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", path, a.token(user), len(front), front), "800\r\n"+front[:0x800]+"\r\n")
		}
	}
	waitFor(t, "eight requests", func() bool { return strings.Contains(a.metricsText(), `millrace_places_used{kind="uploads"} 8`) })
	waitFor(t, "their first turns", func() bool { return a.post("/score", telecom).status == http.StatusOK })
	for begin := time.Now(); time.Since(begin) < time.Second; {
		a.post("/score", telecom).want(t, http.StatusOK)
		a.post("/validate", telecom).want(t, http.StatusOK)
	}
}
