package wire

import (
	"io"
	"sync"
)

const spoolBlockBytes = 256 << 10

// SpoolBlocks pool the blocks of spools. The zero value is ready to use. They are safe for concurrent use.
type SpoolBlocks struct{ pool sync.Pool }

func (p *SpoolBlocks) get() []byte {
	if b, ok := p.pool.Get().(*[spoolBlockBytes]byte); ok {
		return b[:0]
	}
	return new([spoolBlockBytes]byte)[:0]
}

func (p *SpoolBlocks) put(b []byte) { p.pool.Put((*[spoolBlockBytes]byte)(b[:spoolBlockBytes])) }

// Spool buffers an answer of unknown length in blocks: a growing slice would copy megabytes again and again. It is written,
// then read once, then closed, and is not safe for concurrent use.
type Spool struct {
	Blocks *SpoolBlocks
	blocks [][]byte
	Size   int64
	read   int // bytes of the first block that have been read
}

// Write implements io.Writer; it cannot fail.
func (s *Spool) Write(p []byte) (int, error) {
	s.Size += int64(len(p))
	for rest := p; len(rest) > 0; {
		last := len(s.blocks) - 1
		if last < 0 || len(s.blocks[last]) == spoolBlockBytes {
			s.blocks = append(s.blocks, s.Blocks.get())
			last++
		}
		n := min(len(rest), spoolBlockBytes-len(s.blocks[last]))
		s.blocks[last] = append(s.blocks[last], rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// Read implements io.Reader.
func (s *Spool) Read(p []byte) (int, error) {
	if len(s.blocks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.blocks[0][s.read:])
	if s.read += n; s.read == len(s.blocks[0]) {
		s.drop()
	}
	return n, nil
}

// WriteTo implements io.WriterTo without copying the blocks.
func (s *Spool) WriteTo(w io.Writer) (total int64, err error) {
	for len(s.blocks) > 0 {
		n, err := w.Write(s.blocks[0][s.read:])
		total += int64(n)
		if err != nil {
			return total, err
		}
		s.drop()
	}
	return total, nil
}

func (s *Spool) drop() {
	s.Blocks.put(s.blocks[0])
	s.blocks, s.read = s.blocks[1:], 0
}

// Close returns the unread blocks to the pool. It cannot fail.
func (s *Spool) Close() error {
	for len(s.blocks) > 0 {
		s.drop()
	}
	return nil
}

// text returns everything as a string.
func (s *Spool) text() string {
	b := make([]byte, 0, s.Size)
	for _, block := range s.blocks {
		b = append(b, block...)
	}
	return string(b)
}
