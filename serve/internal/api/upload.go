package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// POST /upload, from top to bottom: postUpload claims the idempotency key; receiveUpload opens the body and takes a place;
// storeUpload records the upload; storeFile checks, counts and stores the file while it arrives, and chooses its model
// ([plan.KeptModels.Choose], [plan.StoredPlan]); answerUpload answers at once or waits. Behind them stand the limits and parameters
// that they use. The form is parsed in upload_file.go, the body in request_body.go, keys are in idempotency.go.

// postUpload receives a file: it is checked and counted while it streams into the object store, and then recorded together
// with its queued prediction.
func postUpload(s *server, r *request) error {
	defer s.urgent(r)()
	explain, err := r.explainParam()
	if err != nil {
		return err
	}
	wait, err := r.preferWait()
	if err != nil {
		return err
	}
	key, err := s.claimKey(r)
	if err != nil {
		return err
	}
	var p store.Prediction
	switch {
	case key == nil:
		p, err = s.receiveUpload(r, explain, nil)
	case key.Done:
		p, err = s.replay(r, key)
	default:
		p, err = s.receiveWithKey(r, key, explain)
	}
	if err != nil {
		return err
	}
	return s.answerUpload(r, p, wait)
}

// receiveUpload receives the file and stores it while it holds a place for uploads. key is nil without an Idempotency-Key.
func (s *server) receiveUpload(r *request, explain engine.Explain, key *idempotencyKey) (store.Prediction, error) {
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return store.Prediction{}, err
	}
	leave, err := r.work(file.body, s.places.Uploads)
	if err != nil {
		return store.Prediction{}, err
	}
	defer leave()
	if key != nil {
		file.Reader = io.TeeReader(file.Reader, key.file)
	}
	return s.storeUpload(r, file, explain, key)
}

// storeUpload stores a file and records it with its prediction. A refused file is deleted.
func (s *server) storeUpload(r *request, file *uploadFile, explain engine.Explain, key *idempotencyKey) (store.Prediction, error) {
	options, err := r.optionsParams()
	if err == nil {
		options.ExperimentGroup, err = r.label(file, "experiment_group")
	}
	if err != nil {
		return store.Prediction{}, err
	}
	u := store.NewUpload{ID: store.NewID(), UserID: r.user.ID, Filename: file.name, Explain: string(explain)}
	if u.Dataset, err = r.label(file, "dataset"); err != nil {
		return store.Prediction{}, err
	}
	u.ObjectKey = objects.InputKey(u.ID)
	bundle, err := s.storeFile(r, file, &u, &options)
	if err != nil {
		if broken := file.body.failed(); broken != nil {
			err = broken // the error of the readers above is a consequence
		}
		return store.Prediction{}, err
	}
	if u.Options, err = json.Marshal(options); err != nil {
		return store.Prediction{}, err
	}
	if key != nil {
		u.Key = key.RequestKey
		u.Key.Fingerprint = fingerprint(r, file, key.file.Sum(nil))
	}
	ctx, cancel := context.WithTimeout(r.ctx, plan.DatabaseTimeout)
	defer cancel()
	var p store.Prediction
	err = s.Kept.Accept(ctx, bundle, func() (err error) {
		p, err = s.Store.Predictions.CreateUpload(ctx, u)
		return err
	})
	if errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrAccountDeleted) || plan.IsWaitingLimit(err) ||
		errors.Is(err, plan.ErrModelWithdrawn) || errors.Is(err, models.ErrRetired) {
		// certainly not recorded
		s.discard(r.ctx, &u)
		return p, err
	}
	if err != nil {
		// The transaction may have committed although the answer was lost, so the object must stay. If it has not, the
		// sweep deletes the object as an orphan.
		return p, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// storeFile streams a file into the object store while it is checked and counted, and sets the fields of u that are known
// afterwards: rows, parts, model, digest; and in o how the file writes numbers. It returns the model.
func (s *server) storeFile(
	r *request, file *uploadFile, u *store.NewUpload, o *plan.PredictionOptions,
) (*engine.Bundle, error) {
	planner, err := s.plan(file)
	if err != nil {
		return nil, err
	}
	bundle, err := s.chooseModel(r, file, planner.Header())
	if err != nil {
		return nil, err
	}
	if err := o.CheckFront(planner, bundle); err != nil {
		return nil, err
	}
	info, err := s.Objects.Put(r.ctx, u.ObjectKey, planner)
	if err != nil {
		return nil, saveFailure(err)
	}
	if err := file.finish(); err != nil {
		s.discard(r.ctx, u)
		return nil, err
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	u.ObjectETag, u.SHA256, u.Bytes, u.Rows = info.ETag, info.SHA256, plan.Bytes, plan.Rows
	u.Header, u.Parts, u.Model = plan.Header, plan.Parts, plan.Model
	return bundle, nil
}

// plan decompresses a file and reads its header. The planner finds the parts while it is read.
func (s *server) plan(file *uploadFile) (*ingest.Planner, error) {
	text, err := ingest.Unpack(file, s.UploadLimits)
	if err != nil {
		return nil, err
	}
	return plan.NewPlanner(text, s.UploadLimits)
}

// chooseModel returns the model of ?model= or of the form's field, else the default of the user and the dataset, else the
// one that the header matches, and checks that the header has the columns that it requires.
func (s *server) chooseModel(r *request, file *uploadFile, h ingest.Header) (*engine.Bundle, error) {
	w := plan.Wish{Model: r.query["model"], UserID: r.user.ID}
	if w.Model == "" {
		w.Model = file.fields["model"]
	}
	var err error
	if w.Dataset, err = r.label(file, "dataset"); err != nil {
		return nil, err
	}
	b, err := s.Kept.Choose(r.ctx, w, h)
	return b, modelFailure(err)
}

// modelFailure explains that a model cannot be had at present; other errors it returns as they are.
func modelFailure(err error) error {
	if missing := new(plan.MissingModelError); errors.As(err, &missing) {
		return fault.Fail(fault.CodeModelUnavailable, "").Because(err)
	}
	return err
}

// uploadBody is the answer to an upload whose prediction is not finished. It does not depend on the progress of the
// prediction, so that a replay under the idempotency key has the same answer.
type uploadBody struct {
	UploadID     int64            `json:"upload_id"`
	Filename     string           `json:"filename"`
	Status       string           `json:"status"` // of the upload
	RowCount     *int64           `json:"row_count"`
	PredictionID string           `json:"prediction_id"`
	Model        string           `json:"model"`
	ModelVersion string           `json:"model_version"`
	NotUsed      []string         `json:"columns_not_used"`
	DuplicateOf  *string          `json:"possible_duplicate_of"`
	Links        *predictionLinks `json:"links"`
}

// answerUpload answers with the prediction if it finishes within wait, else with an [uploadBody]. Both have the fields of
// uploadBody, and the status is the upload's.
func (s *server) answerUpload(r *request, p store.Prediction, wait time.Duration) error {
	p, err := s.await(r.ctx, p, wait)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	links := s.links(p.ID, "") // without a query also if the prediction of a replay has finished
	r.set("Location", links.Self)
	if wait > 0 && p.Status.Done() {
		r.set("Preference-Applied", fmt.Sprintf("wait=%d", wait/time.Second))
		view := s.resource(p, time.Now())
		view.Status = store.Status(view.UploadStatus)
		return r.json(http.StatusOK, view)
	}
	notUsed, err := s.notUsed(r.ctx, p)
	if err != nil {
		return err
	}
	r.set("Retry-After", "1")
	return r.json(http.StatusOK, uploadBody{
		UploadID: p.UploadNumber, Filename: p.Filename, Status: uploadStatus(store.Queued), RowCount: p.RowCount,
		PredictionID: p.ID.String(), Model: p.Model.Name, ModelVersion: p.Model.Version,
		NotUsed:     notUsed,
		DuplicateOf: idText(p.PossibleDuplicateOf), Links: links,
	})
}

// await reads a prediction until it is done or wait is over: when it has changed, and with growing pauses, as small files
// are done before the database has been asked for changes.
func (s *server) await(ctx context.Context, p store.Prediction, wait time.Duration) (store.Prediction, error) {
	var changes <-chan struct{}
	deadline := time.Now().Add(wait)
	for pause := 5 * time.Millisecond; !p.Status.Done() && time.Now().Before(deadline); {
		if pause > eventsPause && changes == nil {
			var stop func()
			changes, stop = s.Store.Predictions.Watch(p.InternalID)
			defer stop()
		}
		if !waitForChange(ctx, changes, min(pause, eventsPause), min(pause, time.Until(deadline))) {
			return p, nil // shutting down: the upload was accepted nevertheless
		}
		var err error
		if p, err = s.Store.Predictions.Get(ctx, p.UserID, p.ID); err != nil {
			return p, err
		}
		pause = min(pause+pause/4, eventsPauseMax)
	}
	return p, nil
}

// notUsed returns the columns of the file that its model does not use.
func (s *server) notUsed(ctx context.Context, p store.Prediction) ([]string, error) {
	b, err := s.pinned(ctx, p.Model)
	if err != nil || b == nil {
		return []string{}, err
	}
	return fault.SanitizeAll(b.NotUsed(p.Columns)), nil
}

// urgentMax bounds how long a request preempts the scoring of large files.
const urgentMax = time.Second

// urgent makes large files yield their cores while a small one is received, until done is called or urgentMax is over.
func (s *server) urgent(r *request) (done func()) {
	length := r.rc.Request.Header.ContentLength()
	if length < 0 || length > store.SmallBytesMax {
		return func() {}
	}
	end := sync.OnceFunc(s.Background.Urgent())
	timer := time.AfterFunc(urgentMax, end)
	return func() {
		timer.Stop()
		end()
	}
}

// waitMax is the longest time that Prefer: wait may ask for.
const waitMax = 60 * time.Second

// preferWait parses "Prefer: wait=10"; 0 without one. Other preferences are ignored, as RFC 7240 requires.
func (r *request) preferWait() (time.Duration, error) {
	for preference := range strings.SplitSeq(r.header("Prefer"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(name, "wait") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(value, `"`))
		if err != nil {
			return 0, fault.Fail(fault.CodeInvalidValue, "The Prefer header's wait must be a number of seconds.").
				With(fault.Details{"field": "Prefer"})
		}
		if seconds < 0 || seconds > int(waitMax/time.Second) {
			return 0, outOfRange("Prefer: wait", 0, int(waitMax/time.Second))
		}
		return time.Duration(seconds) * time.Second, nil
	}
	return 0, nil
}

// saveFailure explains why a file could not be stored.
func saveFailure(err error) *fault.Failure {
	f := storefault.ObjectFailure(err)
	if f.Code == fault.CodeObjectStore {
		f.Message = "Failed to save your file. Please try uploading again."
	}
	return f
}

// discard deletes the object of an upload that was not recorded, or queues the deletion. If both fail, the sweep deletes it
// as an orphan.
func (s *server) discard(ctx context.Context, u *store.NewUpload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), plan.DatabaseTimeout)
	defer cancel()
	err := s.Objects.Delete(ctx, objects.Refused, u.ObjectKey)
	if err != nil {
		err = errors.Join(err, s.Store.Predictions.DeleteLater(ctx, u.UserID, u.ID))
	}
	if err != nil {
		s.Log.Warn("discard object", "error", err.Error())
	}
}

const labelMax = 64

// label reads a label, such as the dataset, from the query or from a field of the form.
func (r *request) label(file *uploadFile, param string) (string, error) {
	label := r.query[param]
	if label == "" {
		label = file.fields[param]
	}
	printable := strings.IndexFunc(label, func(c rune) bool { return !unicode.IsPrint(c) }) < 0
	if !printable || !utf8.ValidString(label) || utf8.RuneCountInString(label) > labelMax {
		return "", fault.Fail(fault.CodeInvalidValue, fmt.Sprintf(
			"'%s' must be a name of at most %d printable characters.", param, labelMax)).
			With(fault.Details{"field": param, "limit": labelMax, "unit": "characters"})
	}
	return label, nil
}
