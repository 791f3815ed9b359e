package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/retainwise/millrace/ingest"
)

func plan(r io.Reader, limits ingest.Limits) (ingest.Plan, string, error) {
	p, err := ingest.NewPlanner(r, limits)
	if err != nil {
		return ingest.Plan{}, "", err
	}
	passed, err := io.ReadAll(p)
	return p.Plan(), string(passed), err
}

func TestPlanner(t *testing.T) {
	file := "\xef\xbb\xbfid,x\r\n" + strings.Repeat("a,1\n", 100) + "\n\"b\n\",2"
	got, passed, err := plan(strings.NewReader(file), ingest.Limits{ChunkBytes: 40, PartBytes: 130})
	if err != nil {
		t.Fatal(err)
	}
	if passed != file {
		t.Errorf("%q passed through", passed)
	}
	if got.Rows != 101 || got.Lines != 104 || got.Bytes != int64(len(file)) {
		t.Errorf("%d rows, %d lines, %d bytes", got.Rows, got.Lines, got.Bytes)
	}
	want := []string{"9/1/2 120 30", "129/31/32 120 30", "249/61/62 120 30", "369/91/92 47 11"}
	parts := make([]string, 0, 4)
	for _, p := range got.Parts {
		parts = append(parts, fmt.Sprintf("%d/%d/%d %d %d", p.Offset, p.Row, p.Line, p.Bytes, p.Rows))
	}
	equalLists(t, "parts", parts, want)
}

// The digest of a part is that of the bytes by which it is read, with the header in front of the first.
func TestPlanner_DigestParts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		file := "\xef\xbb\xbfid,x\r\n" + strings.Repeat("\n", random.IntN(3))
		for range 1 + random.IntN(200) {
			file += fmt.Sprintf("\"a\n\",%d\n", random.IntN(1000))
		}
		p, err := ingest.NewPlanner(iotest.HalfReader(strings.NewReader(file)), ingest.Limits{ChunkBytes: 40, PartBytes: 200})
		if err != nil {
			t.Fatal(err)
		}
		p.DigestParts(func() ingest.PartDigest { return sha256.New() })
		if _, err := p.Sample(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, p); err != nil {
			t.Fatal(err)
		}
		from := int64(0)
		for i, part := range p.Plan().Parts {
			to := part.Offset + part.Bytes
			if want := sha256.Sum256([]byte(file[from:to])); !bytes.Equal(part.Digest, want[:]) {
				t.Fatalf("part %d of %d: another digest", i, len(p.Plan().Parts))
			}
			from = to
		}
		if from != int64(len(file)) {
			t.Errorf("parts end at %d of %d bytes", from, len(file))
		}
	}
}

func TestPlannerHeaderIsKnownAtOnce(t *testing.T) {
	p, err := ingest.NewPlanner(strings.NewReader("a;b\n1;2\n"), ingest.Limits{})
	if err != nil || len(p.Header().Names) != 2 || p.Header().Delimiter != ';' {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPlannerRefuses(t *testing.T) {
	f := func(file string, limits ingest.Limits, want string) {
		t.Helper()
		_, _, err := plan(iotest.HalfReader(strings.NewReader(file)), limits)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	rows := "a,b\n1,2\n3,4\n"
	f(rows, ingest.Limits{RowsMax: 1}, "file has more than 1 rows")
	f(rows, ingest.Limits{BytesMax: 11}, "file has more than 11 bytes")
	f("", ingest.Limits{}, "read header: file has no data rows")
	f("a,b\n"+strings.Repeat("\n", 10_000), ingest.Limits{}, "file has no data rows")
	f("a,b\n1,\"2\n3,4\n", ingest.Limits{}, "cut rows: quote opened on line 2 is never closed")
	f("a,b\n"+strings.Repeat("1", 200)+"\n", ingest.Limits{RowBytesMax: 100},
		"cut rows: row on line 2 is longer than 100 bytes")
}

func TestPlannerLimitsAreInclusive(t *testing.T) {
	file := "a,b\n1,2\n3,4\n"
	if _, _, err := plan(strings.NewReader(file), ingest.Limits{RowsMax: 2, BytesMax: int64(len(file))}); err != nil {
		t.Error(err)
	}
}

func TestPlannerPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken connection")
	_, _, err := plan(io.MultiReader(strings.NewReader("a,b\n1,2\n"), iotest.ErrReader(broken)), ingest.Limits{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// The parts of a plan hold the chunks of the whole file, and account for every byte, row and line.
func TestPlannerPartsAreWholeChunks(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		file := "x,y\n" + randomRows(random, 1+random.IntN(60)) + "\nx\n"
		limits := ingest.Limits{ChunkBytes: 4 + random.IntN(60), PartBytes: int64(100 + random.IntN(200))}
		got, passed, err := plan(iotest.OneByteReader(strings.NewReader(file)), limits)
		if err != nil || passed != file {
			t.Fatalf("%q: %v", file, err)
		}
		want, err := cut(strings.NewReader(file[got.Header.Bytes:]), got.Header.Start(), limits)
		if err != nil {
			t.Fatal(err)
		}
		var chunks []string
		next, rows := got.Header.Start().Offset, int64(0)
		for _, p := range got.Parts {
			if p.Rows == 0 {
				t.Errorf("%q: a part without a row", file)
			}
			if p.Offset != next {
				t.Fatalf("part starts at %d, want %d", p.Offset, next)
			}
			next += p.Bytes
			rows += p.Rows
			part, err := cut(strings.NewReader(file[p.Offset:next]), p.Position, limits)
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, part...)
		}
		equalLists(t, fmt.Sprintf("%q", file), chunks, want)
		if next != int64(len(file)) || rows != got.Rows {
			t.Errorf("%q: %d bytes and %d rows in parts, want %d and %d", file, next, rows, len(file), got.Rows)
		}
	}
}

// An upload of any size is held a chunk at a time.
func TestPlannerMemory(t *testing.T) {
	file := io.MultiReader(strings.NewReader("a,b\n"), io.LimitReader(&repeating{text: "1,2\n"}, 40<<20))
	p, err := ingest.NewPlanner(file, ingest.Limits{ChunkBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32<<10)
	allocs := testing.AllocsPerRun(300, func() {
		if _, err := p.Read(buf); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%v allocations a read", allocs)
	}
}

func TestPlannerBlankLines(t *testing.T) {
	file := "a,b\n1,2\n" + strings.Repeat("\n", 1000) + "3,4\n" + strings.Repeat("\n", 1000)
	got, _, err := plan(strings.NewReader(file), ingest.Limits{ChunkBytes: 40, PartBytes: 80})
	if err != nil || got.Rows != 2 || len(got.Parts) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPlannerWritesNothingTwice(t *testing.T) {
	file := []byte("a,b\n" + strings.Repeat("1,2\n", 5000))
	p, err := ingest.NewPlanner(bytes.NewReader(file), ingest.Limits{ChunkBytes: 999})
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(p, file); err != nil {
		t.Error(err)
	}
}
