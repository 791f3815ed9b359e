package ingest_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/retainwise/millrace/ingest"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstandard(t *testing.T, text string, options ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func unpack(r io.Reader, limits ingest.Limits) (string, error) {
	u, err := ingest.Unpack(r, limits)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(u)
	return string(text), err
}

func TestUnpack(t *testing.T) {
	text := strings.Repeat("a,b\n1,2\n", 10_000)
	skippable := "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
	f := func(name, file, want string) {
		t.Helper()
		for _, wrap := range []func(io.Reader) io.Reader{iotest.HalfReader, iotest.OneByteReader, iotest.DataErrReader} {
			got, err := unpack(wrap(strings.NewReader(file)), ingest.Limits{})
			if err != nil || got != want {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
	f("empty", "", "")
	f("one byte", "a", "a")
	f("plain", text, text)
	f("gzip", gzipped(t, text), text)
	f("gzip of nothing", gzipped(t, ""), "")
	f("gzip of two members", gzipped(t, text)+gzipped(t, "3,4\n"), text+"3,4\n")
	f("zstd", zstandard(t, text), text)
	f("zstd of two frames", zstandard(t, text)+zstandard(t, "3,4\n"), text+"3,4\n")
	f("zstd behind a skippable frame", skippable+zstandard(t, text), text)
}

func TestUnpackDamaged(t *testing.T) {
	text := strings.Repeat("customer,1,2\n", 300)
	flipped := func(packed string, at int) string {
		b := []byte(packed)
		b[at] ^= 0x40
		return string(b)
	}
	f := func(name, file string) {
		t.Helper()
		if got, err := unpack(strings.NewReader(file), ingest.Limits{}); !errors.Is(err, ingest.ErrDamagedArchive) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	packed := gzipped(t, text)
	for n := 2; n < len(packed); n++ {
		f("gzip cut off", packed[:n])
	}
	f("gzip with another checksum", flipped(packed, len(packed)-6))
	f("gzip with garbage behind", packed+"garbage behind it")
	packed = zstandard(t, text)
	for n := 4; n < len(packed); n++ {
		f("zstd cut off", packed[:n])
	}
	f("zstd with another checksum", flipped(packed, len(packed)-2))
	f("zstd with garbage behind", packed+"garbage behind it")
}

func TestUnpackLimits(t *testing.T) {
	zeros := strings.Repeat("0", 3<<20)
	f := func(name, file string, limits ingest.Limits, want error) {
		t.Helper()
		if got, err := unpack(strings.NewReader(file), limits); !errors.Is(err, want) {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(got), err, want)
		}
	}
	for name, packed := range map[string]string{"gzip": gzipped(t, zeros), "zstd": zstandard(t, zeros)} {
		wide := ingest.Limits{UnpackRatio: 1 << 40}
		f(name+" bomb", packed, ingest.Limits{}, ingest.ErrUnpackedTooLarge)
		f(name+" bomb with leave", packed, wide, nil)
		wide.UnpackedMax = 3 << 20
		f(name+" of just the limit", packed, wide, nil)
		wide.UnpackedMax--
		f(name+" over the limit", packed, wide, ingest.ErrUnpackedTooLarge)
	}
	noise := make([]byte, 2<<20)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = "0123456789abcdef"[random.IntN(16)]
	}
	f("usual ratio", gzipped(t, string(noise)), ingest.Limits{UnpackRatio: 3}, nil)
	f("wide window", zstandard(t, zeros, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))+
		zstandard(t, strings.Repeat(string(noise), 10), zstd.WithWindowSize(16<<20)), ingest.Limits{UnpackRatio: 1 << 40},
		ingest.ErrUnpackedTooLarge)
}

func TestUnpackForeign(t *testing.T) {
	for file, want := range map[string]error{
		"PK\x03\x04 a spreadsheet": ingest.ErrNotText, "\xff\xfea\x00": ingest.ErrNotText, "BZh9": ingest.ErrNotCSV,
		"\xfd7zXZ\x00": ingest.ErrNotCSV, "7z\xbc\xaf\x27\x1c": ingest.ErrNotCSV,
	} {
		if _, err := unpack(strings.NewReader(file), ingest.Limits{}); !errors.Is(err, want) {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// A broken connection is no damaged archive: the one is tried again, the other is not.
func TestUnpackPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken connection")
	for _, packed := range []string{gzipped(t, "1,2\n"), zstandard(t, "1,2\n"), "1,2\n"} {
		for n := range len(packed) {
			r := io.MultiReader(strings.NewReader(packed[:n]), iotest.ErrReader(broken))
			if _, err := unpack(r, ingest.Limits{}); !errors.Is(err, broken) {
				t.Errorf("after %d bytes of %q: %v", n, packed, err)
			}
		}
	}
}

// A connection that breaks must not pass for the end of the file, wherever it breaks.
func TestABrokenReadIsNoEndOfFile(t *testing.T) {
	file := "id,tenure\na,1\nb,2\nc,3\n"
	for cut := range len(file) {
		broken := io.MultiReader(strings.NewReader(file[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))
		text, err := ingest.Unpack(broken, ingest.Limits{})
		if err == nil {
			var planner *ingest.Planner
			if planner, err = ingest.NewPlanner(text, ingest.Limits{}); err == nil {
				_, err = io.ReadAll(planner)
			}
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}
