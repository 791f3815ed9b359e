package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// snapshotOf encodes a snapshot of records with factors.
func snapshotOf(factors int, records ...snapshotRecord) []byte {
	s := Snapshot{header: snapshotHeader{flags: snapshotValues | snapshotFactors, factors: factors}}
	for _, r := range records {
		s.records = binary.BigEndian.AppendUint64(s.records, r.hash)
		s.records = binary.BigEndian.AppendUint32(s.records, r.row)
		s.records = binary.BigEndian.AppendUint32(s.records, math.Float32bits(r.probability))
		s.records = append(s.records, r.band)
		s.records = binary.BigEndian.AppendUint64(s.records, math.Float64bits(r.value))
		s.records = appendQuantised(s.records, r.factors)
	}
	return s.Bytes()
}

// The error of each contribution is within the bound that the snapshot format documents and the reader reports.
func TestQuantisationErrorBound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	for range 20_000 {
		factors := make([]float64, 1+random.IntN(20))
		largest := 0.0
		for i := range factors {
			factors[i] = random.NormFloat64() * math.Exp(8*random.NormFloat64())
			largest = max(largest, math.Abs(factors[i]))
		}
		r, err := newSnapshotReader(bytes.NewReader(snapshotOf(len(factors), snapshotRecord{factors: factors})), 64)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := r.next(); !ok || err != nil || !r.record.explained {
			t.Fatal(ok, err)
		}
		for i, got := range r.record.factors {
			off := math.Abs(got - factors[i])
			if off > r.record.errorMax*(1+1e-5) || off > largest/254*(1+1e-5) {
				t.Fatalf("%v is read back as %v: off by %v", factors[i], got, off)
			}
			worst = max(worst, off/largest)
		}
	}
	if worst < 0.0035 { // close to the documented bound
		t.Errorf("worst error %v of the largest factor", worst)
	}
}

func TestQuantiseZeroContributions(t *testing.T) {
	for _, factors := range [][]float64{{0, 0}, {5e-324, 0}, {math.MaxFloat32, -math.MaxFloat32}} {
		r, err := newSnapshotReader(bytes.NewReader(snapshotOf(2, snapshotRecord{factors: factors})), 64)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := r.next(); !ok || err != nil || !r.record.explained || math.IsNaN(r.record.factors[0]) {
			t.Errorf("%v: %v, %v: %+v", factors, ok, err, r.record)
		}
	}
}

// Of rows of one customer the first counts, within a part and across parts.
func TestSnapshotMergeKeepsFirstRow(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		first, row, repeated := map[uint64]uint32{}, uint32(0), int64(0)
		var parts []io.Reader
		for range random.IntN(6) {
			var records []snapshotRecord
			for range random.IntN(50) {
				row++
				r := snapshotRecord{hash: random.Uint64N(60) << 58, row: row, factors: []float64{1}}
				if random.IntN(2) == 0 {
					r.hash = math.MaxUint64 - r.hash
				}
				if _, seen := first[r.hash]; seen {
					repeated++
				} else {
					first[r.hash] = row
				}
				records = append(records, r)
			}
			parts = append(parts, bytes.NewReader(snapshotOf(1, records...)))
		}
		random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		m, err := mergeSnapshots(parts, &Bundle{}, 64)
		if err != nil {
			t.Fatal(err)
		}
		var hashes []uint64
		for {
			r, err := m.next()
			if err != nil {
				t.Fatal(err)
			}
			if r == nil {
				break
			}
			if r.row != first[r.hash] {
				t.Fatalf("row %d of a customer whose first row is %d", r.row, first[r.hash])
			}
			hashes = append(hashes, r.hash)
		}
		if !slices.IsSorted(hashes) || len(hashes) != len(first) || m.rows.Repeated != repeated ||
			m.rows.Rows != int64(row) || m.rows.Customers != int64(len(first)) {
			t.Fatalf("%d customers of %d: %+v, %d repeated", len(hashes), len(first), m.rows, repeated)
		}
	}
}

func TestRiskChangeSentences(t *testing.T) {
	change := func(label string, change float64) FactorChange {
		return FactorChange{Label: label, Change: change, spoken: lowerFirst(label)}
	}
	for want, m := range map[string]RiskChange{
		"Risk up from 34 % (medium) to 71 % (high), raised by contract and tenure, lowered by NPS score.": {
			Before: 0.34, After: 0.71, BandBefore: "medium", BandAfter: "high",
			Factors: []FactorChange{change("Contract", 1), change("Tenure", 0.5), change("NPS score", -0.2)},
		},
		"Risk down from over 99 % (high) to under 1 % (low), lowered by a, b and c, raised by e and f.": {
			Before: 0.999, After: 0.001, BandBefore: "high", BandAfter: "low", Factors: []FactorChange{
				change("a", -5), change("b", -4), change("c", -3), change("d", -2),
				change("e", 1), change("f", 1), change("g", 1),
			},
		},
		"Risk up from 10 % (low) to 11 % (low). No single strong driver.": {
			Before: 0.1, After: 0.11, BandBefore: "low", BandAfter: "low",
		},
	} {
		if got := riskChangeSentence(&m, true); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// BenchmarkCompare joins two uploads of equal size, with a tenth of the customers new, in parts as workers produce
// them.
func BenchmarkCompare(b *testing.B) {
	bundle, err := OpenBaseline("telecom")
	if err != nil {
		b.Fatal(err)
	}
	factors := len(bundle.explainer.book.groups)
	for _, n := range []int{100_000, 1_000_000} {
		before, after := randomParts(n, 0, factors), randomParts(n, n/10, factors)
		snapshotBytes := 0
		for _, p := range slices.Concat(before, after) {
			snapshotBytes += len(p)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(snapshotBytes))
			b.ReportAllocs()
			for b.Loop() {
				var sides [2][]io.Reader
				for i, side := range [2][][]byte{before, after} {
					for _, p := range side {
						sides[i] = append(sides[i], bytes.NewReader(p))
					}
				}
				c, err := bundle.Compare(sides[0], sides[1], 128<<10)
				if err != nil || c.Customers.Stayed != int64(n-n/10) {
					b.Fatalf("%+v, %v", c.Customers, err)
				}
			}
			b.ReportMetric(float64(snapshotBytes)/float64(2*n), "bytes/row")
		})
	}
}

// randomParts encodes snapshots of customers from a number on, 100,000 rows per part.
func randomParts(n, from, factors int) (parts [][]byte) {
	random := rand.New(rand.NewPCG(7, uint64(from)))
	for first := 0; first < n; first += 100_000 {
		var records []snapshotRecord
		for i := range min(100_000, n-first) {
			r := snapshotRecord{
				hash: hashID(fmt.Sprint(from + first + i)), row: uint32(first + i + 1),
				probability: random.Float32(), band: uint8(random.IntN(3)), value: 50,
				factors: make([]float64, factors),
			}
			for j := range r.factors {
				r.factors[j] = random.NormFloat64()
			}
			records = append(records, r)
		}
		parts = append(parts, snapshotOf(factors, records...))
	}
	return parts
}
