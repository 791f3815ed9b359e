package engine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// bundleMutations is the number of mutations of each file: a sample, unless MILLRACE_MUTATIONS asks for more.
func bundleMutations(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MILLRACE_MUTATIONS")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBundleMutations opens a bundle with one of its files changed and, unless that is the manifest, a manifest that
// matches. It is refused, or a bundle that scores rows and explains them.
func TestBundleMutations(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	for _, name := range []string{"bundle.yaml", "golden.csv", "manifest.sha256", "model.txt"} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(len(name))))
			opened := 0
			for i := range bundleMutations(t) {
				files := filesOf(t, "../testdata/bundles/logistic")
				files[name].Data = mutateText(random, files[name].Data)
				if name != "manifest.sha256" {
					writeManifest(files)
				}
				if openOrRefuse(t, i, files) {
					opened++
				}
			}
			t.Logf("%d of %d mutations are still bundles", opened, bundleMutations(t))
		})
	}
}

// openOrRefuse reports whether the bundle was opened; a panic fails the test.
func openOrRefuse(t *testing.T, i int, files fstest.MapFS) bool {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("mutation %d: panic: %v\n%s", i, p, debug.Stack())
		}
	}()
	b, err := engine.OpenBundle(files)
	opened := err == nil
	if opened {
		b.Lint()
		_, _, err = score(t, "tenure,charges,plan\n3,,basic\n70,1e3,other\n", b, engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
	}
	if p, ok := errors.AsType[*engine.PanicError](err); ok {
		t.Fatalf("mutation %d: panic: %v\n%s", i, p.Value, p.Stack)
	}
	return opened
}

// mutateText returns a copy with one or two changes: a byte, a bit, a cut, a piece less or twice, a digit, two lines
// exchanged, one line more or less deep.
func mutateText(random *rand.Rand, file []byte) []byte {
	out := bytes.Clone(file)
	for range 1 + random.IntN(2) {
		if len(out) == 0 {
			return out
		}
		at := random.IntN(len(out))
		piece := bytes.Clone(out[at:min(len(out), at+1+random.IntN(64))])
		switch random.IntN(8) {
		case 0:
			out[at] = byte(random.IntN(256))
		case 1:
			out[at] ^= 1 << random.IntN(8)
		case 2:
			out = out[:at]
		case 3:
			out = append(out[:at], out[at+len(piece):]...)
		case 4:
			out = append(out[:at], append(piece, out[at:]...)...)
		case 5:
			out[at] = byte('0' + random.IntN(10))
		case 6:
			lines := bytes.Split(out, []byte("\n"))
			a, b := random.IntN(len(lines)), random.IntN(len(lines))
			lines[a], lines[b] = lines[b], lines[a]
			out = bytes.Join(lines, []byte("\n"))
		case 7:
			signs := []string{"  ", "[", "]", "{", "}", ": ", "- ", "&a ", "*a", "!!x ", "|", "\"", "'", "1e999", ".nan", "~"}
			out = append(out[:at], append([]byte(signs[random.IntN(len(signs))]), out[at:]...)...)
		}
	}
	return out
}
