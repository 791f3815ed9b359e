package objects

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/google/uuid"
	"github.com/retainwise/millrace/store/backoff"
)

// MarkKey is the key of the object that holds a store's [Mark].
const MarkKey = "millrace-installation.json"

// markBytesMax is more than any mark needs.
const markBytesMax = 4 << 10

// Errors of marks.
var (
	// ErrNoBucket means that the bucket itself is missing, not an object in it.
	ErrNoBucket = errors.New("there is no such bucket")
	// ErrMark means that the object at [MarkKey] is not a mark.
	ErrMark = errors.New("the installation's mark cannot be read")
)

// Mark is which installation an object store belongs to. The database keeps the same: store.Upkeep.Mark.
type Mark struct {
	Installation uuid.UUID `json:"installation"`
	// Sweeps counts the sweeps that have begun, in the database before in the store.
	Sweeps int64 `json:"sweeps"`
	// Sweep is made anew with every sweep: two databases that have counted to the same number differ in it.
	Sweep uuid.UUID `json:"sweep"`
	// Disputed is set in a store by an installation that found itself behind: two databases claim the store, and
	// nothing in it is deleted until one of them adopts it.
	Disputed bool `json:"disputed,omitempty"`
}

// storedMark is the content of a mark's object. Marks that an older version has written have no sum.
type storedMark struct {
	Mark
	Sum *uint32 `json:"crc32c,omitempty"`
}

// sum is the CRC-32C of the fields.
func (m Mark) sum() *uint32 {
	sum := crc32.Checksum(fmt.Appendf(nil, "%s %d %s %t", m.Installation, m.Sweeps, m.Sweep, m.Disputed), castagnoli())
	return &sum
}

// ReadMark reads the mark of an object store with the credentials that everything else is read with. The ETag is for
// [Store.PutIf]. A store without a mark is [ErrNotFound], a bucket that does not exist [ErrNoBucket], another object at
// its key, or one whose sum is wrong, [ErrMark], if that is so whenever it is read; any other error would meet every
// object of the store.
func ReadMark(ctx context.Context, o Store) (m Mark, etag string, err error) {
	for reads := 1; ; reads++ {
		if m, etag, err = readMark(ctx, o); reads == blockReadsMax || !errors.Is(err, ErrMark) {
			return m, etag, err
		}
		if err := backoff.Sleep(ctx, rereadPause(reads)); err != nil {
			return m, "", fmt.Errorf("read mark: %w", err)
		}
	}
}

func readMark(ctx context.Context, o Store) (m Mark, etag string, err error) {
	body, info, err := o.Get(ctx, MarkKey, Range{}, "")
	if err != nil {
		return m, "", fmt.Errorf("read mark: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(body, markBytesMax))
	if err := errors.Join(err, body.Close()); err != nil {
		return m, "", fmt.Errorf("read mark: %w", err)
	}
	var stored storedMark
	err = json.Unmarshal(content, &stored)
	m = stored.Mark
	if err != nil || m.Installation == uuid.Nil || m.Sweeps < 0 || stored.Sum != nil && *stored.Sum != *m.sum() {
		return Mark{}, info.ETag, fmt.Errorf("read mark: %w", ErrMark)
	}
	return m, info.ETag, nil
}

// WriteMark replaces the mark that has an ETag; empty means that there must be none. It is [ErrChanged] if another
// process was faster.
func WriteMark(ctx context.Context, o Store, m Mark, etag string) error {
	content, err := json.Marshal(storedMark{m, m.sum()})
	if err == nil {
		_, err = o.PutIf(ctx, MarkKey, bytes.NewReader(append(content, '\n')), etag)
	}
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	return nil
}
