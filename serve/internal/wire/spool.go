package wire

import (
	"errors"
	"io"
	"sync"
)

// spoolBlockBytes is the size of a block.
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

// Account is charged for the blocks of spools. Its methods are called by the goroutines that use the spools.
type Account interface {
	Grow(blocks int) error
	Shrink(blocks int)
}

// Spool buffers a body of unknown length in blocks: a growing slice would copy megabytes again and again. It is written,
// then read once, then closed, and is not safe for concurrent use.
type Spool struct {
	Blocks  *SpoolBlocks
	Account Account // nil: the blocks are not counted
	blocks  [][]byte
	Size    int64
	read    int // bytes of the first block that have been read
}

// Write implements io.Writer. Its errors are those of the account.
func (s *Spool) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		last, err := s.last()
		if err != nil {
			return len(p) - len(rest), err
		}
		n := min(len(rest), spoolBlockBytes-len(*last))
		*last = append(*last, rest[:n]...)
		s.Size += int64(n)
		rest = rest[n:]
	}
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom. It reads into the blocks.
func (s *Spool) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		last, err := s.last()
		if err != nil {
			return total, err
		}
		n, err := r.Read((*last)[len(*last):spoolBlockBytes])
		*last = (*last)[:len(*last)+n]
		s.Size += int64(n)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// last returns the last block, which has space.
func (s *Spool) last() (*[]byte, error) {
	if n := len(s.blocks); n > 0 && len(s.blocks[n-1]) < spoolBlockBytes {
		return &s.blocks[n-1], nil
	}
	if s.Account != nil {
		if err := s.Account.Grow(1); err != nil {
			return nil, err
		}
	}
	s.blocks = append(s.blocks, s.Blocks.get())
	return &s.blocks[len(s.blocks)-1], nil
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
	if s.Account != nil {
		s.Account.Shrink(1)
	}
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
