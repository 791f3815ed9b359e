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

// ErrNotOwner says that database and object store do not agree on whose the store is: nothing is deleted, and if it is
// another installation's, nothing is written.
var ErrNotOwner = errors.New("the object store is not this database's")

// Ownership is what database and object store say of each other.
type Ownership int32

// The states of an installation. Objects are deleted in one of them only.
const (
	Unknown  Ownership = iota // one of them could not be asked
	Unmarked                  // neither has a mark, or the store none and nothing was ever swept
	Owned                     // both have the same
	Copy                      // the database is a copy of one that went on, or the store is
	Disputed                  // another database with the same id found itself behind
	Stranger                  // the store is another installation's
)

var ownershipNames = [...]string{"unknown", "unmarked", "owned", "copy", "disputed", "stranger"}

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

// StrangerError says that an object store belongs to another installation than the database, or to none.
type StrangerError struct {
	Database, Store uuid.UUID // zero: it has no mark
}

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

// Owner deletes from an object store what its database says, as long as the two agree that they belong together. It is
// the one gate to every deletion: nothing else holds an object store that deletes. Safe for concurrent use.
type Owner struct {
	store   *Store
	objects objects.Store // deletes without asking
	log     *slog.Logger
	last    atomic.Int32
}

// NewOwner makes the owner of an object store. A nil log is none.
func NewOwner(s *Store, o objects.Store, log *slog.Logger) *Owner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Owner{store: s, objects: o, log: log}
}

// Last is what the last check of this process found; [Unknown] before the first.
func (w *Owner) Last() Ownership { return Ownership(w.last.Load()) }

// Check asks database and store whether they belong together. A process that finds its database behind writes that
// into the store, so that the database which is ahead deletes nothing either until one of them adopts the store.
func (w *Owner) Check(ctx context.Context) (Ownership, error) {
	found, err := w.look(ctx)
	if err == nil && (found.state == Copy || found.state == Stranger) { // maybe read in the middle of an adoption
		found, err = w.look(ctx)
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

// finding is what one look at both marks gives.
type finding struct {
	state           Ownership
	database, store objects.Mark // zero: it has none
	etag            string       // of the store's
	answered        bool         // by the store, if only that it has no mark
}

// look reads the store first: its own database is never behind what it said then.
func (w *Owner) look(ctx context.Context) (f finding, err error) {
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

// dispute writes into the store that another database with the same id has gone on with it.
func (w *Owner) dispute(ctx context.Context, f finding) error {
	w.log.Error("the object store is in dispute: another database with the same installation id sweeps it, "+
		"and nothing is deleted until one of them runs millrace store adopt", "installation", f.store.Installation,
		"sweeps_of_database", f.database.Sweeps, "sweeps_of_store", f.store.Sweeps)
	m := f.store
	m.Disputed = true
	err := objects.WriteMark(ctx, w.objects, m, f.etag)
	if errors.Is(err, objects.ErrChanged) {
		return nil // the next check looks at what it has become
	}
	return err
}

// reach is [Reach] for a store that has an owner. One that has lost its mark, or has another installation's, is another
// store than the one that rows speak of, whatever else it answers.
func (w *Owner) reach(ctx context.Context) error {
	f, err := w.look(ctx)
	if f.state == Stranger { // maybe read in the middle of an adoption
		f, err = w.look(ctx)
	}
	switch {
	case !f.answered:
		return err
	case f.state == Stranger:
		return fmt.Errorf("%w: %s", ErrNotOwner, Stranger)
	}
	return nil // if the database does not answer, that is not the store's fault
}

// mayWrite answers nil unless the last check found the store to be another installation's, which would take what is
// written for an orphan.
func (w *Owner) mayWrite() error {
	if w.Last() == Stranger {
		return fmt.Errorf("%w: %s", ErrNotOwner, Stranger)
	}
	return nil
}

// may answers nil if objects may be deleted now.
func (w *Owner) may(ctx context.Context) error {
	state, err := w.Check(ctx)
	if err != nil {
		return err
	}
	if state != Owned {
		return fmt.Errorf("%w: %s", ErrNotOwner, state)
	}
	return nil
}

// beginSweep counts a sweep, in the database and then in the store, and gives its number.
func (w *Owner) beginSweep(ctx context.Context) (int64, error) {
	if err := w.may(ctx); err != nil {
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
		err = w.wrote(ctx, raised)
	}
	return raised.Sweeps, err
}

// wrote looks what is there after a write, whatever the server said of it: this very mark, also if the answer to an
// earlier try got lost; or that of a database which counted the same sweep, where conditional writes are not atomic.
func (w *Owner) wrote(ctx context.Context, m objects.Mark) error {
	if now, _, err := objects.ReadMark(ctx, w.objects); err != nil || now == m {
		return err
	}
	if err := w.may(ctx); err != nil {
		return err
	}
	return objects.ErrChanged
}

// Reach asks whether an object store answers with the credentials that everything else is read with. That of
// [Owner.Objects] must not be another installation's either, which is [ErrNotOwner]; of any other, it does not matter
// whether it has a mark.
func Reach(ctx context.Context, o objects.Store) error {
	if owned, ok := o.(interface{ reach(context.Context) error }); ok {
		return owned.reach(ctx)
	}
	_, _, err := objects.ReadMark(ctx, o)
	if errors.Is(err, ErrNotFound) || errors.Is(err, objects.ErrMark) {
		return nil
	}
	return err
}
