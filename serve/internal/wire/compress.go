package wire

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compressors pool compressors by content coding: making one costs more than compressing a page. They are safe for
// concurrent use.
type Compressors struct {
	zstd, brotli, gzip sync.Pool
	// slots bounds the bodies that CompressBytes compresses at the same time, so that a burst of requests makes no more
	// compressors, of a megabyte or two each, than there are cores.
	slots chan struct{}
}

// NewCompressors returns compressors of which CompressBytes runs at most n at the same time.
func NewCompressors(n int) *Compressors { return &Compressors{slots: make(chan struct{}, n)} }

// compressor is the common interface of the three libraries.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

const (
	// brotliLevel is the fastest that is not only Huffman coding; the better ones are slower than the network.
	brotliLevel = 2
	// windowBits and zstdWindow bound the memory of a compressor; brotli's default takes 9 MB.
	windowBits = 20
	zstdWindow = 1 << windowBits
)

// Compress writes source to w in a content coding: zstd, br or gzip. The fastest levels take about a millisecond for 200 kB
// and leave a fifth of it.
func (p *Compressors) Compress(w io.Writer, source io.Reader, coding string) error {
	pool := p.pool(coding)
	c, ok := pool.Get().(compressor)
	if !ok {
		var err error
		if c, err = newCompressor(coding); err != nil {
			return err
		}
	}
	c.Reset(w)
	if _, err := io.Copy(c, source); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	c.Reset(io.Discard) // drops the reference to w
	pool.Put(c)
	return nil
}

// CompressBytes is [Compressors.Compress] for a body in memory. It waits for a slot.
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
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: brotliLevel, LGWin: windowBits}), nil
	}
	return gzip.NewWriterLevel(nil, gzip.BestSpeed)
}
