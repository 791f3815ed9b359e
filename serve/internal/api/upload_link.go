package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// uploadLink is the presigned request for a direct upload to the bucket.
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

// postUploadLink creates a link for a direct upload of a file that may be larger than the API accepts. The link is recorded
// with its user; the object's key contains only the id of the link.
func postUploadLink(s *server, r *request) error {
	presigner, ok := s.Objects.(objects.Presigner)
	if !ok {
		return fault.Fail(fault.CodeNoDirectUploads, "")
	}
	l, err := s.linkParams(r)
	if err != nil {
		return err
	}
	return s.idempotent(r, nil, func(k *store.RequestKey) error {
		l.Key = k
		if err := s.Store.UploadLinks.Create(r.ctx, &l, plan.UploadLinkLife); err != nil {
			return storefault.ExplainAs(fault.CodeDatabase, err)
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

// answerLink answers with a link that is signed for its remaining time.
func (s *server) answerLink(r *request, presigner objects.Presigner, l store.UploadLink) error {
	left := time.Until(l.ExpiresAt)
	if left < time.Second {
		return fault.Fail(fault.CodeWrongState,
			"The link made with this idempotency key has expired. Ask for one with another key.")
	}
	put, err := presigner.PresignPut(r.ctx, store.DirectKey(l.ID), l.Bytes, left)
	if err != nil {
		return storefault.ObjectFailure(err)
	}
	r.set("Cache-Control", "no-store")
	return r.json(http.StatusCreated, uploadLink{
		LinkID: l.ID.String(), Filename: l.Filename, Method: http.MethodPut, URL: put.URL, Headers: put.Headers,
		ExpiresAt: wire.TimeText(l.ExpiresAt),
		Links:     uploadLinkLinks{Complete: s.PublicURL + "/upload-links/" + l.ID.String() + "/complete"},
	})
}

// uploadLink returns a link of the user.
func (s *server) uploadLink(r *request, id uuid.UUID) (store.UploadLink, error) {
	l, err := s.Store.UploadLinks.Get(r.ctx, r.user.ID, id)
	if errors.Is(err, store.ErrNotFound) {
		return l, fault.Fail(fault.CodePredictionNotFound, "There is no such upload link.")
	}
	if err != nil {
		return l, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return l, nil
}

// linkParams reads the parameters of a new link.
func (s *server) linkParams(r *request) (l store.UploadLink, err error) {
	explain, err := r.explainParam()
	if err != nil {
		return l, err
	}
	options, err := r.optionsParams()
	if err != nil {
		return l, err
	}
	l = store.UploadLink{ID: store.NewID(), UserID: r.user.ID, Model: r.query["model"], Explain: string(explain)}
	if l.Model != "" {
		if l.Model, err = s.pinRef(r.ctx, l.Model); err != nil {
			return l, err
		}
	}
	name := r.query["filename"]
	if name == "" {
		name = "upload.csv"
	}
	if l.Filename, err = wire.CheckFilename(name); err != nil {
		return l, err
	}
	if l.Bytes, err = strconv.ParseInt(r.query["bytes"], 10, 64); err != nil || l.Bytes < 1 {
		return l, fault.Fail(fault.CodeInvalidValue, "'bytes' must be the exact size of the file.").With(fault.Details{"field": "bytes"})
	}
	if l.Bytes > s.DirectBytesMax {
		return l, fault.TooLarge(s.DirectBytesMax, "bytes")
	}
	l.Options, err = json.Marshal(options)
	return l, err
}

// pinRef returns the name that a link keeps of a ?model=: that of the version that it stands for now. An alias may be
// moved before the file is there.
func (s *server) pinRef(ctx context.Context, ref string) (string, error) {
	found, err := s.Kept.Find(ctx, ref)
	switch {
	case err != nil:
		return "", err
	case found.Bundle != nil:
		return ref, nil
	case found.Version.Withdrawn:
		return "", plan.ErrModelWithdrawn
	case found.Version.Retired:
		return "", models.ErrRetired
	}
	return found.Version.Ref(), nil
}

// completeUpload creates the prediction of a file that was uploaded through a link, or returns the one that was created
// before.
func completeUpload(s *server, r *request) error {
	wait, err := r.preferWait()
	if err != nil {
		return err
	}
	id, err := uuid.Parse(r.value)
	if err != nil || id.String() != r.value {
		return fault.Fail(fault.CodePredictionNotFound, "There is no such upload link.")
	}
	l, err := s.uploadLink(r, id)
	if err != nil {
		return err
	}
	p, err := plan.CompleteLink(r.ctx, s.Store, s.Objects, l)
	if err != nil {
		return err
	}
	return s.answerUpload(r, p, wait)
}
