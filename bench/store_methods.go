package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/customer"
)

// methods are all methods of the store that talk to the database.
func (w *storeWork) methods() []method {
	return slices.Concat(w.readingMethods(), w.watchingMethods(), w.requestMethods(), w.linkMethods(), w.accountMethods(),
		w.claimingMethods(), w.endingMethods(), w.sweepingMethods(), w.upkeepMethods(), w.ownerMethods(), w.modelMethods())
}

// scatteredRows are 100 rows from everywhere in the large prediction.
func scatteredRows() (rows []int64) {
	for i := range 100 {
		rows = append(rows, int64(1+i*97))
	}
	return rows
}

// readingMethods are what users read.
func (w *storeWork) readingMethods() []method {
	user, large := w.user.ID, w.large.ID
	band, ids := int16(2), scatteredRows()
	rows := func(q store.RowQuery) func(context.Context) error {
		return func(ctx context.Context) error { _, err := w.Predictions.Rows(ctx, user, large, q); return err }
	}
	var cursor *store.Cursor
	return []method{
		{name: "Ping", call: w.Ping},
		{name: "NextDue", call: func(ctx context.Context) error { _, err := w.Ledger.NextDue(ctx); return err }},
		{name: "EnsureUser, known", call: func(ctx context.Context) error {
			_, err := w.Accounts.EnsureUser(ctx, w.user.Subject)
			return err
		}},
		{name: "TrainingRate", call: func(ctx context.Context) error {
			_, err := w.Ledger.TrainingRate(ctx, user)
			return err
		}},
		{name: "Prediction", call: func(ctx context.Context) error {
			_, err := w.Predictions.Get(ctx, user, large)
			return err
		}},
		{name: "Predictions, first 100", call: func(ctx context.Context) error {
			list, err := w.Predictions.List(ctx, user, store.ListQuery{Limit: 100})
			if err == nil && len(list) > 0 {
				cursor = list[len(list)-1].Cursor()
			}
			return err
		}},
		{name: "Predictions, next 100", call: func(ctx context.Context) error {
			_, err := w.Predictions.List(ctx, user, store.ListQuery{After: cursor, Limit: 100})
			return err
		}},
		{name: "Predictions, 10,000 skipped", call: func(ctx context.Context) error {
			_, err := w.Predictions.List(ctx, user, store.ListQuery{Skip: 10_000, Limit: 100})
			return err
		}},
		{name: "Ahead", call: func(ctx context.Context) error { _, err := w.Predictions.Ahead(ctx, w.large); return err }},
		w.pageOfRows(),
		{name: "ResultRows of 100 rows", call: func(ctx context.Context) error {
			_, _, err := w.Predictions.ResultRows(ctx, user, large, ids)
			return err
		}},
		{name: "Rows, 100 of a band", call: rows(store.RowQuery{Limit: 100, Band: &band})},
		{
			name: "Rows, 100 by probability", call: rows(store.RowQuery{Limit: 100, Order: store.ByProbability}),
			bulk: "looks at the probabilities of all rows of the prediction",
		},
		{name: "OutcomeReports", call: func(ctx context.Context) error {
			_, err := w.Predictions.OutcomeReports(ctx, user, "telecom")
			return err
		}},
		{name: "Counts.Predictions", call: w.countsOf(counts.Query{User: user, Model: "telecom"}, w.Counts.Predictions)},
		{name: "Counts.Outcomes", call: w.countsOf(counts.Query{User: user, Model: "telecom"}, w.Counts.Outcomes)},
		{name: "Counts.Profiles", call: func(ctx context.Context) error {
			_, err := w.Counts.Profiles(ctx, []string{"5a"})
			return err
		}},
	}
}

// watchingMethods are what operators and workers read.
func (w *storeWork) watchingMethods() []method {
	claim := &store.Claim{
		PredictionID: w.large.InternalID, Generation: 1, UserID: w.user.ID, Model: store.Model{Name: "telecom"},
	}
	ids := scatteredRows()
	return []method{
		{name: "DeadLetters", call: func(ctx context.Context) error {
			list, err := w.Upkeep.DeadLetters(ctx, store.DeadFilter{}, nil, 50)
			if err == nil && len(list) > 0 {
				w.dead.ID = list[0].ID
			}
			return err
		}},
		{name: "Attempts", call: func(ctx context.Context) error { _, err := w.Upkeep.Attempts(ctx, w.dead.ID); return err }},
		{name: "Parts", call: func(ctx context.Context) error { _, err := w.Ledger.Parts(ctx, claim); return err }},
		{name: "QueueState", call: func(ctx context.Context) error { _, err := w.Upkeep.QueueState(ctx); return err }},
		{name: "Times", call: func(ctx context.Context) error { _, err := w.Ledger.Times(ctx, claim); return err }},
		{name: "Previous", call: func(ctx context.Context) error { _, err := w.Ledger.Previous(ctx, claim); return err }},
		{name: "CustomerIDs of 100 rows", call: func(ctx context.Context) error {
			_, err := w.Ledger.CustomerIDs(ctx, claim, ids)
			return err
		}},
	}
}

// requestMethods are what requests change.
func (w *storeWork) requestMethods() []method {
	user := w.user.ID
	return []method{
		{name: "EnsureUser, new", call: func(ctx context.Context) error {
			_, err := w.Accounts.EnsureUser(ctx, store.NewID().String())
			return err
		}},
		{name: "SetTrainingRate", call: func(ctx context.Context) error { return w.Accounts.SetTrainingRate(ctx, user, 1) }},
		{name: "CreateUpload", call: w.upload(10), after: w.drop},
		{name: "CreateUpload under a key", prepare: w.claimKey, call: func(ctx context.Context) (err error) {
			u := w.newUpload(10)
			u.Key = w.key
			w.given, err = w.Predictions.CreateUpload(ctx, u)
			return err
		}, after: w.drop},
		{name: "Cancel", prepare: w.upload(10), call: func(ctx context.Context) error {
			_, err := w.Predictions.Cancel(ctx, user, w.given.ID)
			return err
		}, after: w.drop},
		{name: "ClaimKey", call: w.claimKey},
		{name: "ClaimKey, held", prepare: w.claimKey, call: w.claimKeyAgain},
		{name: "RenewKey", prepare: w.claimKey, call: func(ctx context.Context) error {
			return w.Accounts.RenewKey(ctx, w.key)
		}},
		{name: "ReleaseKey", prepare: w.claimKey, call: func(ctx context.Context) error {
			return w.Accounts.ReleaseKey(ctx, w.key)
		}},
		{name: "EnqueueObject", call: func(ctx context.Context) (err error) {
			w.given, _, err = w.Predictions.EnqueueObject(ctx, w.newObject())
			return err
		}, after: w.drop},
		{name: "EnqueueObject again", prepare: func(ctx context.Context) (err error) {
			w.object = w.newObject()
			w.given, _, err = w.Predictions.EnqueueObject(ctx, w.object)
			return err
		}, call: func(ctx context.Context) error {
			_, _, err := w.Predictions.EnqueueObject(ctx, w.object)
			return err
		}, after: w.drop},
		{
			name: "RecordOutcomes", bulk: "1,000 customers, and the reports", call: func(ctx context.Context) error {
				_, err := w.Predictions.RecordOutcomes(ctx, w.customersOf, w.outcomes(), noReport)
				return err
			},
		},
		{name: "Counts.Remake", call: func(ctx context.Context) error { return w.Counts.Remake(ctx, noReport.OfMonth) }},
		{name: "DeletePrediction", prepare: w.upload(10), call: w.drop},
		{name: "Retry", prepare: func(ctx context.Context) error {
			return errors.Join(w.claim(10)(ctx), w.fail(ctx))
		}, call: func(ctx context.Context) error { return w.Upkeep.Retry(ctx, w.given.ID, store.Model{}) }, after: w.drop},
	}
}

// claimKeyAgain finds the key in use.
func (w *storeWork) claimKeyAgain(ctx context.Context) error {
	_, err := w.Accounts.ClaimKey(ctx, w.user.ID, "POST /upload", w.keyText)
	if errors.Is(err, store.ErrKeyInUse) {
		return nil
	}
	return err
}

// claimingMethods take work and keep it.
func (w *storeWork) claimingMethods() []method {
	return []method{
		{name: "ClaimPart, nothing to do", call: func(ctx context.Context) error {
			_, err := w.Ledger.ClaimPart(ctx, "worker")
			return err
		}},
		{name: "ClaimPart", prepare: w.upload(10), call: w.claimGiven, after: w.drop},
		{name: "ClaimSmallPart", prepare: w.upload(10), call: func(ctx context.Context) (err error) {
			w.claimed, err = w.Ledger.ClaimSmallPart(ctx, "worker")
			if err == nil && w.claimed == nil {
				err = errors.New("nothing to claim")
			}
			return err
		}, after: w.drop},
		{name: "ClaimFinish, nothing to do", call: func(ctx context.Context) error {
			_, err := w.Ledger.ClaimFinish(ctx, "worker")
			return err
		}},
		{name: "ClaimFinish", prepare: func(ctx context.Context) error {
			if err := w.claim(10, 10)(ctx); err != nil {
				return err
			}
			_, err := w.Ledger.CommitPart(ctx, w.claimed, store.PartResult{Scored: 10}, nil)
			if err == nil {
				_, err = w.Predictions.Cancel(ctx, w.user.ID, w.given.ID)
			}
			return err
		}, call: func(ctx context.Context) error {
			c, err := w.Ledger.ClaimFinish(ctx, "worker")
			if err == nil && c == nil {
				err = errors.New("nothing to finish")
			}
			return err
		}, after: w.drop},
		{name: "ReserveSuspect, nothing to do", call: func(ctx context.Context) error {
			_, err := w.Ledger.ReserveSuspect(ctx, "worker")
			return err
		}},
		{name: "Begin of a lost reservation", prepare: w.lost(w.claim(10)), call: w.begin, after: w.drop},
		{name: "Begin of a lost last step", prepare: w.lost(w.last), call: w.begin, after: w.drop},
		{name: "RenewLease", prepare: w.claim(10), call: func(ctx context.Context) error {
			return w.Ledger.RenewLease(ctx, w.claimed)
		}, after: w.drop},
		{name: "RenewLease of a last step", prepare: w.last, call: func(ctx context.Context) error {
			return w.Ledger.RenewLease(ctx, w.claimed)
		}, after: w.drop},
	}
}

// endingMethods are how a worker is done with a part, well or not.
func (w *storeWork) endingMethods() []method {
	return []method{
		{name: "PlanPart", prepare: func(ctx context.Context) (err error) {
			if w.given, _, err = w.Predictions.EnqueueObject(ctx, w.newObject()); err != nil {
				return err
			}
			return w.claimGiven(ctx)
		}, call: func(ctx context.Context) error { return w.Ledger.PlanPart(ctx, w.claimed, w.plan()) }, after: w.drop},
		w.commitPart(),
		{name: "CommitPart again", prepare: func(ctx context.Context) error {
			if err := w.claim(10)(ctx); err != nil {
				return err
			}
			_, err := w.Ledger.CommitPart(ctx, w.claimed, store.PartResult{Scored: 10}, nil)
			return err
		}, call: func(ctx context.Context) error {
			_, err := w.Ledger.CommitPart(ctx, w.claimed, store.PartResult{Scored: 10}, nil)
			return err
		}, after: w.drop},
		{name: "Finish", prepare: w.last, call: func(ctx context.Context) error {
			return w.Ledger.Finish(ctx, w.claimed, store.Result{
				ResultKey: "k", Summary: []byte(`{}`),
				Counted: &counts.Counted{Profile: []byte(`{}`), Numbers: make([]int64, countsOfPrediction)},
			})
		}, after: w.drop},
		{name: "FailPart, for good", prepare: w.claim(10), call: w.fail, after: w.drop},
		{name: "FailPart of a last step", prepare: w.last, call: func(ctx context.Context) error {
			return w.Ledger.FailPart(ctx, w.claimed, store.Failure{Code: "ERR-1500"})
		}, after: w.drop},
		{name: "FailPart, to be tried again", prepare: w.claim(10), call: func(ctx context.Context) error {
			return w.Ledger.FailPart(ctx, w.claimed, store.Failure{Code: "ERR-1500"})
		}, after: w.drop},
		{name: "Restart", prepare: w.last, call: func(ctx context.Context) error {
			return w.Ledger.Restart(ctx, w.claimed, store.Failure{Code: "ERR-1110"})
		}, after: w.drop},
		{name: "ReleasePart", prepare: w.claim(10), call: func(ctx context.Context) error {
			return w.Ledger.ReleasePart(ctx, w.claimed)
		}, after: w.drop},
		{name: "PostponePart", prepare: w.claim(10), call: func(ctx context.Context) error {
			return w.Ledger.PostponePart(ctx, w.claimed, store.Postponement{Wait: leaseWait, Reason: "waiting"})
		}, after: w.drop},
		{name: "Acquit", prepare: w.lost(w.claim(10)), call: w.acquit, after: w.drop},
		{name: "PostponePart of a last step", prepare: w.last, call: func(ctx context.Context) error {
			return w.Ledger.PostponePart(ctx, w.claimed, store.Postponement{Wait: leaseWait, Reason: "waiting"})
		}, after: w.drop},
		{name: "Acquit of a last step", prepare: w.lost(w.last), call: w.acquit, after: w.drop},
	}
}

// sweepingMethods keep the outbox and the keys short.
func (w *storeWork) sweepingMethods() []method {
	return []method{
		{name: "ClaimLetters", prepare: w.upload(10), call: w.claimLetters, after: w.drop},
		{name: "DiscardLetters", prepare: w.letter, call: func(ctx context.Context) error {
			return w.Outbox.Discard(ctx, w.letters)
		}, after: w.drop},
		{name: "ReturnLetters", prepare: w.letter, call: func(ctx context.Context) error {
			return w.Outbox.Release(ctx, w.letters)
		}, after: w.drop},
		{name: "Sweep", prepare: w.upload(10), call: func(ctx context.Context) error {
			_, err := w.Outbox.Sweep(ctx, 0)
			return err
		}, after: w.drop},
		{name: "SweepKeys", call: w.Upkeep.SweepKeys},
		{name: "Spend", call: func(ctx context.Context) error {
			_, _, err := w.Accounts.Spend(ctx, store.Budget{ID: uuid.New(), Step: time.Second, Window: time.Minute})
			return err
		}},
		{name: "Spend, nothing left", call: func(ctx context.Context) error {
			_, _, err := w.Accounts.Spend(ctx, store.Budget{Step: time.Hour, Window: time.Second})
			return err
		}},
		{name: "SweepBudgets", call: w.Upkeep.SweepBudgets},
	}
}

// letter makes a prediction and takes its letter.
func (w *storeWork) letter(ctx context.Context) error {
	if err := w.upload(10)(ctx); err != nil {
		return err
	}
	return w.claimLetters(ctx)
}

// customersOfRows finds a user of whose customers rows are kept, and those customers.
func (w *storeWork) customersOfRows(ctx context.Context) error {
	const user = `SELECT user_id FROM ml_training_data GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1`
	if err := w.database.conn.QueryRow(ctx, user).Scan(&w.customersOf); err != nil {
		return err
	}
	rows, err := w.database.conn.Query(ctx, `SELECT DISTINCT customer_hash FROM ml_training_data WHERE user_id = $1
		LIMIT 1000`, w.customersOf)
	if err != nil {
		return err
	}
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	for _, h := range hashes {
		w.customers = append(w.customers, customer.Hash(h))
	}
	return err
}
