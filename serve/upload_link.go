package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

const (
	directBytesMax = 5 << 30 // what S3 takes in one put
	// uploadLinkLife is short: whoever has a link may use it, also after its owner has signed out.
	uploadLinkLife = 15 * time.Minute
	// uploadLinkAge is how long an upload may be completed after its link expired.
	uploadLinkAge = 24 * time.Hour
)

// uploadLink tells how to put a file straight into the bucket.
type uploadLink struct {
	LinkID    string            `json:"link_id"`
	Filename  string            `json:"filename"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	ExpiresAt string            `json:"expires_at"`
	Links     uploadLinkLinks   `json:"links"`
}

type uploadLinkLinks struct {
	Complete string `json:"complete"`
}

// postUploadLink gives a link to put a file that is larger than the API takes. The file is the user's because of the
// row that is kept here; its key is made of the row's id alone.
func postUploadLink(s *server, r *request) error {
	presigner, ok := s.Objects.(store.Presigner)
	if !ok {
		return fail(CodeNoDirectUploads, "")
	}
	l, err := s.wantedLink(r)
	if err != nil {
		return err
	}
	return s.keyed(r, nil, func(k *store.RequestKey) error {
		l.Key = k
		if err := s.Store.CreateUploadLink(r.ctx, &l, uploadLinkLife); err != nil {
			return explainAs(CodeDatabase, err)
		}
		return s.answerLink(r, presigner, l)
	}, func(id uuid.UUID) error {
		l, err := s.uploadLink(r, id)
		if err != nil {
			return err
		}
		return s.answerLink(r, presigner, l)
	})
}

// answerLink signs a link for the time that is left of it.
func (s *server) answerLink(r *request, presigner store.Presigner, l store.UploadLink) error {
	left := time.Until(l.ExpiresAt)
	if left < time.Second {
		return fail(CodeWrongState,
			"The link made with this idempotency key has expired. Ask for one with another key.")
	}
	put, err := presigner.PresignPut(r.ctx, store.DirectKey(l.ID), l.Bytes, left)
	if err != nil {
		return objectFailure(err)
	}
	r.set("Cache-Control", "no-store")
	return r.json(http.StatusCreated, uploadLink{
		LinkID: l.ID.String(), Filename: l.Filename, Method: http.MethodPut, URL: put.URL, Headers: put.Headers,
		ExpiresAt: timeText(l.ExpiresAt),
		Links:     uploadLinkLinks{Complete: s.PublicURL + "/upload-links/" + l.ID.String() + "/complete"},
	})
}

// uploadLink finds a link of the user.
func (s *server) uploadLink(r *request, id uuid.UUID) (store.UploadLink, error) {
	l, err := s.Store.UploadLink(r.ctx, r.user.ID, id)
	if errors.Is(err, store.ErrNotFound) {
		return l, fail(CodePredictionNotFound, "There is no such upload link.")
	}
	if err != nil {
		return l, explainAs(CodeDatabase, err)
	}
	return l, nil
}

// wantedLink reads what the file will be.
func (s *server) wantedLink(r *request) (l store.UploadLink, err error) {
	explain, err := r.explainParam()
	if err != nil {
		return l, err
	}
	options, err := r.optionsParams()
	if err != nil {
		return l, err
	}
	l = store.UploadLink{ID: store.NewID(), UserID: r.user.ID, Model: r.query["model"], Explain: string(explain)}
	if _, known := s.Models.Get(l.Model); l.Model != "" && !known {
		return l, s.unknownModel(l.Model)
	}
	name := r.query["filename"]
	if name == "" {
		name = "upload.csv"
	}
	if l.Filename, err = fileName(name); err != nil {
		return l, err
	}
	if l.Bytes, err = strconv.ParseInt(r.query["bytes"], 10, 64); err != nil || l.Bytes < 1 {
		return l, fail(CodeInvalidValue, "'bytes' must be the exact size of the file.").with(details{"field": "bytes"})
	}
	if l.Bytes > s.DirectBytesMax {
		return l, tooLarge(s.DirectBytesMax, "bytes")
	}
	l.Options, err = json.Marshal(options)
	return l, err
}

// completeUpload makes a prediction of a file that was put through a link.
func completeUpload(s *server, r *request) error {
	wait, err := r.preferWait()
	if err != nil {
		return err
	}
	id, err := uuid.Parse(r.value)
	if err != nil || id.String() != r.value {
		return fail(CodePredictionNotFound, "There is no such upload link.")
	}
	l, err := s.uploadLink(r, id)
	if err != nil {
		return err
	}
	p, err := completeLink(r.ctx, s.Store, s.Objects, l)
	if err != nil {
		return err
	}
	return s.answerUpload(r, p, wait)
}

// completeLink makes the prediction, unless that was done before: then it finds it.
func completeLink(
	ctx context.Context, s *store.Store, o store.Objects, l store.UploadLink,
) (p store.Prediction, err error) {
	if l.Prediction != uuid.Nil {
		p, err = s.Prediction(ctx, l.UserID, l.Prediction)
	} else {
		file, failed := linkedFile(ctx, o, l)
		if failed != nil {
			return p, failed
		}
		p, err = s.CompleteUpload(ctx, l, file)
	}
	if err != nil {
		return p, explainAs(CodeDatabase, err)
	}
	return p, nil
}

// linkedFile looks whether the file is there and what was promised.
func linkedFile(ctx context.Context, o store.Objects, l store.UploadLink) (store.ObjectInfo, error) {
	file, err := o.Head(ctx, store.DirectKey(l.ID))
	switch {
	case errors.Is(err, store.ErrNotFound):
		if away := store.Reach(ctx, o); away != nil { // a bucket that is missing gives the same answer
			return file, objectFailure(away)
		}
		return file, fail(CodeWrongState, "The file has not been uploaded yet. Put it to the link first.")
	case err != nil:
		return file, objectFailure(err)
	case file.Bytes != l.Bytes: // the signature of the link should have kept it out
		return file, errors.Join(fail(CodeInvalidFile, "The file does not have the size that the link was made for.").
			with(details{"expected": l.Bytes, "actual": file.Bytes, "unit": "bytes"}), o.Delete(ctx, store.Refused, file.Key))
	}
	return file, nil
}

// completeByEvent does it for an event of the bucket. A file that no link was made for is nobody's, and one that was
// completed needs nothing, whatever became of its prediction. While its user has too many waiting it is postponed.
func (d *doorbell) completeByEvent(ctx context.Context, key string) error {
	id, ok := store.DirectUpload(key)
	if !ok {
		return nil
	}
	l, err := d.store.LinkOfObject(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		d.log.Warn("file without an upload link")
		return nil
	}
	if err == nil && l.Prediction == uuid.Nil {
		_, err = completeLink(ctx, d.store, d.objects, l)
	}
	if waits(err) {
		err = d.store.PostponeUploadLink(ctx, id, true)
	}
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}
