package bench

import (
	"context"
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

// accountMethods are about access keys and deleted accounts.
func (w *storeWork) accountMethods() []method {
	user := w.user.ID
	return []method{
		{name: "AccessKeys", prepare: w.accessKey, call: func(ctx context.Context) error {
			_, err := w.Accounts.AccessKeys(ctx, user)
			return err
		}, after: w.revoke},
		{name: "CreateAccessKey", call: w.accessKey, after: w.revoke},
		{name: "UserOfAccessKey", prepare: w.accessKey, call: func(ctx context.Context) error {
			_, _, err := w.Accounts.UserOfAccessKey(ctx, sha256.Sum256([]byte(w.keyText)))
			return err
		}, after: w.revoke},
		{name: "RevokeAccessKey", prepare: w.accessKey, call: w.revoke},
		{name: "DeletePrediction again", prepare: func(ctx context.Context) error {
			if err := w.upload(10)(ctx); err != nil {
				return err
			}
			return w.drop(ctx)
		}, call: w.drop},
		{name: "DeleteAccount", prepare: w.newUser, call: func(ctx context.Context) error {
			return w.Accounts.Delete(ctx, w.deletedUser)
		}, after: w.eraseDeleted},
		{
			name: "SweepDeletions", bulk: "an account with one prediction, and its files",
			prepare: func(ctx context.Context) error {
				if err := w.newUser(ctx); err != nil {
					return err
				}
				return w.Accounts.Delete(ctx, w.deletedUser)
			}, call: func(ctx context.Context) error { return w.Upkeep.SweepDeletions(ctx, w.objects) }, after: w.eraseDeleted,
		},
	}
}

// accessKey makes a key with a secret of its own.
func (w *storeWork) accessKey(ctx context.Context) (err error) {
	w.keyText = uuid.NewString()
	w.access, err = w.Accounts.CreateAccessKey(ctx, w.user.ID, store.AccessKey{
		Name: "nightly", Prefix: "mr_", Scopes: []string{"read"},
	}, sha256.Sum256([]byte(w.keyText)), nil)
	return err
}

func (w *storeWork) revoke(ctx context.Context) error {
	return w.Accounts.RevokeAccessKey(ctx, w.user.ID, w.access.ID)
}

// newUser makes a user with a prediction, and drops earlier deletions.
func (w *storeWork) newUser(ctx context.Context) error {
	if err := w.database.exec(ctx, `DELETE FROM deletions`); err != nil {
		return err
	}
	u, err := w.Accounts.EnsureUser(ctx, uuid.NewString())
	if err != nil {
		return err
	}
	w.deletedUser = u.ID
	upload := w.newUpload(10)
	upload.UserID = u.ID
	_, err = w.Predictions.CreateUpload(ctx, upload)
	return err
}

// eraseDeleted marks deleted users as erased, so that the next sweep leaves them out.
func (w *storeWork) eraseDeleted(ctx context.Context) error {
	return w.database.exec(ctx, `UPDATE users SET erased_at = now() WHERE deleted_at IS NOT NULL AND erased_at IS NULL`)
}
