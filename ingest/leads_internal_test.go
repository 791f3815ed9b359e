package ingest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// leadsPlainly is the search for leads written as simply as possible.
func leadsPlainly(text []byte, base uint32) (at []uint32) {
	behind := true
	for i, b := range text {
		lead := b < ' ' && b != '\n' && b != '\r' || b >= 0x7f || strings.IndexByte("=+-@|%'", b) >= 0
		if behind && lead {
			at = append(at, base+uint32(i))
		}
		behind = strings.IndexByte(",;\t|\n", b) >= 0 || behind && (b == ' ' || b == '"')
	}
	return at
}

func checkLeads(t *testing.T, text []byte, k kernels.Set) {
	t.Helper()
	at := make([]uint32, len(text)+kernels.Slack)
	found := k.Leads(text, 1000, at)
	if want := leadsPlainly(text, 1000); !slices.Equal(at[:found.N], want) {
		t.Fatalf("leads of %q: %d, want %d", text, at[:found.N], want)
	}
	has := func(b byte) bool { return bytes.IndexByte(text, b) >= 0 }
	if found.Quote != has('"') || found.Semicolon != has(';') || found.Returns != has('\r') {
		t.Fatalf("leads of %q: %+v", text, found)
	}
}

// Every kernel finds the same leads: for every byte behind every other, around every width, and in long runs of what may
// stand between.
func TestLeads(t *testing.T) {
	for name, k := range everyKernels(t) {
		t.Run(name, func(t *testing.T) {
			for first := range 256 {
				for second := range 256 {
					checkLeads(t, []byte{'x', byte(first), byte(second), 'x'}, k)
				}
			}
			for _, n := range append(widths(), 5_000) {
				for at := 0; at < n; at += 1 + n/600 {
					text := bytes.Repeat([]byte{' '}, n)
					text[n-1] = '='
					text[at] = ",x\""[at%3]
					checkLeads(t, text, k)
				}
			}
			random := rand.New(rand.NewPCG(1, 2))
			for _, alphabet := range []string{"xyzxyz,\n", "x,=\" '", ", \"\n=-x", " \"", ",;\t|\n\r=+-@|%\x00\x7f\x80\xff x\""} {
				for range 20 {
					for _, n := range widths() {
						text := make([]byte, n)
						for i := range text {
							text[i] = alphabet[random.IntN(len(alphabet))]
						}
						checkLeads(t, text, k)
					}
				}
			}
		})
	}
}

// Texts of more blocks than one call of the assembly takes.
func TestLeadsOfLongText(t *testing.T) {
	for name, k := range everyKernels(t) {
		t.Run(name, func(t *testing.T) {
			text := bytes.Repeat([]byte("x,\" \" =y"), 100_000)
			copy(text[256<<10-4:], ",\"   =")
			checkLeads(t, text, k)
			text[0] = ';'
			checkLeads(t, text, k)
		})
	}
}

// A window as long as the scratch of a shorter one before it had room for.
func TestLeadsScratchGrows(t *testing.T) {
	for name, k := range everyKernels(t) {
		t.Run(name, func(t *testing.T) {
			before := kernel
			kernel = k
			defer func() { kernel = before }()
			w := window{delimiter: ',', width: 1}
			for size := 1; size < 4*kernels.Slack; size++ {
				text := append(bytes.Repeat([]byte{'='}, size), '\n')
				w.open(Chunk{Bytes: text})
				if err := w.cut(0); err != nil {
					t.Fatal(err)
				}
				if got := w.formulas(nil); len(got) != 1 || got[0] != 0 {
					t.Fatalf("%d bytes: %d", size, got)
				}
			}
		})
	}
}
