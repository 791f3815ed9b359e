package objects

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
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

// ReadMark reads the mark of an object store with the credentials that everything else is read with. The ETag is for
// [Store.PutIf]. A store without a mark is [ErrNotFound], a bucket that does not exist [ErrNoBucket], another object at
// its key [ErrMark]; any other error would meet every object of the store.
func ReadMark(ctx context.Context, o Store) (m Mark, etag string, err error) {
	body, info, err := o.Get(ctx, MarkKey, Range{}, "")
	if err != nil {
		return m, "", fmt.Errorf("read mark: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(body, markBytesMax))
	if err := errors.Join(err, body.Close()); err != nil {
		return m, "", fmt.Errorf("read mark: %w", err)
	}
	if err := json.Unmarshal(content, &m); err != nil || m.Installation == uuid.Nil || m.Sweeps < 0 {
		return Mark{}, info.ETag, fmt.Errorf("read mark: %w", ErrMark)
	}
	return m, info.ETag, nil
}

// WriteMark replaces the mark that has an ETag; empty means that there must be none. It is [ErrChanged] if another
// process was faster.
func WriteMark(ctx context.Context, o Store, m Mark, etag string) error {
	content, err := json.Marshal(m)
	if err == nil {
		_, err = o.PutIf(ctx, MarkKey, bytes.NewReader(append(content, '\n')), etag)
	}
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	return nil
}
