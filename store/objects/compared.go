package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/store/backoff"
)

// ErrDamaged means that stored bytes differ from their digest, however often they are read.
var ErrDamaged = errors.New("stored bytes differ from their digest")

// Source is an object, or what follows a place in it, with what is known of its bytes.
type Source struct {
	Key    string
	ETag   string // that the object must have if there is no digest; may be empty
	Offset int64  // of the first byte that the digest is of
	Digest Digest // nil: none was recorded, and nothing is compared
	// Observe is called for what is found while it is read; nil ignores it.
	Observe func(Finding)
}

// Finding is what reading a [Source] found.
type Finding string

// The findings.
const (
	Unrecorded Finding = "unrecorded" // read without a digest
	Mismatched Finding = "mismatched" // a block differed from its digest, perhaps not when it was read again
	Damaged    Finding = "damaged"    // a block differed whenever it was read
)

// blockReadsMax is how often a block is read before it counts as damaged: a bit that flipped on the way is right then.
const blockReadsMax = 4

// rereadPause is the pause after reads in vain.
func rereadPause(reads int) time.Duration { return (10 * time.Millisecond) << reads }

func (s *Source) found(f Finding) {
	if s.Observe != nil {
		s.Observe(f)
	}
}

// Read reads a range of a source, which counts from the source's offset, and compares it: no byte is returned that
// differs from the digest. A block that differs is read again, and is [ErrDamaged] in the end, as is an object that is
// shorter than its digest. The first block has been compared when Read returns. Without a digest it is [Store.Get]. The
// reader belongs to one goroutine of the caller, who closes it; the end of ctx ends a Read that waits.
func Read(ctx context.Context, o Store, s Source, r Range) (io.ReadCloser, Info, error) {
	if s.Digest == nil {
		s.found(Unrecorded)
		return o.Get(ctx, s.Key, Range{Offset: s.Offset + r.Offset, Length: r.Length, Version: r.Version}, s.ETag)
	}
	size, err := s.Digest.Size()
	if err != nil {
		return nil, Info{}, fmt.Errorf("read object: %w", err)
	}
	length, err := checkRange(r, size)
	if err != nil {
		return nil, Info{}, fmt.Errorf("read object: %w", err)
	}
	c := &comparedBody{ctx: ctx, from: o, source: s, version: r.Version, rest: length}
	if c.blocks, err = s.Digest.blocks(r.Offset, r.Offset+length); err != nil {
		return nil, Info{}, fmt.Errorf("read object: %w", err)
	}
	if len(c.blocks) == 0 { // an empty object
		info, err := o.HeadVersion(ctx, s.Key, r.Version)
		return c, info, err
	}
	c.buffer = make([]byte, c.blocks[0].bytes, digestBlockBytes)
	skip := r.Offset - c.blocks[0].offset
	if err := c.fill(c.buffer); err != nil {
		return nil, Info{}, errors.Join(err, c.Close())
	}
	c.ready = c.buffer[skip:]
	return c, c.info, nil
}

// comparedBody reads a range of a source block by block.
type comparedBody struct {
	ctx     context.Context
	from    Store
	source  Source
	version string // empty: the newest
	info    Info
	blocks  []block       // that have not been read
	rest    int64         // bytes of the range that have not been returned
	body    io.ReadCloser // at the first of blocks; nil: to be opened
	buffer  []byte
	ready   []byte // of the buffer: compared, but not returned
}

// Read implements io.Reader.
func (c *comparedBody) Read(p []byte) (int, error) {
	switch {
	case c.rest == 0:
		return 0, io.EOF
	case len(c.ready) > 0:
	case len(p) >= c.blocks[0].bytes && c.rest >= int64(c.blocks[0].bytes): // without a copy
		n := c.blocks[0].bytes
		if err := c.fill(p[:n]); err != nil {
			return 0, err
		}
		c.rest -= int64(n)
		return n, nil
	default:
		c.buffer = c.buffer[:c.blocks[0].bytes]
		if err := c.fill(c.buffer); err != nil {
			return 0, err
		}
		c.ready = c.buffer
	}
	n := copy(p, c.ready[:min(c.rest, int64(len(c.ready)))])
	c.ready, c.rest = c.ready[n:], c.rest-int64(n)
	return n, nil
}

// fill reads the next block into p, which has its size, until it is as the digest says.
func (c *comparedBody) fill(p []byte) error {
	for reads := 1; ; reads++ {
		whole, err := c.readBlock(p)
		if err != nil {
			return err
		}
		if whole && c.blocks[0].matches(p) {
			c.blocks = c.blocks[1:]
			return nil
		}
		c.source.found(Mismatched)
		if err := c.Close(); err != nil {
			return err
		}
		if reads == blockReadsMax {
			c.source.found(Damaged)
			return fmt.Errorf("read object at byte %d: %w", c.source.Offset+c.blocks[0].offset, ErrDamaged)
		}
		if err := backoff.Sleep(c.ctx, rereadPause(reads)); err != nil {
			return err
		}
	}
}

// readBlock returns false if the object ends within the block. The body is left behind the block.
func (c *comparedBody) readBlock(p []byte) (whole bool, err error) {
	if c.body == nil {
		at := c.blocks[0].offset
		span := Range{Offset: c.source.Offset + at, Length: c.blocks[len(c.blocks)-1].end() - at, Version: c.version}
		c.body, c.info, err = c.from.Get(c.ctx, c.source.Key, span, "")
		if errors.Is(err, ErrRange) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	_, err = io.ReadFull(c.body, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

// Close implements io.Closer.
func (c *comparedBody) Close() error {
	if c.body == nil {
		return nil
	}
	err := c.body.Close()
	c.body = nil
	return err
}
