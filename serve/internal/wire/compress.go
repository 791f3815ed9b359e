package wire

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compressors hold packers to use again: making one costs more than packing a page. They are safe for concurrent use.
type Compressors struct {
	zstd, brotli, gzip sync.Pool
	// pages is a place for each body that is packed in memory at one time, so that a burst of requests makes no more
	// packers, of a megabyte or two each, than there are cores to run them.
	slots chan struct{}
}

func NewCompressors(pages int) *Compressors { return &Compressors{slots: make(chan struct{}, pages)} }

// compressor is what the three libraries have in common.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

const (
	// brotliLevel is the fastest that is not only Huffman coding; the better ones are slower than the network.
	brotliLevel = 2
	// zstdWindow bounds what a packer remembers of a stream.
	zstdWindow = 1 << 20
)

// Compress writes a stream in a content coding. The fastest levels take about a millisecond for 200 kB and leave a fifth
// of it.
func (p *Compressors) Compress(w io.Writer, source io.Reader, coding string) error {
	pool := p.pool(coding)
	one, ok := pool.Get().(compressor)
	if !ok {
		var err error
		if one, err = newCompressor(coding); err != nil {
			return err
		}
	}
	one.Reset(w)
	if _, err := io.Copy(one, source); err != nil {
		return err
	}
	if err := one.Close(); err != nil {
		return err
	}
	one.Reset(io.Discard) // holds the connection no longer
	pool.Put(one)
	return nil
}

// CompressBytes packs a body that is in memory.
func (p *Compressors) CompressBytes(w io.Writer, body []byte, coding string) error {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	return p.Compress(w, bytes.NewReader(body), coding)
}

func (p *Compressors) pool(coding string) *sync.Pool {
	switch coding {
	case "zstd":
		return &p.zstd
	case "br":
		return &p.brotli
	}
	return &p.gzip
}

func newCompressor(coding string) (compressor, error) {
	switch coding {
	case "zstd":
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow))
	case "br":
		return brotli.NewWriterLevel(nil, brotliLevel), nil
	}
	return gzip.NewWriterLevel(nil, gzip.BestSpeed)
}
