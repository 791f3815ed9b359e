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
	"github.com/retainwise/millrace/store"
)

// changeWatch finds out what changed since another file. It keeps the customers of both in memory: about 50 bytes each.
type changeWatch struct {
	name          string
	before, after *engine.Snapshot
}

// newChangeWatch scores the file before with the same model and options; its result goes nowhere. Whatever a result
// file has beside the customer's own columns is passed over. A nil watch watches nothing.
func newChangeWatch(
	ctx context.Context, name string, std streams, files *outputs, b *engine.Bundle, opt engine.Options,
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
	key, err := store.NewCustomerKey([]byte(rand.Text() + rand.Text()))
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
	in, close, err := openInput(name, std, files)
	if err != nil {
		return nil, err
	}
	defer close()
	if err := in.DecideNumbers(b, style); err != nil {
		return nil, err
	}
	opt.Snapshot = w.before
	_, err = engine.Score(ctx, in, b, opt, discardSink{})
	return w, err
}

// snapshot is what the file at hand is scored with.
func (w *changeWatch) snapshot() *engine.Snapshot {
	if w == nil {
		return nil
	}
	return w.after
}

// changes compares the two when both are scored.
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
	w.after.Name(c.Risen)
	w.after.Name(c.Fallen)
	return &c, nil
}

// discardSink drops results.
type discardSink struct{}

func (discardSink) WriteChunk(*engine.ScoredChunk) error { return nil }
