package ingest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// plainly is scan and the index written as simply as possible, for text from a row start to the end of the input.
type plainly struct {
	kernels.Scanned
	at []uint32
}

func readPlainly(text []byte, delimiter byte) plainly {
	var p plainly
	_, p.Violation = firstBadQuote(text, delimiter)
	rowStart, feeds := 0, int64(0)
	for i, b := range text {
		if b == '\n' {
			feeds++
		}
		if i == rowStart && b == delimiter && !p.Open {
			p.Lead = true
		}
		switch {
		case b == '"':
			p.Open = !p.Open
		case p.Open || b != '\n' && b != delimiter:
		case b == '\n':
			p.at = append(p.at, uint32(i))
			if len(trimCR(text[rowStart:i])) > 0 {
				p.Rows++
			}
			rowStart = i + 1
			p.End, p.Lines = rowStart, feeds
		default:
			p.at = append(p.at, uint32(i))
		}
	}
	return p
}

// randomText favours the bytes that matter.
func randomText(random *rand.Rand, n int) []byte {
	alphabet := []string{"\"\n\r,x", "\n\r,x", ",xyzxyzxyz\n", "\"\"\",\n", "x,\n\"\n\x00\xff\xa2\x8a\xac"}[random.IntN(5)]
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[random.IntN(len(alphabet))]
	}
	return text
}

// widths are 0, 1 and both sides of every width of a kernel.
func widths() []int {
	sizes := []int{0, 1, 2, 3, 7, 8, 9}
	for _, n := range []int{16, 32, 64, 128, 192, 256, 512} {
		sizes = append(sizes, n-2, n-1, n, n+1, n+2)
	}
	return sizes
}

// checkKernels compares kernels with the plain reading of text.
func checkKernels(t *testing.T, text []byte, delimiter byte, k kernels.Set) {
	t.Helper()
	want := readPlainly(text, delimiter)
	found := k.Scan(text, delimiter)
	if found.Open != want.Open || !found.Open && found.Violation != want.Violation {
		t.Fatalf("scan %q: open %v, violation %v, want %v, %v", text, found.Open, found.Violation, want.Open, want.Violation)
	}
	if found.Lead != want.Lead {
		t.Fatalf("scan %q: lead %v", text, found.Lead)
	}
	if found.End != want.End || found.Rows != want.Rows || found.Lines != want.Lines {
		t.Fatalf("scan %q: %+v, want %+v", text, found, want.Scanned)
	}
	at := make([]uint32, len(text)+kernels.Slack)
	facts := k.Index(text, delimiter, 1000, at)
	for i := range want.at {
		want.at[i] += 1000
	}
	if !slices.Equal(at[:facts.N], want.at) {
		t.Fatalf("index %q: %v, want %v", text, at[:facts.N], want.at)
	}
	if facts.Open != want.Open || !facts.Open && facts.Violation != want.Violation {
		t.Fatalf("index %q: %+v, want open %v, violation %v", text, facts, want.Open, want.Violation)
	}
	if feeds := bytes.Count(text, []byte{'\n'}); facts.Rows > feeds || facts.N < facts.Rows {
		t.Fatalf("index %q: %d rows", text, facts.Rows)
	}
	high := slices.ContainsFunc(text, func(b byte) bool { return b >= 0x80 })
	if facts.NUL != (bytes.IndexByte(text, 0) >= 0) || high && !facts.High {
		t.Fatalf("index %q: %+v", text, facts)
	}
}

func TestKernels(t *testing.T) {
	for name, k := range everyKernels(t) {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				for _, n := range widths() {
					checkKernels(t, randomText(random, n), ",;\t|"[random.IntN(4)], k)
				}
			}
		})
	}
}
