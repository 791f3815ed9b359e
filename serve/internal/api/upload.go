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
	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// postUpload takes a file: it is checked and counted while it streams into the object store, then recorded together
// with its prediction.
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
		p, err = s.takeUpload(r, explain, nil)
	case key.Done:
		p, err = s.replay(r, key)
	default:
		p, err = s.once(r, key, explain)
	}
	if err != nil {
		return err
	}
	return s.answerUpload(r, p, wait)
}

// urgentMax bounds how long large files yield their cores to a request.
const urgentMax = time.Second

// urgent lets large files yield their cores while a small one is received and waited for; done ends it.
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

// takeUpload takes the file in while it holds one of the places for bodies. key is nil if the caller gave none.
func (s *server) takeUpload(r *request, explain engine.Explain, key *onceKey) (store.Prediction, error) {
	leave, err := enter(r.ctx, s.uploads, "files being uploaded")
	if err != nil {
		return store.Prediction{}, err
	}
	defer leave()
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return store.Prediction{}, err
	}
	if key != nil {
		file.Reader = io.TeeReader(file.Reader, key.file)
	}
	return s.accept(r, file, explain, key)
}

// placePatience is how long a request waits for its turn before it is refused with Retry-After.
const placePatience = 2 * time.Second

// enter takes a place; leave gives it back. unit says what there is a place for.
func enter(ctx context.Context, places chan struct{}, unit string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, placePatience)
	defer cancel()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, fault.Fail(fault.CodeBusy, "").With(fault.Details{"limit": cap(places), "unit": unit})
	}
}

// accept stores a file and records it. A file that is refused leaves nothing behind.
func (s *server) accept(r *request, file *uploadFile, explain engine.Explain, key *onceKey) (store.Prediction, error) {
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
	u.ObjectKey = store.InputKey(u.ID)
	if err := s.keep(r, file, &u, &options); err != nil {
		if broken := file.body.failed(); broken != nil {
			err = broken // what the readers above made of it is a consequence
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
	p, err := s.Store.CreateUpload(ctx, u)
	if errors.Is(err, store.ErrLeaseLost) || plan.Waits(err) { // nothing was recorded, for sure
		s.discard(r.ctx, &u)
		return p, err
	}
	if err != nil {
		// The commit may have happened although its answer was lost, so the object must stay. If it did not happen, the
		// sweep finds an object without an upload.
		return p, fault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// keep puts a file into the object store while it is counted and checked, and fills in what is known of it afterwards,
// and in the options how it writes numbers.
func (s *server) keep(r *request, file *uploadFile, u *store.NewUpload, o *plan.PredictionOptions) error {
	planner, err := s.plan(file)
	if err != nil {
		return err
	}
	bundle, err := s.chooseModel(r, file, planner.Header())
	if err != nil {
		return err
	}
	if err := o.DecideNumbers(planner, bundle); err != nil {
		return err
	}
	info, err := s.Objects.Put(r.ctx, u.ObjectKey, planner)
	if err != nil {
		return notSaved(err)
	}
	if err := file.finish(); err != nil {
		s.discard(r.ctx, u)
		return err
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	u.ObjectETag, u.SHA256, u.Bytes, u.Rows = info.ETag, info.SHA256, plan.Bytes, plan.Rows
	u.Header, u.Parts, u.Model = plan.Header, plan.Parts, plan.Model
	return nil
}

// notSaved explains why a file could not be put into the object store.
func notSaved(err error) *fault.Failure {
	f := fault.ObjectFailure(err)
	if f.Code == fault.CodeObjectStore {
		f.Message = "Failed to save your file. Please try uploading again."
	}
	return f
}

const labelMax = 64

// label reads a name that the customer gives, from the query or from the field of the form.
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

// plan unpacks a file and reads its header.
func (s *server) plan(file *uploadFile) (*ingest.Planner, error) {
	text, err := ingest.Unpack(file, s.UploadLimits)
	if err != nil {
		return nil, err
	}
	return ingest.NewPlanner(text, s.UploadLimits)
}

// discard deletes the file of an upload that nothing refers to, at once or later. If both fail, the sweep finds it.
func (s *server) discard(ctx context.Context, u *store.NewUpload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), plan.DatabaseTimeout)
	defer cancel()
	err := s.Objects.Delete(ctx, store.Refused, u.ObjectKey)
	if err != nil {
		err = errors.Join(err, s.Store.DeleteLater(ctx, u.UserID, u.ID))
	}
	if err != nil {
		s.Log.Warn("discard object", "error", err.Error())
	}
}

// chooseModel takes the model asked for, as a parameter or as a field of the form, or else the one that the header was
// made for, and checks that the file has what it needs.
func (s *server) chooseModel(r *request, file *uploadFile, h ingest.Header) (*engine.Bundle, error) {
	name := r.query["model"]
	if name == "" {
		name = file.fields["model"]
	}
	if _, ok := s.Models.Get(name); name != "" && !ok {
		return nil, s.unknownModel(name)
	}
	return plan.ChooseModel(s.Models, name, h)
}

func (s *server) unknownModel(name string) *fault.Failure {
	var names []string
	for _, b := range s.Models.List() {
		names = append(names, b.Name())
	}
	return fault.Fail(fault.CodeUnknownModel, "There is no model named '"+fault.Shown(name)+"'. Available: "+fault.ListText(names)+".").
		With(fault.Details{"field": "model", "expected": names})
}

// waitMax is the longest time that Prefer: wait may ask for.
const waitMax = 60 * time.Second

// preferWait reads "Prefer: wait=10"; 0 is none. Other preferences are passed over, as their standard wants.
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

func outOfRange(field string, least, most int) *fault.Failure {
	return fault.Fail(fault.CodeOutOfRange, fmt.Sprintf("'%s' must be between %d and %d.", field, least, most)).
		With(fault.Details{"field": field, "expected": []int{least, most}})
}

// uploadBody is the answer to an upload whose prediction is not finished. It says how the upload was accepted, so that
// it stays the same when the request is sent again under its key.
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

// answerUpload answers with the finished prediction if it finishes in time, else that it was accepted. Either has the
// fields of [uploadBody], and the status is the upload's.
func (s *server) answerUpload(r *request, p store.Prediction, wait time.Duration) error {
	p, err := s.await(r.ctx, p, wait)
	if err != nil {
		return fault.ExplainAs(fault.CodeDatabase, err)
	}
	links := s.links(p.ID, "") // also of a replay whose prediction is finished by now
	r.set("Location", links.Self)
	if wait > 0 && p.Status.Done() {
		r.set("Preference-Applied", fmt.Sprintf("wait=%d", wait/time.Second))
		view := s.resource(p, time.Now())
		view.Status = store.Status(view.UploadStatus)
		return r.json(http.StatusOK, view)
	}
	r.set("Retry-After", "1")
	return r.json(http.StatusOK, uploadBody{
		UploadID: p.UploadNumber, Filename: p.Filename, Status: uploadStatus(store.Queued), RowCount: p.RowCount,
		PredictionID: p.ID.String(), Model: p.Model.Name, ModelVersion: p.Model.Version,
		NotUsed:     s.notUsed(p),
		DuplicateOf: idText(p.PossibleDuplicateOf), Links: links,
	})
}

// notUsed names the columns of the file that its model does not read.
func (s *server) notUsed(p store.Prediction) []string {
	if b, ok := s.Models.Pinned(p.Model.Name, p.Model.SHA256); ok {
		return fault.ShownAll(b.NotUsed(p.Columns))
	}
	return []string{}
}

// await looks at a prediction until it is done or the time is up, more rarely the longer it takes.
func (s *server) await(ctx context.Context, p store.Prediction, wait time.Duration) (store.Prediction, error) {
	deadline := time.Now().Add(wait)
	for pause := 5 * time.Millisecond; !p.Status.Done() && time.Now().Add(pause).Before(deadline); {
		if err := backoff.Sleep(ctx, pause); err != nil {
			return p, nil // shutting down: the upload was accepted all the same
		}
		var err error
		if p, err = s.Store.Prediction(ctx, p.UserID, p.ID); err != nil {
			return p, err
		}
		pause = min(pause+pause/4, 250*time.Millisecond)
	}
	return p, nil
}
