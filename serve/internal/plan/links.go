package plan

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// CompleteLink creates the prediction of an uploaded file, or returns the one that an earlier call has created.
func CompleteLink(
	ctx context.Context, s *store.Store, o objects.Store, l store.UploadLink,
) (p store.Prediction, err error) {
	if l.Prediction != uuid.Nil {
		p, err = s.Predictions.Get(ctx, l.UserID, l.Prediction)
	} else {
		file, failed := uploadedFile(ctx, o, l)
		if failed != nil {
			return p, failed
		}
		p, err = s.UploadLinks.Complete(ctx, l, file)
	}
	if err != nil {
		return p, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// uploadedFile returns the uploaded object, if it exists and has the size that the link was made for.
func uploadedFile(ctx context.Context, o objects.Store, l store.UploadLink) (objects.Info, error) {
	file, err := o.Head(ctx, store.DirectKey(l.ID))
	switch {
	case errors.Is(err, store.ErrNotFound):
		if probeErr := store.PingObjects(ctx, o); probeErr != nil { // a bucket that is missing gives the same answer
			return file, storefault.ObjectFailure(probeErr)
		}
		return file, fault.Fail(fault.CodeWrongState, "The file has not been uploaded yet. Put it to the link first.")
	case err != nil:
		return file, storefault.ObjectFailure(err)
	case file.Bytes != l.Bytes: // the signed Content-Length should have prevented it
		return file, errors.Join(fault.Fail(fault.CodeInvalidFile, "The file does not have the size that the link was made for.").
			With(fault.Details{"expected": l.Bytes, "actual": file.Bytes, "unit": "bytes"}), o.Delete(ctx, objects.Refused, file.Key))
	}
	return file, nil
}

// IsWaitingLimit reports whether err means that the user has too many waiting predictions.
func IsWaitingLimit(err error) bool {
	var waiting *store.WaitingError
	return errors.As(err, &waiting)
}

const (
	// DirectBytesMax is the largest object that S3 accepts in one put.
	DirectBytesMax = 5 << 30
	// UploadLinkLife is how long a link can be used. It is short because anyone with the link may use it, also after its
	// user has signed out.
	UploadLinkLife = 15 * time.Minute
	// UploadLinkAge is how long an upload may be completed after its link has expired.
	UploadLinkAge = 24 * time.Hour
)
