package bench

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// ownerMethods are about who owns an object store, and what a sweep has found there.
func (w *storeWork) ownerMethods() []method {
	const asks = "asks the object store as well"
	return []method{
		{name: "Owner.Start, without a mark", bulk: asks, prepare: w.unmark, call: func(ctx context.Context) error {
			return w.owner.Start(ctx)
		}},
		{name: "Owner.Start, of a stranger", bulk: asks, prepare: func(ctx context.Context) error {
			return errors.Join(w.unmark(ctx), w.putOrphans(ctx))
		}, call: func(ctx context.Context) error {
			var stranger *store.StrangerError
			if err := w.owner.Start(ctx); !errors.As(err, &stranger) {
				return errors.Join(err, errors.New("the store was adopted"))
			}
			return nil
		}, after: func(ctx context.Context) error {
			if err := w.unmark(ctx); err != nil {
				return err
			}
			return w.owner.Start(ctx)
		}},
		{name: "Owner.Adopt", bulk: asks, call: func(ctx context.Context) error {
			_, err := w.owner.Adopt(ctx)
			return err
		}},
		{name: "Owner.SweepOrphans, stopped", bulk: asks, prepare: w.onlyOrphans, call: func(ctx context.Context) error {
			if _, err := w.owner.SweepOrphans(ctx, 0); !errors.Is(err, store.ErrSweepStopped) {
				return errors.Join(err, errors.New("the sweep was not stopped"))
			}
			return nil
		}, after: w.confirm},
		{name: "Orphans", call: func(ctx context.Context) error {
			_, err := w.Upkeep.Orphans(ctx)
			return err
		}},
		{name: "ConfirmOrphans", call: w.confirm},
		{name: "DeleteLater", call: func(ctx context.Context) error {
			return w.Predictions.DeleteLater(ctx, w.user.ID, uuid.New())
		}},
		{name: "CheckObjects, a page", bulk: "200 predictions", call: func(ctx context.Context) error {
			if _, err := w.Upkeep.CheckObjects(ctx, firstPage{w.objects}, false, nil); !errors.Is(err, errFirstPage) {
				return errors.Join(err, errors.New("the check has asked for no object"))
			}
			return nil
		}},
	}
}

// modelMethods are about models that are kept in the object store.
func (w *storeWork) modelMethods() []method {
	const digest = "0000000000000000000000000000000000000000000000000000000000000000"
	archive := objects.Info{Key: objects.ModelKey(digest), Bytes: 1}
	note := func(ctx context.Context) error {
		_, err := w.Models.Note(ctx, digest, "telecom", "1")
		return err
	}
	keep := func(ctx context.Context) error {
		m, err := w.Models.Note(ctx, digest, "telecom", "1")
		if err != nil {
			return err
		}
		return w.Models.Keep(ctx, m, archive)
	}
	forget := func(ctx context.Context) error {
		_, err := w.database.conn.Exec(ctx, `TRUNCATE model_aliases, model_defaults; DELETE FROM models`)
		return err
	}
	publish := func(ctx context.Context) error {
		_, err := w.Models.Publish(ctx, digest, true)
		return err
	}
	published := func(ctx context.Context) error {
		if err := keep(ctx); err != nil {
			return err
		}
		_, err := w.Models.Publish(ctx, digest, false)
		return err
	}
	alias := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, err := w.Models.SetAlias(ctx, name, digest)
			return err
		}
	}
	named := func(ctx context.Context) error {
		if err := published(ctx); err != nil {
			return err
		}
		return alias("champion")(ctx)
	}
	// again is a second step of the alias, to the same model.
	again := func(ctx context.Context) error {
		_, err := w.database.conn.Exec(ctx, `INSERT INTO model_aliases (alias, sha256) VALUES ('champion', $1)`, digest)
		return err
	}
	setDefault := func(ctx context.Context) error {
		return w.Models.SetDefault(ctx, models.Default{Dataset: "north", Alias: "champion"})
	}
	return []method{
		{name: "Models.Note", call: note, after: forget},
		{name: "Models.Keep", call: keep, after: forget},
		{name: "Models.Find", prepare: note, call: func(ctx context.Context) error {
			_, err := w.Models.Find(ctx, digest)
			return err
		}},
		{name: "Models.Wanted", call: func(ctx context.Context) error {
			_, err := w.Models.Wanted(ctx, []string{digest})
			return err
		}},
		{name: "Models.MarkDamaged", prepare: keep, call: func(ctx context.Context) error {
			m, err := w.Models.Find(ctx, digest)
			if err != nil {
				return err
			}
			return w.Models.MarkDamaged(ctx, m)
		}},
		{name: "Models.List", call: func(ctx context.Context) error {
			_, err := w.Models.List(ctx)
			return err
		}},
		{name: "Models.Sweep", prepare: keep, call: func(ctx context.Context) error {
			_, err := w.Models.Sweep(ctx, 0)
			return err
		}, after: forget},
		{name: "Models.Catalog", call: func(ctx context.Context) error {
			_, err := w.Models.Catalog(ctx)
			return err
		}},
		{name: "Models.Publish", prepare: keep, call: publish, after: forget},
		{name: "Models.SetAlias", prepare: published, call: alias("champion"), after: forget},
		{name: "Models.RemoveAlias", prepare: named, call: func(ctx context.Context) error {
			_, err := w.Models.RemoveAlias(ctx, "champion")
			return err
		}, after: forget},
		{name: "Models.Rollback", prepare: func(ctx context.Context) error {
			return errors.Join(named(ctx), again(ctx))
		}, call: func(ctx context.Context) error {
			_, _, err := w.Models.Rollback(ctx, "champion")
			return err
		}, after: forget},
		{name: "Models.User", call: func(ctx context.Context) error {
			if _, err := w.Models.User(ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return nil
		}},
		{name: "Models.Subjects", call: func(ctx context.Context) error {
			_, err := w.Models.Subjects(ctx)
			return err
		}},
		{name: "Models.SetDefault", prepare: named, call: setDefault, after: forget},
		{name: "Models.RemoveDefault", prepare: func(ctx context.Context) error {
			return errors.Join(named(ctx), setDefault(ctx))
		}, call: func(ctx context.Context) error {
			return w.Models.RemoveDefault(ctx, 0, "north")
		}, after: forget},
		{name: "Models.Retire", prepare: published, call: func(ctx context.Context) error {
			_, err := w.Models.Retire(ctx, digest)
			return err
		}, after: forget},
		{name: "Models.Restore", prepare: published, call: func(ctx context.Context) error {
			_, err := w.Models.Restore(ctx, digest)
			return err
		}, after: forget},
		{name: "Models.Uses", prepare: published, call: func(ctx context.Context) error {
			_, err := w.Models.Uses(ctx)
			return err
		}, after: forget},
		{name: "WithdrawModel", prepare: note, call: func(ctx context.Context) error {
			_, err := w.Upkeep.WithdrawModel(ctx, digest, store.Failure{Code: "ERR-1702"})
			return err
		}, after: forget},
	}
}

// firstPage ends a check when it has read its first page of predictions. A whole check reads hundreds of pages of what is
// filled in, and asks once more about each of 200,000 objects that are not there.
type firstPage struct{ objects.Store }

var errFirstPage = errors.New("first page only")

func (firstPage) HeadVersion(context.Context, string, string) (objects.Info, error) {
	return objects.Info{}, errFirstPage
}

// unmark removes the marks of database and object store, as before they were first used together.
func (w *storeWork) unmark(ctx context.Context) error {
	if _, err := w.database.conn.Exec(ctx, `DELETE FROM installation`); err != nil {
		return err
	}
	return w.empty(ctx, objects.MarkKey, "uploads/", "results/", "models/", "direct/")
}

func (w *storeWork) empty(ctx context.Context, prefixes ...string) error {
	for _, prefix := range prefixes {
		if err := objects.DeletePrefix(ctx, w.objects, objects.Deleted, prefix); err != nil {
			return err
		}
	}
	return nil
}

// onlyOrphans leaves orphans alone in the object store, so that they are more than the usual share.
func (w *storeWork) onlyOrphans(ctx context.Context) error {
	return errors.Join(w.empty(ctx, "uploads/", "results/", "models/", "direct/"), w.putOrphans(ctx))
}

// putOrphans puts more objects of unknown ids than a sweep takes for usual.
func (w *storeWork) putOrphans(ctx context.Context) error {
	for range 25 {
		if _, err := w.objects.Put(ctx, objects.InputKey(uuid.New()), strings.NewReader("id")); err != nil {
			return err
		}
	}
	return nil
}

// confirm lets sweeps go on.
func (w *storeWork) confirm(ctx context.Context) error {
	h, err := w.Upkeep.Housekeeping(ctx)
	if err != nil {
		return err
	}
	return w.Upkeep.ConfirmOrphans(ctx, h.Orphans)
}
