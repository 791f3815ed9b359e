// Package objects is the object store: a [Store] in a bucket of S3 ([OpenS3]) or in a directory ([OpenDirectory]), the
// keys of all objects, and the mark of the installation that a store belongs to. It does not read the database:
// store.Owner decides which objects may be deleted.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// More errors of object stores that callers branch on.
var (
	// ErrChanged means that the object does not have the requested ETag any more.
	ErrChanged = errors.New("object has changed")
	// ErrRange means that a range begins behind the end of the object.
	ErrRange = errors.New("range not satisfiable")
	// ErrKey means that a key is not of a form that this program makes.
	ErrKey = errors.New("invalid key")
)

// Store is an object store: a directory ([OpenDirectory]) or a bucket ([OpenS3]). Both pass the same tests. Objects
// appear whole or not at all and do not change; putting a key again replaces the object. Safe for concurrent use.
type Store interface {
	// Put stores what r gives until io.EOF. After any other error of r nothing is stored.
	Put(ctx context.Context, key string, r io.Reader) (Info, error)
	// PutIf stores a small object if the one that is there has an ETag, or if none is there and the ETag is empty; else
	// it is [ErrChanged]. Of several at the same time one succeeds.
	PutIf(ctx context.Context, key string, r io.Reader, etag string) (Info, error)
	// Get reads an object or a range of it, of the version that the range names. ifMatch, unless empty, is the ETag it must
	// have. The reader survives broken connections. It belongs to one goroutine of the caller, who closes it; the end of ctx
	// ends a Read that waits.
	Get(ctx context.Context, key string, r Range, ifMatch string) (io.ReadCloser, Info, error)
	// Head returns the size, ETag, version and time of an object, or [ErrNotFound].
	Head(ctx context.Context, key string) (Info, error)
	// HeadVersion is Head of a version that may have been replaced; empty is the newest.
	HeadVersion(ctx context.Context, key, version string) (Info, error)
	// List yields the objects whose keys begin with prefix, in the order of their bytes. Their ETag may be empty.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes objects. One that is not there is no error. why is for the log of store.Owner.
	Delete(ctx context.Context, why Reason, keys ...string) error
	// Compose joins objects in order into a new one; the parts stay, their offsets mean nothing. Doing it twice gives the
	// same object. What goes through this process is compared, as by [Read]; the rest is compared when it is read.
	Compose(ctx context.Context, dst string, parts []Source) (Info, error)
	// Sweep removes leftovers of interrupted puts that are older than age, a directory also younger ones whose process has
	// ended and none whose writer lives, and returns how many it removed. allow is
	// called before each removal, and its error ends the sweep; nil disables the check.
	Sweep(ctx context.Context, age time.Duration, allow func(key string) error) (int, error)
}

// Reason is why objects are deleted, for the log.
type Reason string

// The reasons of all deletions.
const (
	Deleted     Reason = "its customer deleted it, or a link for it expired"
	Expired     Reason = "its prediction ended longer ago than results are kept"
	Refused     Reason = "the upload was refused"
	Joined      Reason = "the parts have been joined"
	TakenOver   Reason = "a copy of the uploaded file is read from now on"
	CanaryOver  Reason = "a canary has been checked"
	NotNeeded   Reason = "its prediction needs it no more"
	UnknownID   Reason = "nothing in the database knows its id, for two sweeps"
	Interrupted Reason = "the write was interrupted"
)

// Info describes an object.
type Info struct {
	Key      string
	Bytes    int64 // of the whole object, also for a range
	ETag     string
	Version  string // where the store keeps versions; set by Head and Get
	Modified time.Time
	SHA256   [32]byte // of the content, set by Put, and by Compose where the bytes went through it; else zero
	Digest   Digest   // set by Put, and by Compose if all parts have one
}

// Range is a part of an object. The zero value is all of its newest version.
type Range struct {
	Offset  int64
	Length  int64  // 0: to the end
	Version string // empty: the newest
}

// DeletePrefix removes all objects whose keys begin with prefix.
func DeletePrefix(ctx context.Context, o Store, why Reason, prefix string) error {
	var keys []string
	for info, err := range o.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("delete prefix: %w", err)
		}
		keys = append(keys, info.Key)
	}
	if len(keys) == 0 {
		return nil
	}
	if err := o.Delete(ctx, why, keys...); err != nil {
		return fmt.Errorf("delete prefix: %w", err)
	}
	return nil
}

// checkKey returns [ErrKey] for keys that a file system or an S3 server may interpret: dots, control characters, …
func checkKey(key string) error {
	if key == "" || len(key) > 1024 || !utf8.ValidString(key) {
		return ErrKey
	}
	for _, c := range []byte(key) {
		if c < 0x20 || c == 0x7f || c == '\\' {
			return ErrKey
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' || len(segment) > 200 {
			return ErrKey
		}
	}
	return nil
}

func checkKeys(keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	return nil
}

func checkSources(parts []Source) error {
	for _, p := range parts {
		if err := checkKey(p.Key); err != nil {
			return err
		}
	}
	return nil
}

// checkRange returns the length of a range of an object of size bytes.
func checkRange(r Range, size int64) (int64, error) {
	if r.Offset < 0 || r.Length < 0 || r.Offset > size || (r.Offset == size && size > 0) {
		return 0, ErrRange
	}
	if rest := size - r.Offset; r.Length == 0 || r.Length > rest {
		return rest, nil
	}
	return r.Length, nil
}

// concatReader reads objects one after the other, each opened when the one before ends.
type concatReader struct {
	ctx   context.Context
	from  Store
	parts []Source
	open  io.ReadCloser
}

func (j *concatReader) Read(p []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			r, _, err := Read(j.ctx, j.from, j.parts[0], Range{})
			if err != nil {
				return 0, fmt.Errorf("part %s: %w", j.parts[0].Key, err)
			}
			j.open, j.parts = r, j.parts[1:]
		}
		n, err := j.open.Read(p)
		if errors.Is(err, io.EOF) {
			err = j.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes the part that is being read.
func (j *concatReader) Close() error {
	if j.open == nil {
		return nil
	}
	err := j.open.Close()
	j.open = nil
	return err
}
