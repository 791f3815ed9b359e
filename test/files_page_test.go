package test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
)

// TestPageTakesFilesPeopleSend uploads every kind of file of [TestFilesPeopleSend] in the page: it shows the code of a
// refused file, or as many customers as are scored, with the bytes of the command line behind them.
func TestPageTakesFilesPeopleSend(t *testing.T) {
	b, r := startPageOf(t, func(c *serve.RunConfig) { c.API.Rates = &serve.RateLimits{} })
	b.eval("document.getElementById('model').value = 'telecom'")
	random := rand.New(rand.NewPCG(18, 1))
	clean := cleanTable(t, random)
	for _, c := range fileCases(random, clean) {
		if len(c.flags) > 0 {
			continue // the page has no field for them
		}
		file := filepath.Join(t.TempDir(), "in.csv")
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		b.eval("result.hidden = failure.hidden = true") // of the file before
		b.choose("file", file)
		b.until(visible("result") + " || " + visible("failure"))
		if c.refused != "" {
			if text := b.eval("document.getElementById('failure').innerText"); !strings.Contains(text, c.refused) {
				t.Errorf("%s: the page shows %q, want %s", c.name, text, c.refused)
			}
			continue
		}
		scored := len(clean.rows)
		for _, reject := range c.rejects {
			if !strings.Contains(reject, "ERR-1614") { // a total is no customer
				scored--
			}
		}
		if got := b.eval("document.querySelector('#figures strong').textContent"); got != strconv.Itoa(scored) {
			t.Errorf("%s: the page shows %s customers, want %d", c.name, got, scored)
		}
		_, out, _ := millrace(t, "score", "--model", "telecom", file)
		if result := r.latestResult(t); result != out {
			t.Errorf("%s: the page's upload gives other bytes than the command line", c.name)
		}
	}
}

// latestResult downloads the result of the newest prediction.
func (r *running) latestResult(t *testing.T) string {
	t.Helper()
	_, body := r.Do(t, http.MethodGet, "/predictions?limit=1", nil)
	var list struct{ Predictions []struct{ ID string } }
	if err := json.Unmarshal(body, &list); err != nil || len(list.Predictions) != 1 {
		t.Fatalf("%v: %.300s", err, body)
	}
	_, result := r.Do(t, http.MethodGet, "/predictions/"+list.Predictions[0].ID+"/download", nil)
	return string(result)
}
