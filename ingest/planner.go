package ingest

import (
	"errors"
	"io"
)

// Planner passes a file's text through and makes the plan by which it is scored: every byte that is stored has been
// counted, and a file that cannot be cut into rows is refused while it arrives.
type Planner struct {
	chunker *Chunker
	full    int64 // a part with more bytes than this takes no further chunk
	buf     []byte
	ready   []byte            // bytes to pass on
	digest  PartDigest        // of the part so far; nil: none is wanted
	restart func() PartDigest // returns one of nothing
	plan    Plan
	err     error
}

// Plan is what a Planner found.
type Plan struct {
	Header Header
	Rows   int64 // data rows
	Lines  int64 // physical lines, header included
	Bytes  int64 // of the whole file, header included
	Parts  []Part
}

// Part is a run of whole chunks. A [Chunker] that starts at its position and reads its bytes finds the same chunks as
// one that reads the whole file. Every part has a row.
type Part struct {
	Position
	Bytes  int64
	Rows   int64
	Digest []byte // of its bytes, of the first part with the header's before them; nil without [Planner.DigestParts]
}

// PartDigest is what digests of parts are made with; a hash.Hash is one.
type PartDigest interface {
	io.Writer
	Sum(b []byte) []byte // appends the digest of what was written
}

// NewPlanner reads the header of unpacked text. The Planner's Read then gives the whole text, header included; call
// [Planner.Plan] when it has returned io.EOF. Its errors are those of [ReadHeader] and [Chunker.Next], and [ErrEmpty]
// if the file ends without a data row.
func NewPlanner(r io.Reader, limits Limits) (*Planner, error) {
	limits = limits.withDefaults()
	header, front, rest, err := readHeader(r, limits)
	if err != nil {
		return nil, err
	}
	chunker := NewChunker(rest, header.Delimiter, header.Start(), limits)
	return &Planner{
		chunker: chunker,
		full:    limits.PartBytes - int64(limits.ChunkBytes),
		ready:   front,
		plan:    Plan{Header: header, Lines: header.Lines, Bytes: header.Bytes},
	}, nil
}

// Header is the file's header, known from the start.
func (p *Planner) Header() Header { return p.plan.Header }

// Plan is complete once Read has returned io.EOF.
func (p *Planner) Plan() Plan { return p.plan }

// Sample is the front of the file's rows. It must be asked for before the first Read, and takes nothing away from that.
func (p *Planner) Sample() (Sample, error) {
	sample, body, err := ReadSample(p.chunker.body)
	if err == nil {
		p.chunker.body = body
	}
	return sample, err
}

// DigestParts sets the digest of every part, each by what fresh returns. It must be called before the first Read.
func (p *Planner) DigestParts(fresh func() PartDigest) {
	p.restart, p.digest = fresh, fresh()
	_, _ = p.digest.Write(p.ready) // the header; a digest never fails
}

// Read implements io.Reader.
func (p *Planner) Read(b []byte) (int, error) {
	for len(p.ready) == 0 && p.err == nil {
		p.err = p.advance()
	}
	if len(p.ready) == 0 {
		return 0, p.err
	}
	n := copy(b, p.ready)
	p.ready = p.ready[n:]
	return n, nil
}

// advance cuts the next chunk and counts it.
func (p *Planner) advance() error {
	chunk, err := p.chunker.Next(p.buf)
	if errors.Is(err, io.EOF) && p.plan.Rows == 0 {
		return ErrEmpty
	}
	if err != nil {
		return err
	}
	p.buf, p.ready = chunk.Bytes[:0], chunk.Bytes
	size := int64(len(chunk.Bytes))
	last := len(p.plan.Parts) - 1
	// A part without a row would be nothing to score: blank lines go with the rows around them.
	if last < 0 || p.plan.Parts[last].Bytes > p.full && p.plan.Parts[last].Rows > 0 && chunk.Rows > 0 {
		p.plan.Parts = append(p.plan.Parts, Part{Position: chunk.Position})
		if last++; last > 0 && p.digest != nil {
			p.digest = p.restart()
		}
	}
	if p.digest != nil {
		_, _ = p.digest.Write(chunk.Bytes)
		p.plan.Parts[last].Digest = p.digest.Sum(p.plan.Parts[last].Digest[:0])
	}
	p.plan.Parts[last].Bytes += size
	p.plan.Parts[last].Rows += chunk.Rows
	p.plan.Rows += chunk.Rows
	p.plan.Lines += chunk.Lines
	p.plan.Bytes += size
	return nil
}
