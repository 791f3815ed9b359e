package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/tuple"
)

const jobRows = 10_000

// storeWork is what methods of the store are called with. Each call that changes something makes its own prediction.
type storeWork struct {
	*store.Store
	database *database
	user     store.User
	large    store.Prediction // with rows
	dead     store.Prediction
	given    store.Prediction // made for the next call
	claimed  *store.Claim
	key      *store.RequestKey
	letters  []int64
	keyText  string
	blocks   []byte
	calls    int

	object         store.NewObject
	access         store.AccessKey
	link           store.UploadLink
	announcementID int64 // announcement
	deletedUser    int64 // user who leaves
	objects        objects.Store
	owner          *store.Owner

	customers   []customer.Hash // of whom rows are kept
	customersOf int64           // whose they are
}

func newStoreWork(ctx context.Context, s *store.Store, d *database, f filling) (*storeWork, error) {
	w := &storeWork{Store: s, database: d}
	var err error
	if w.user, err = s.Accounts.EnsureUser(ctx, "user_1"); err != nil {
		return nil, err
	}
	if w.large, err = w.find(ctx, `SELECT public_id FROM predictions WHERE user_id = $1 ORDER BY id LIMIT 1`); err != nil {
		return nil, err
	}
	if w.objects, err = objects.OpenDirectory(filepath.Join(d.dir, "objects")); err != nil {
		return nil, err
	}
	w.owner = store.NewOwner(s, w.objects, nil)
	if _, err := w.owner.Adopt(ctx); err != nil {
		return nil, err
	}
	return w, w.customersOfRows(ctx)
}

func (w *storeWork) find(ctx context.Context, sql string) (store.Prediction, error) {
	var id uuid.UUID
	if err := w.database.conn.QueryRow(ctx, sql, w.user.ID).Scan(&id); err != nil {
		return store.Prediction{}, err
	}
	return w.Predictions.Get(ctx, w.user.ID, id)
}

// newUpload is a file of parts with so many rows each.
func (w *storeWork) newUpload(rows ...int64) store.NewUpload {
	u := store.NewUpload{
		ID: store.NewID(), UserID: w.user.ID, Filename: "customers.csv", ObjectETag: `"etag"`,
		Header: store.Header{Columns: []string{"customerID", "tenure"}, Delimiter: ',', Bytes: 18, Lines: 1},
		Model:  store.Model{Name: "telecom", Version: "1", SHA256: "5a", Engine: "1"}, Explain: "all",
	}
	u.ObjectKey = objects.InputKey(u.ID)
	offset, row := int64(18), int64(1)
	for i, n := range rows {
		u.Parts = append(u.Parts, store.Part{
			No: i, Planned: true, Offset: offset, Bytes: 100 * n, FirstRow: row, FirstLine: row + 1, Rows: n,
		})
		offset, row = offset+100*n, row+n
	}
	u.Rows, u.Bytes = row-1, offset
	return u
}

// upload makes the prediction that the next call is about.
func (w *storeWork) upload(rows ...int64) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		w.given, err = w.Predictions.CreateUpload(ctx, w.newUpload(rows...))
		return err
	}
}

// claim makes a prediction and claims its first part.
func (w *storeWork) claim(rows ...int64) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := w.upload(rows...)(ctx); err != nil {
			return err
		}
		return w.claimGiven(ctx)
	}
}

func (w *storeWork) claimGiven(ctx context.Context) (err error) {
	w.claimed, err = w.Ledger.ClaimPart(ctx, "worker")
	if err == nil && w.claimed == nil {
		err = fmt.Errorf("nothing to claim")
	}
	return err
}

// last makes a prediction whose parts are done, and holds its last step.
func (w *storeWork) last(ctx context.Context) error {
	if err := w.claim(10)(ctx); err != nil {
		return err
	}
	return w.commit(ctx, 10)
}

// lost prepares a claim that is void.
func (w *storeWork) lost(claim func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := claim(ctx); err != nil {
			return err
		}
		return w.Ledger.ReleasePart(ctx, w.claimed)
	}
}

func (w *storeWork) acquit(ctx context.Context) error { return w.Ledger.Acquit(ctx, w.claimed) }

// begin begins a claim that is void.
func (w *storeWork) begin(ctx context.Context) error {
	err := w.Ledger.Begin(ctx, w.claimed)
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	return fmt.Errorf("begun: %w", err)
}

func (w *storeWork) commit(ctx context.Context, rows int64) (err error) {
	w.claimed, err = w.Ledger.CommitPart(ctx, w.claimed, store.PartResult{Scored: rows}, bytes.NewReader(w.blocks))
	return err
}

// encode makes the blocks of the part in hand.
func (w *storeWork) encode(rows int) error {
	scored := scoredRows(1, rows)
	defer scored.Release()
	var err error
	w.blocks, err = tuple.NewBlockEncoder(w.claimed.PredictionID).AppendBlocks(w.blocks[:0], scored)
	return err
}

// drop ends the prediction in hand, so that the next claim is not about it.
func (w *storeWork) drop(ctx context.Context) error {
	w.blocks = w.blocks[:0]
	return w.Predictions.Delete(ctx, w.user.ID, w.given.ID)
}

// commitPart is a job of 10,000 rows.
func (w *storeWork) commitPart() method {
	return method{
		name: "CommitPart of 10,000 rows",
		prepare: func(ctx context.Context) error {
			if err := w.claim(jobRows)(ctx); err != nil {
				return err
			}
			return w.encode(jobRows)
		},
		call: func(ctx context.Context) error { return w.commit(ctx, jobRows) }, after: w.drop,
	}
}

// pageOfRows begins in the middle of a block.
func (w *storeWork) pageOfRows() method {
	return method{name: "Rows, page of 1,000", call: func(ctx context.Context) error {
		page, err := w.Predictions.Rows(ctx, w.user.ID, w.large.ID, store.RowQuery{Limit: 1000, After: &store.RowCursor{Row: 5400}})
		if err == nil && len(page.Rows) != 1000 {
			err = fmt.Errorf("%d rows", len(page.Rows))
		}
		return err
	}}
}

// outcomes say of each customer something else than last time.
func (w *storeWork) outcomes() []store.Outcome {
	w.calls++
	list := make([]store.Outcome, len(w.customers))
	for i, c := range w.customers {
		list[i] = store.Outcome{Customer: c, Churned: (i+w.calls)%2 == 0}
	}
	return list
}

var noReport = store.Reports{
	OfModel: func(store.Model, []store.ObservedRow) (json.RawMessage, error) {
		return json.RawMessage(`{}`), nil
	},
	OfMonth: func(rows []counts.Scored) []int64 { return []int64{int64(len(rows))} },
}

// claimKey claims a new key.
func (w *storeWork) claimKey(ctx context.Context) (err error) {
	w.keyText = uuid.NewString()
	w.key, err = w.Accounts.ClaimKey(ctx, w.user.ID, "POST /upload", w.keyText)
	return err
}

func (w *storeWork) claimLetters(ctx context.Context) error {
	letters, err := w.Outbox.Claim(ctx, 10)
	w.letters = w.letters[:0]
	for _, l := range letters {
		w.letters = append(w.letters, l.ID)
	}
	return err
}

// fail ends the prediction in hand for good.
func (w *storeWork) fail(ctx context.Context) error {
	return w.Ledger.FailPart(ctx, w.claimed, store.Failure{Code: "ERR-1500", Permanent: true})
}

func (w *storeWork) newObject() store.NewObject {
	return store.NewObject{UserID: w.user.ID, Bucket: "b", Key: "inbox/" + uuid.NewString() + ".csv", Version: "1"}
}

// plan is what is found in a file that was dropped.
func (w *storeWork) plan() store.Plan {
	u := w.newUpload(10)
	return store.Plan{Header: u.Header, Rows: 10, Bytes: u.Bytes, Model: u.Model, Parts: u.Parts, ObjectKey: u.ObjectKey}
}

const leaseWait = time.Minute

// countsOfPrediction is how many counts a prediction of the telecom model has, roughly.
const countsOfPrediction = 200

// countsOf reads the counts of a year.
func (w *storeWork) countsOf(
	q counts.Query, read func(context.Context, counts.Query, func(counts.Entry) error) (bool, error),
) func(context.Context) error {
	q.To = time.Now()
	q.From = q.To.AddDate(-1, 0, 0)
	return func(ctx context.Context) error {
		_, err := read(ctx, q, func(counts.Entry) error { return nil })
		return err
	}
}
