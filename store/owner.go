package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/retainwise/millrace/store/objects"
)

// ErrNotOwner means that the marks of database and object store disagree: nothing is deleted, and if the store is
// another installation's, nothing is written.
var ErrNotOwner = errors.New("the object store is not this database's")

// Ownership is the result of comparing the marks of database and object store.
type Ownership int32

// The states of an installation. Objects are deleted in one of them only.
const (
	Unknown  Ownership = iota // one of them could not be read
	Unmarked                  // neither has a mark, or the store none and nothing was ever swept
	Owned                     // both have the same
	Copy                      // the database is a copy of one that went on, or the store is
	Disputed                  // another database with the same id found itself behind
	Stranger                  // the store is another installation's
)

var ownershipNames = [...]string{"unknown", "unmarked", "owned", "copy", "disputed", "stranger"}

// String implements [fmt.Stringer].
func (o Ownership) String() string { return ownershipNames[o] }

// Ownerships lists all states.
func Ownerships() []Ownership { return []Ownership{Unknown, Unmarked, Owned, Copy, Disputed, Stranger} }

// agree compares the marks of a database and a store. A store that is one sweep behind agrees: a process ended between
// the two writes.
func agree(database, store objects.Mark) Ownership {
	switch ahead := database.Sweeps - store.Sweeps; {
	case database.Installation != store.Installation:
		return Stranger
	case ahead < 0 || ahead > 1 || ahead == 0 && database.Sweep != store.Sweep:
		return Copy
	case store.Disputed:
		return Disputed
	}
	return Owned
}

// StrangerError means that the object store belongs to another installation than the database, or to none.
type StrangerError struct {
	Database, Store uuid.UUID // zero: it has no mark
}

// Error implements error.
func (e *StrangerError) Error() string {
	name := func(id uuid.UUID) string {
		if id == uuid.Nil {
			return "no installation"
		}
		return "installation " + id.String()
	}
	return fmt.Sprintf("the object store belongs to %s, the database to %s: check that bucket, prefix and database belong "+
		"together; if this database shall own the store from now on, run millrace store adopt",
		name(e.Store), name(e.Database))
}

// Owner deletes objects that the database no longer needs, as long as the marks of both agree that they belong
// together. Every deletion goes through it: no other type holds an object store that deletes. Safe for concurrent use.
type Owner struct {
	store   *Store
	objects objects.Store // deletes without a check
	log     *slog.Logger
	last    atomic.Int32
}

// NewOwner returns the owner of an object store. A nil log disables logging.
func NewOwner(s *Store, o objects.Store, log *slog.Logger) *Owner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Owner{store: s, objects: o, log: log}
}

// Last returns the result of the last check of this process; [Unknown] before the first.
func (w *Owner) Last() Ownership { return Ownership(w.last.Load()) }

// Check compares the marks of database and store. A process that finds its database behind marks the store as disputed,
// so that the database which is ahead deletes nothing either until one of them adopts the store.
func (w *Owner) Check(ctx context.Context) (Ownership, error) {
	found, err := w.readMarks(ctx)
	if err == nil && (found.state == Copy || found.state == Stranger) { // maybe read in the middle of an adoption
		found, err = w.readMarks(ctx)
	}
	if err == nil && found.state == Copy && !found.store.Disputed {
		err = w.dispute(ctx, found)
	}
	w.last.Store(int32(found.state))
	if err != nil {
		return found.state, fmt.Errorf("check ownership: %w", err)
	}
	return found.state, nil
}

// finding is the result of reading both marks once.
type finding struct {
	state           Ownership
	database, store objects.Mark // zero: it has none
	etag            string       // of the store's
	answered        bool         // the store answered, with or without a mark
}

// readMarks reads both marks, the store's first: its own database never has an older mark than the store had then.
func (w *Owner) readMarks(ctx context.Context) (f finding, err error) {
	f.store, f.etag, err = objects.ReadMark(ctx, w.objects)
	bare := errors.Is(err, ErrNotFound)
	unreadable := errors.Is(err, objects.ErrMark)
	if err != nil && !bare && !unreadable {
		return f, err
	}
	f.answered = true
	f.database, err = w.store.Upkeep.Mark(ctx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return f, err
	}
	switch {
	case bare && f.database.Sweeps == 0:
		f.state = Unmarked
	case bare || unreadable:
		f.state = Stranger
	default:
		f.state = agree(f.database, f.store)
	}
	return f, nil
}

// dispute marks the store as claimed by two databases with the same installation id.
func (w *Owner) dispute(ctx context.Context, f finding) error {
	w.log.Error("the object store is in dispute: another database with the same installation id sweeps it, "+
		"and nothing is deleted until one of them runs millrace store adopt", "installation", f.store.Installation,
		"sweeps_of_database", f.database.Sweeps, "sweeps_of_store", f.store.Sweeps)
	m := f.store
	m.Disputed = true
	err := objects.WriteMark(ctx, w.objects, m, f.etag)
	if errors.Is(err, objects.ErrChanged) {
		return nil // the next check reads the new mark
	}
	return err
}

// ping is [PingObjects] for a store that has an owner. A store that has lost its mark, or has another installation's, is
// not the one that rows refer to, even if it answers.
func (w *Owner) ping(ctx context.Context) error {
	f, err := w.readMarks(ctx)
	if f.state == Stranger { // maybe read in the middle of an adoption
		f, err = w.readMarks(ctx)
	}
	switch {
	case !f.answered:
		return err
	case f.state == Stranger:
		return fmt.Errorf("%w: %s", ErrNotOwner, Stranger)
	}
	return nil // if the database does not answer, that is not the store's fault
}

// requireWritable returns [ErrNotOwner] if the last check found another installation's mark in the store: its owner would
// sweep new objects as orphans.
func (w *Owner) requireWritable() error {
	if w.Last() == Stranger {
		return fmt.Errorf("%w: %s", ErrNotOwner, Stranger)
	}
	return nil
}

// requireOwned checks the marks and returns [ErrNotOwner] unless objects may be deleted now.
func (w *Owner) requireOwned(ctx context.Context) error {
	state, err := w.Check(ctx)
	if err != nil {
		return err
	}
	if state != Owned {
		return fmt.Errorf("%w: %s", ErrNotOwner, state)
	}
	return nil
}

// beginSweep counts a sweep, in the database and then in the store, and returns its number.
func (w *Owner) beginSweep(ctx context.Context) (int64, error) {
	if err := w.requireOwned(ctx); err != nil {
		return 0, err
	}
	was, etag, err := objects.ReadMark(ctx, w.objects)
	if err != nil {
		return 0, err
	}
	raised, err := w.store.Upkeep.raiseMark(ctx, was)
	if err != nil {
		return 0, err
	}
	if err = objects.WriteMark(ctx, w.objects, raised, etag); err == nil || errors.Is(err, objects.ErrChanged) {
		err = w.verifyMark(ctx, raised)
	}
	return raised.Sweeps, err
}

// verifyMark reads the mark back after a write, whether or not that failed: it is the written one, also if the answer to
// an earlier attempt got lost, or that of a database which counted the same sweep, if conditional writes are not atomic.
func (w *Owner) verifyMark(ctx context.Context, m objects.Mark) error {
	if now, _, err := objects.ReadMark(ctx, w.objects); err != nil || now == m {
		return err
	}
	if err := w.requireOwned(ctx); err != nil {
		return err
	}
	return objects.ErrChanged
}

// PingObjects returns an error if an object store cannot be read with its credentials. The store of [Owner.Objects] must
// not be another installation's either, which is [ErrNotOwner]; any other may have any mark or none.
func PingObjects(ctx context.Context, o objects.Store) error {
	if owned, ok := o.(interface{ ping(context.Context) error }); ok {
		return owned.ping(ctx)
	}
	_, _, err := objects.ReadMark(ctx, o)
	if errors.Is(err, ErrNotFound) || errors.Is(err, objects.ErrMark) {
		return nil
	}
	return err
}
