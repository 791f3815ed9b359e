//go:build linux

package ingest_test

import (
	"bytes"
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retainwise/millrace/ingest"
)

// BenchmarkRatios compares like with like: in every round each contender reads the same fifth of the file, and its best
// CPU time counts. What else the machine does then matters less than in the other benchmarks.
func BenchmarkRatios(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	plain, quoted := pieces(b, benchFile(false)), pieces(b, benchFile(true))
	best := map[string]time.Duration{}
	for round := 0; b.Loop(); round++ {
		p, q := plain[round%len(plain)], quoted[round%len(quoted)]
		for _, c := range contenders(b) {
			fastest(best, c.name, c.read, p)
			if c.name != "memcpy" {
				fastest(best, c.name+"/quoted", c.read, q)
			}
		}
	}
	size := float64(len(plain[0].file))
	ratio := func(unit, a, b2 string) { b.ReportMetric(best[a].Seconds()/best[b2].Seconds(), unit) }
	for name, spent := range best {
		b.Logf("%-18s %8.2f ms %8.0f MB/s", name, spent.Seconds()*1e3, size/spent.Seconds()/1e6)
	}
	ratio("tokenise/memcpy", "tokenise", "memcpy")
	ratio("convert/memcpy", "convert", "memcpy")
	ratio("arrow/convert", "arrow", "convert")
	ratio("csv/convert", "csv", "convert")
	ratio("arrow/portable", "arrow", "portable")
	ratio("quoted/plain", "convert/quoted", "convert")
}

func fastest(best map[string]time.Duration, name string, read func(p piece), p piece) {
	before := cpuTime()
	read(p)
	if spent := cpuTime() - before; best[name] == 0 || spent < best[name] {
		best[name] = spent
	}
}

// cpuTime is what this thread has spent.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return math.MaxInt64
	}
	return time.Duration(t.Nano())
}

// piece is a file, also cut beforehand.
type piece struct {
	file    []byte
	mapping ingest.Mapping
	chunks  []ingest.Chunk
}

// pieces cuts a file into five, each with the header.
func pieces(b *testing.B, file []byte) (out []piece) {
	end := bytes.IndexByte(file, '\n') + 1
	header, rest := file[:end], file[end:]
	for n := 5; n > 0; n-- {
		// A quoted id starts the row behind every line end outside quotes, and digits the id.
		at := len(rest) / n
		for at < len(rest) && !bytes.HasSuffix(rest[:at], []byte("9\n")) {
			at++
		}
		part := append(bytes.Clone(header), rest[:at]...)
		m, chunks := chunksInPlace(b, part)
		out = append(out, piece{part, m, chunks})
		rest = rest[at:]
	}
	return out
}

type contender struct {
	name string
	read func(p piece)
}

func contenders(b *testing.B) []contender {
	buf := make([]byte, 256<<10)
	return []contender{
		{"memcpy", func(p piece) {
			for rest := p.file; len(rest) > 0; rest = rest[min(len(rest), len(buf)):] {
				copy(buf, rest)
			}
		}},
		{"tokenise", func(p piece) {
			if ingest.IndexWindows(p.file, ',') < 0 {
				b.Fatal("quotes are broken")
			}
		}},
		{"convert", func(p piece) { convertAll(b, p) }},
		{"portable", func(p piece) { ingest.Portably(func() { convertAll(b, p) }) }},
		{"csv", func(p piece) { readEncodingCSV(b, p.file) }},
		{"arrow", func(p piece) { readArrowCSV(b, p.file) }},
	}
}

func convertAll(b *testing.B, p piece) {
	c := ingest.NewConverter(p.mapping, ingest.Limits{})
	for _, chunk := range p.chunks {
		if _, err := c.Convert(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
