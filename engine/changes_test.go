package engine_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// keyed returns a keyed hash of ids.
func keyed(key string) engine.NewCustomerHash {
	return func() func(id []byte) uint64 {
		mac := hmac.New(sha256.New, []byte(key))
		return func(id []byte) uint64 {
			mac.Reset()
			mac.Write(id)
			return binary.BigEndian.Uint64(mac.Sum(nil))
		}
	}
}

// snapshots scores a file in parts, as workers do, and returns their snapshots and the result file.
func snapshots(t testing.TB, b *engine.Bundle, key, file string, parts int, opt engine.Options) ([][]byte, string) {
	t.Helper()
	_, body, _ := strings.Cut(file, "\n")
	rows := strings.SplitAfter(strings.TrimSuffix(body, "\n")+"\n", "\n")
	rows = rows[:len(rows)-1]
	var list [][]byte
	var out collector
	size := (len(rows) + parts - 1) / parts
	for first := 0; first < len(rows); first += size {
		header, _, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(rows[first:min(first+size, len(rows))], "")
		opt.Snapshot, opt.WithHeader = engine.NewSnapshot(keyed(key)), first == 0
		start := ingest.Position{Offset: 1000, Row: int64(first + 1), Line: int64(first + 2)}
		in := engine.Input{
			Body: strings.NewReader(text), Header: header, Start: start, Limits: ingest.Limits{ChunkBytes: 16 << 10},
		}
		if _, err := engine.Score(t.Context(), in, b, opt, &out); err != nil {
			t.Fatal(err)
		}
		list = append(list, opt.Snapshot.Bytes())
	}
	return list, out.result.String()
}

func readers(list [][]byte) []io.Reader {
	var all []io.Reader
	for _, b := range list {
		all = append(all, bytes.NewReader(b))
	}
	return all
}

func compare(t testing.TB, b *engine.Bundle, before, after [][]byte) engine.Changes {
	t.Helper()
	c, err := b.Compare(readers(before), readers(after), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withoutIDs returns the telecom bundle with optional ids.
func withoutIDs(t *testing.T) *engine.Bundle {
	t.Helper()
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "    required: true\n    not_empty: true\n    aliases: [Customer ID",
		"    required: true\n    aliases: [Customer ID")
	writeManifest(files)
	b, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// twoMonths returns two files with the same customers: some gone, some new, some with another contract or tenure, some
// repeated, some without an id or a value, in another order.
func twoMonths(t testing.TB, seed uint64) (before, after string) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	file := sample(t, "telecom_10k.csv")
	head, body, _ := strings.Cut(strings.ReplaceAll(file, "\r", ""), "\n")
	id, contract, tenure := columnOf(t, file, "customerID"), columnOf(t, file, "Contract"), columnOf(t, file, "tenure")
	value := columnOf(t, file, "MonthlyCharges")
	rows := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	month := func(first, last int, changed float64) string {
		var list []string
		for i, row := range rows[first:last] {
			cells := strings.Split(row, ",")
			cells[id] = fmt.Sprint(first + i + 1)
			if random.Float64() < changed {
				cells[contract] = []string{"Month-to-month", "One year", "Two year"}[random.IntN(3)]
				cells[tenure] = fmt.Sprint(random.IntN(72))
			}
			if random.IntN(40) == 0 {
				cells[value] = ""
			}
			if random.IntN(30) == 0 {
				cells[id] = ""
			}
			list = append(list, strings.Join(cells, ","))
		}
		for range 40 {
			cells := strings.Split(rows[random.IntN(len(rows))], ",")
			cells[id] = fmt.Sprint(first + 1 + random.IntN(last-first))
			list = append(list, strings.Join(cells, ","))
		}
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return head + "\n" + strings.Join(list, "\n") + "\n"
	}
	return month(0, 1500, 0), month(300, 2000, 0.3)
}

func TestSnapshotsDependOnInputKeyAndBundleOnly(t *testing.T) {
	b := withoutIDs(t)
	file, other := twoMonths(t, 9)
	opt := engine.Options{Explain: engine.ExplainAll, Workers: 1}
	want, _ := snapshots(t, b, "key", file, 2, opt)
	for _, workers := range []int{2, 5} {
		opt.Workers = workers
		for range 3 {
			if got, _ := snapshots(t, b, "key", file, 2, opt); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatal("other bytes of the same part")
			}
		}
	}
	again := opt
	again.Snapshot = engine.NewSnapshot(keyed("key")) // filled twice: only the second time counts
	for _, text := range []string{other, file} {
		if _, _, err := score(t, text, b, again, ingest.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	whole, _ := snapshots(t, b, "key", file, 1, opt)
	if !bytes.Equal(again.Snapshot.Bytes(), whole[0]) {
		t.Error("a reused snapshot keeps old records")
	}
	if otherKey, _ := snapshots(t, b, "another key", file, 2, opt); slices.EqualFunc(otherKey, want, bytes.Equal) {
		t.Error("the snapshot does not depend on the key")
	}
}

// Customers of two users never match, even with equal ids.
func TestCompareUsesKeyedHashes(t *testing.T) {
	b := baseline(t, "telecom")
	file := sample(t, "telecom_sample.csv")
	mine, _ := snapshots(t, b, "key", file, 1, engine.Options{})
	theirs, _ := snapshots(t, b, "another key", file, 1, engine.Options{})
	c := compare(t, b, theirs, mine)
	if c.Status != engine.ChangesUnavailable || c.Customers != nil {
		t.Errorf("another user's: %s", asJSON(t, c))
	}
	if bytes.Contains(mine[0], []byte(strings.Split(strings.Split(file, "\n")[1], ",")[0])) {
		t.Error("an id is in the snapshot")
	}
	c = compare(t, b, mine, mine)
	if c.Customers.Stayed != 20 || *c.Customers.Unchanged != 20 || c.Risen != nil || c.Fallen != nil ||
		c.Explained != 0 || c.Factors != nil {
		t.Errorf("the same again: %s", asJSON(t, c))
	}
}

func TestCompareModelChanged(t *testing.T) {
	b := baseline(t, "telecom")
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "version: '1'", "version: '2'")
	writeManifest(files)
	newer, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	file := sample(t, "telecom_sample.csv")
	opt := engine.Options{Explain: engine.ExplainAll}
	old, _ := snapshots(t, b, "key", file, 1, opt)
	now, _ := snapshots(t, newer, "key", file, 1, opt)
	c := compare(t, newer, old, now)
	if c.Status != engine.ChangesModelChanged || c.Customers.Stayed != 20 || c.Customers.MovedUp != nil ||
		c.Expected != nil || c.Loss != nil || c.Risen != nil || c.Factors != nil {
		t.Errorf("%s", asJSON(t, c))
	}
}

func TestCompareWithoutIDs(t *testing.T) {
	b := withoutIDs(t)
	file := sample(t, "telecom_sample.csv")
	old, _ := snapshots(t, b, "key", file, 1, engine.Options{})
	now, _ := snapshots(t, b, "key", blankColumn(t, strings.ReplaceAll(file, "\r", ""), "customerID"), 1,
		engine.Options{})
	c := compare(t, b, old, now)
	if c.Status != engine.ChangesNoIDs || c.After.WithoutID != 20 || c.After.Customers != 0 ||
		c.Before.Customers != 20 || c.Customers != nil {
		t.Errorf("%s", asJSON(t, c))
	}
}

// Contributions are compared only for customers who were explained in both uploads.
func TestComparePartlyExplained(t *testing.T) {
	b := withoutIDs(t)
	before, after := twoMonths(t, 3)
	all, _ := snapshots(t, b, "key", before, 1, engine.Options{Explain: engine.ExplainAll})
	some, _ := snapshots(t, b, "key", after, 1, engine.Options{Explain: engine.ExplainAtRisk})
	none, _ := snapshots(t, b, "key", after, 1, engine.Options{Explain: engine.ExplainNone})
	c := compare(t, b, all, some)
	if c.Explained == 0 || c.Explained >= c.Customers.Stayed || len(c.Factors) == 0 {
		t.Errorf("at risk: %d of %d", c.Explained, c.Customers.Stayed)
	}
	for _, m := range slices.Concat(c.Risen, c.Fallen) {
		if atRisk := m.BandAfter != b.Bands()[0].Name; atRisk != (len(m.Factors) > 0) {
			t.Errorf("%+v", m)
		}
	}
	c = compare(t, b, all, none)
	if c.Explained != 0 || c.Factors != nil || len(c.Risen) != 20 || c.Risen[0].Factors != nil ||
		strings.Contains(c.Risen[0].Explanation, "raised") || strings.Contains(c.Risen[0].Explanation, "driver") {
		t.Errorf("none: %s", asJSON(t, c.Risen))
	}
}

func TestDamagedSnapshotErrors(t *testing.T) {
	b := baseline(t, "telecom")
	good, _ := snapshots(t, b, "key", sample(t, "telecom_sample.csv"), 1, engine.Options{})
	for n := range good[0] { // every prefix is refused
		if _, err := b.Compare(readers([][]byte{good[0][:n]}), readers(good), 16); !errors.Is(err, engine.ErrSnapshot) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for name, change := range map[string]func([]byte){
		"magic":       func(s []byte) { s[0]++ },
		"flags":       func(s []byte) { s[62] = 9 },
		"reserved":    func(s []byte) { s[63] = 1 },
		"order":       func(s []byte) { s[64] = 0xff },
		"probability": func(s []byte) { s[64+12] = 0xff },
	} {
		bad := bytes.Clone(good[0])
		change(bad)
		if _, err := b.Compare(readers(good), readers([][]byte{bad}), 16); !errors.Is(err, engine.ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	half := []io.Reader{io.MultiReader(bytes.NewReader(good[0][:100]), failing{broken})}
	if _, err := b.Compare(half, readers(good), 16); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestSnapshotSetIDs(t *testing.T) {
	b := withoutIDs(t)
	file, _ := twoMonths(t, 2)
	s := engine.NewSnapshot(keyed("key"))
	s.KeepIDs()
	if _, _, err := score(t, file, b, engine.Options{Snapshot: s}, ingest.Limits{ChunkBytes: 8 << 10}); err != nil {
		t.Fatal(err)
	}
	id := columnOf(t, file, "customerID")
	for i, row := range csvRecords(t, file)[1:] {
		if row[id] == "" {
			continue
		}
		moves := []engine.RiskChange{{Row: int64(i + 1)}}
		if s.SetIDs(moves); moves[0].ID != row[id] {
			t.Fatalf("row %d is of %q, not %q", i+1, row[id], moves[0].ID)
		}
	}
}
