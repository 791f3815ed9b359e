package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store/customer"
)

// changeWatch computes the changes since another file. It keeps the customers of both in memory, about 50 bytes each. A
// nil changeWatch does nothing.
type changeWatch struct {
	name          string
	before, after *engine.Snapshot
}

// newChangeWatch scores the earlier file with the same model and options, and discards its result. The file may be a
// result: its additional columns are ignored. It returns nil if name is empty.
func newChangeWatch(
	ctx context.Context, name string, std Streams, files *outputs, b *engine.Bundle, opt engine.Options,
	style ingest.NumberStyle,
) (_ *changeWatch, err error) {
	if name == "" {
		return nil, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("changes from %s: %w", name, err)
		}
	}()
	key, err := customer.NewKey([]byte(rand.Text() + rand.Text()))
	if err != nil {
		return nil, err
	}
	newHash := func() func(id []byte) uint64 {
		hasher := key.Hasher(0)
		return func(id []byte) uint64 {
			hash := hasher.Hash(id)
			return binary.BigEndian.Uint64(hash[:])
		}
	}
	before, after := engine.NewSnapshot(newHash), engine.NewSnapshot(newHash)
	after.KeepIDs()
	w := &changeWatch{filepath.Base(name), before, after}
	in, closeInput, err := openInput(name, std, files)
	if err != nil {
		return nil, err
	}
	defer closeInput()
	if err := in.DecideNumbers(b, style); err != nil {
		return nil, err
	}
	opt.Snapshot = w.before
	_, err = engine.Score(ctx, in, b, opt, discardSink{})
	return w, err
}

// snapshot returns the snapshot to score the current file with; nil for a nil changeWatch.
func (w *changeWatch) snapshot() *engine.Snapshot {
	if w == nil {
		return nil
	}
	return w.after
}

// changes compares the two files after both are scored.
func (w *changeWatch) changes(b *engine.Bundle) (*engine.Changes, error) {
	if w == nil {
		return nil, nil
	}
	const bufferBytes = 1 << 16
	c, err := b.Compare(
		[]io.Reader{bytes.NewReader(w.before.Bytes())}, []io.Reader{bytes.NewReader(w.after.Bytes())}, bufferBytes)
	if err != nil {
		return nil, err
	}
	c.Previous = &engine.PreviousUpload{Filename: w.name}
	w.after.SetIDs(c.Risen)
	w.after.SetIDs(c.Fallen)
	return &c, nil
}

// discardSink drops results.
type discardSink struct{}

func (discardSink) WriteChunk(*engine.ScoredChunk) error { return nil }
