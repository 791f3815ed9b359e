package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/retainwise/millrace/store/objects"
)

// Start checks the marks before a process works with database and store; the first process marks both. A store of
// another installation is a [StrangerError]. A copy, and a store that cannot be read now, are no errors: nothing is
// deleted meanwhile.
func (w *Owner) Start(ctx context.Context) error {
	state, err := w.Check(ctx)
	switch {
	case errors.Is(err, objects.ErrNoBucket):
		return fmt.Errorf("object store: %w", err)
	case err != nil:
		w.log.Warn("the object store's owner is not known yet: nothing is deleted", "error", err)
		return nil
	case state == Unmarked:
		return w.createMarks(ctx)
	case state == Stranger:
		return w.strangerError(ctx)
	case state == Copy || state == Disputed:
		w.log.Error("the object store and the database do not agree: nothing is deleted until millrace store adopt "+
			"has been run with the database that owns the store", "state", state.String())
	}
	return nil
}

// strangerError returns the [StrangerError] for the marks as they are now.
func (w *Owner) strangerError(ctx context.Context) error {
	f, err := w.readMarks(ctx)
	if err != nil {
		return fmt.Errorf("object store: %w", err)
	}
	return &StrangerError{Database: f.database.Installation, Store: f.store.Installation}
}

// createMarks marks a database and a store that have no mark yet: both new, or from before there were marks. A store
// that lacks the objects that the database recorded last belongs to another installation. A process whose login is for
// requests only leaves it to a worker.
func (w *Owner) createMarks(ctx context.Context) error {
	if !w.store.MayWork() {
		w.log.Info("the object store has no mark yet: a worker makes it, and nothing is deleted before")
		return nil
	}
	matches, err := w.matchesDatabase(ctx)
	if err != nil {
		return fmt.Errorf("object store: %w", err)
	}
	if !matches {
		return w.strangerError(ctx)
	}
	m, err := w.store.Upkeep.makeMark(ctx)
	if err != nil {
		return fmt.Errorf("object store: %w", err)
	}
	state := Unmarked
	for try := 0; state == Unmarked && try < markTries; try++ { // another process may be faster, or about to fail
		if err := objects.WriteMark(ctx, w.objects, m, ""); err != nil && !errors.Is(err, objects.ErrChanged) {
			return fmt.Errorf("object store: %w", err)
		}
		if state, err = w.Check(ctx); err != nil {
			return err
		}
	}
	if state == Stranger {
		return w.strangerError(ctx)
	}
	return nil
}

// matchesDatabase reports whether a store without a mark is empty or holds the database's newest recorded objects. It
// checks twice, as a customer may delete one of them at this moment.
func (w *Owner) matchesDatabase(ctx context.Context) (bool, error) {
	for _, folder := range objects.OwnFolders {
		for _, err := range w.objects.List(ctx, folder) {
			if err != nil {
				return false, err
			}
			holds, err := w.holdsNewest(ctx)
			if err == nil && !holds {
				holds, err = w.holdsNewest(ctx)
			}
			return holds, err
		}
	}
	return true, nil
}

func (w *Owner) holdsNewest(ctx context.Context) (bool, error) {
	newest, err := w.store.Upkeep.newestObjects(ctx)
	if err != nil || len(newest) == 0 {
		return false, err
	}
	for _, want := range newest {
		have, err := w.objects.Head(ctx, want.Key)
		if errors.Is(err, ErrNotFound) || err == nil && want.Bytes >= 0 && have.Bytes != want.Bytes {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// Adoption is what an adoption changed.
type Adoption struct {
	State           Ownership    // before
	Database, Store objects.Mark // before; zero: it had none
	Now             objects.Mark // of both
}

// Adopt makes the database the only owner of the object store: both get a new installation id, which no copy of either
// has. Any other database that worked with the store is a stranger from now on. Deletions that waited for it are due at
// once. Doing it again does no harm.
func (w *Owner) Adopt(ctx context.Context) (a Adoption, err error) {
	f, err := w.readMarks(ctx)
	if err != nil {
		return a, fmt.Errorf("adopt: %w", err)
	}
	a = Adoption{State: f.state, Database: f.database, Store: f.store}
	if a.Now, err = w.store.Upkeep.adoptMark(ctx, f.store.Sweeps); err != nil {
		return a, err
	}
	for range markTries {
		changed := objects.WriteMark(ctx, w.objects, a.Now, f.etag)
		if err = changed; !errors.Is(changed, objects.ErrChanged) {
			break
		}
		if f, err = w.readMarks(ctx); err != nil || f.state == Owned {
			break // an answer got lost
		}
		err = changed
	}
	if err != nil {
		return a, fmt.Errorf("adopt: the database is marked and the store is not, run it again: %w", err)
	}
	if _, err = w.Check(ctx); err == nil {
		err = w.store.Upkeep.deleteNow(ctx)
	}
	return a, err
}

// markTries bounds the attempts to mark a store that other processes mark at the same time.
const markTries = 5
