package test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/storetest"
)

// filesEnv is how many times every kind of file is remade; make files sets it.
const filesEnv = "FILES"

// TestFilesPeopleSend remakes every kind of file that was once scored wrongly and takes it through the command line,
// POST /score and an upload: all three give the same bytes, and in them every row has the score of the clean file to the
// bit, or is rejected with its code, row, line and column. A file is refused with the same code everywhere.
func TestFilesPeopleSend(t *testing.T) {
	times := 1
	if text := os.Getenv(filesEnv); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, func(c *serve.RunConfig) { c.DatabaseURL, c.API.Rates = storetest.Postgres(t), &serve.RateLimits{} })
	for seed := range times {
		random := rand.New(rand.NewPCG(18, uint64(seed)))
		for _, c := range fileCases(random, cleanTable(t, random)) {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) { r.takes(t, c) })
		}
	}
}

// cleanTable makes a file without a fault of some rows of the sample: every row another customer, with cents.
func cleanTable(t *testing.T, random *rand.Rand) table {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(sampleFile(t, "telecom_10k.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	clean := table{names: rows[0]}
	for i := range 12 + random.IntN(20) {
		row := slices.Clone(rows[1+random.IntN(len(rows)-1)])
		row[0] = fmt.Sprintf("C-%03d", i)
		row[clean.column("MonthlyCharges")] = fmt.Sprintf("%d.%02d", 20+random.IntN(90), 1+random.IntN(99))
		row[clean.column("TotalCharges")] = fmt.Sprintf("%d.%02d", 100+random.IntN(8000), 1+random.IntN(99))
		clean.rows = append(clean.rows, row)
	}
	return clean
}

// takes sends a file every way.
func (r *running) takes(t *testing.T, c fileCase) {
	flags, query := []string{}, url.Values{"model": {"telecom"}}
	for i := 0; i < len(c.flags); i += 2 {
		flags = append(flags, "--"+c.flags[i]+"="+c.flags[i+1])
		query.Set(c.flags[i], c.flags[i+1])
	}
	dir := t.TempDir()
	in, rejects := filepath.Join(dir, "in.csv"), filepath.Join(dir, "rejects.csv")
	if err := os.WriteFile(in, []byte(c.file), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"score", "--model", "telecom", "--rejects", rejects, in}, flags...)
	status, out, messages := millrace(t, args...)
	at, body := r.Do(t, http.MethodPost, "/score?"+query.Encode(), strings.NewReader(c.file), "Content-Type", "text/csv")
	uploaded, answer := r.Do(t, http.MethodPost, "/upload?"+query.Encode(), strings.NewReader(c.file), "Content-Type", "text/csv")
	if c.refused != "" {
		if status == 0 || !strings.Contains(messages, c.refused) || at != http.StatusBadRequest ||
			!strings.Contains(string(body), c.refused) || uploaded != http.StatusBadRequest || !strings.Contains(string(answer), c.refused) {
			t.Fatalf("want %s: command line %d %s; score %d %.200s; upload %d %.200s", c.refused, status, messages, at, body, uploaded, answer)
		}
		return
	}
	if status != 0 || at != http.StatusOK || uploaded/100 != 2 {
		t.Fatalf("command line %d %s; score %d %.300s; upload %d %.300s", status, messages, at, body, uploaded, answer)
	}
	if string(body) != out {
		t.Errorf("POST /score gives other bytes than the command line")
	}
	p := r.wait(t, decodePrediction(t, answer).ID)
	if _, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil); string(result) != out {
		t.Errorf("the upload gives other bytes than the command line")
	}
	written, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	if _, kept := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/rejects", nil); string(kept) != string(written) && len(c.rejects) > 0 {
		t.Errorf("the upload has other rejects than the command line")
	}
	checkScored(t, c, out, string(written))
	if len(c.rejects) > 0 {
		r.comesBack(t, string(written), len(c.rejects))
	}
}

// comesBack sends rejects in again as they are: every row must be rejected again.
func (r *running) comesBack(t *testing.T, rejects string, rows int) {
	t.Helper()
	status, body := r.Do(t, http.MethodPost, "/validate?model=telecom", strings.NewReader(rejects), "Content-Type", "text/csv")
	var v struct{ Rejected int }
	if err := json.Unmarshal(body, &v); status != http.StatusOK || err != nil || v.Rejected != rows {
		t.Errorf("rejects sent in again: %d %.400s, want %d rejected", status, body, rows)
	}
}

// checkScored compares a result with that of the clean file, and the rejects with what is wanted.
func checkScored(t *testing.T, c fileCase, result, rejects string) {
	t.Helper()
	want := scoresOf(t, scoredOffline(t, "telecom", c.clean), ',')
	delimiter := rune(',')
	for _, other := range ";\t|" {
		if header, _, _ := strings.Cut(c.file, "\n"); strings.ContainsRune(header, other) {
			delimiter = other
		}
	}
	got := scoresOf(t, result, delimiter)
	for id, score := range got {
		if want[id] != score {
			t.Errorf("%s: score %s, want %s", id, score, want[id])
		}
	}
	var refused []string
	for _, row := range recordsOf(t, rejects, delimiter)[1:] {
		own := row[len(row)-5:]
		refused = append(refused, strings.Join(own[:4], " "))
	}
	if !slices.Equal(refused, c.rejects) {
		t.Errorf("rejects %q, want %q", refused, c.rejects)
	}
	lost := 0
	for _, r := range c.rejects {
		if !strings.Contains(r, "ERR-1614") { // a total is no customer of the clean file
			lost++
		}
	}
	if len(got)+lost != len(want) {
		t.Errorf("%d rows scored and %d rejected of %d", len(got), lost, len(want))
	}
}

// scoresOf reads the probability of every customer.
func scoresOf(t *testing.T, result string, delimiter rune) map[string]string {
	t.Helper()
	scores := map[string]string{}
	records := recordsOf(t, result, delimiter)
	at := slices.Index(records[0], "churn_probability")
	for _, row := range records[1:] {
		scores[row[0]] = row[at]
	}
	return scores
}

func recordsOf(t *testing.T, text string, delimiter rune) [][]string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.Comma = delimiter
	records, err := r.ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("%v in %.200q", err, text)
	}
	return records
}
