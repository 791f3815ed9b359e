package plan

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// CompleteLink makes the prediction, unless that was done before: then it finds it.
func CompleteLink(
	ctx context.Context, s *store.Store, o objects.Store, l store.UploadLink,
) (p store.Prediction, err error) {
	if l.Prediction != uuid.Nil {
		p, err = s.Predictions.Get(ctx, l.UserID, l.Prediction)
	} else {
		file, failed := linkedFile(ctx, o, l)
		if failed != nil {
			return p, failed
		}
		p, err = s.UploadLinks.Complete(ctx, l, file)
	}
	if err != nil {
		return p, fault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// linkedFile looks whether the file is there and what was promised.
func linkedFile(ctx context.Context, o objects.Store, l store.UploadLink) (objects.Info, error) {
	file, err := o.Head(ctx, store.DirectKey(l.ID))
	switch {
	case errors.Is(err, store.ErrNotFound):
		if away := store.PingObjects(ctx, o); away != nil { // a bucket that is missing gives the same answer
			return file, fault.ObjectFailure(away)
		}
		return file, fault.Fail(fault.CodeWrongState, "The file has not been uploaded yet. Put it to the link first.")
	case err != nil:
		return file, fault.ObjectFailure(err)
	case file.Bytes != l.Bytes: // the signature of the link should have kept it out
		return file, errors.Join(fault.Fail(fault.CodeInvalidFile, "The file does not have the size that the link was made for.").
			With(fault.Details{"expected": l.Bytes, "actual": file.Bytes, "unit": "bytes"}), o.Delete(ctx, objects.Refused, file.Key))
	}
	return file, nil
}

// Waits says that an error is the user's own backlog.
func Waits(err error) bool {
	var waiting *store.WaitingError
	return errors.As(err, &waiting)
}

const (
	DirectBytesMax = 5 << 30 // what S3 takes in one put
	// UploadLinkLife is short: anyone with a link may use it, also after its owner has signed out.
	UploadLinkLife = 15 * time.Minute
	// UploadLinkAge is how long an upload may be completed after its link expired.
	UploadLinkAge = 24 * time.Hour
)
