package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

const (
	keyHeader   = "Idempotency-Key"
	keyBytesMax = 255
)

// idempotencyKey is an Idempotency-Key that the request has claimed under a lease, and the hash that distinguishes its
// request from others.
type idempotencyKey struct {
	*store.RequestKey
	file hash.Hash // SHA-256 of the file as it is received
}

// claimKey claims the Idempotency-Key of a request; nil if it has none.
func (s *server) claimKey(r *request) (*idempotencyKey, error) {
	given := r.rc.Request.Header.PeekAll(keyHeader)
	if len(given) == 0 {
		return nil, nil
	}
	text := string(given[0])
	if err := checkRequestKey(text, len(given)); err != nil {
		return nil, err
	}
	k, err := s.Store.Accounts.ClaimKey(r.ctx, r.user.ID, r.route.Method+" "+r.route.Pattern, text)
	if errors.Is(err, store.ErrKeyInUse) {
		f := fault.Fail(fault.CodeKeyStillRunning, "").With(fault.Details{"field": keyHeader})
		f.RetryAfter = time.Second
		return nil, f
	}
	if err != nil {
		return nil, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return &idempotencyKey{RequestKey: k, file: sha256.New()}, nil
}

// checkRequestKey accepts printable ASCII only, as the draft standard does: a proxy might change anything else.
func checkRequestKey(text string, times int) error {
	if times > 1 {
		return fault.Fail(fault.CodeInvalidValue, "'Idempotency-Key' is given twice.").With(fault.Details{"field": keyHeader})
	}
	if text == "" || len(text) > keyBytesMax {
		return fault.Fail(fault.CodeOutOfRange, "'Idempotency-Key' must have 1 to 255 characters.").
			With(fault.Details{"field": keyHeader, "expected": []int{1, keyBytesMax}, "unit": "characters"})
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return fault.Fail(fault.CodeInvalidValue, "'Idempotency-Key' must be plain ASCII text.").
				With(fault.Details{"field": keyHeader})
		}
	}
	return nil
}

// renewKey renews the lease of a claimed key until the returned function is called, which waits for the goroutine to end.
func (s *server) renewKey(ctx context.Context, k *idempotencyKey) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := fault.Recover(func() error {
			for backoff.Sleep(ctx, k.Lease/3) == nil {
				if err := s.Store.Accounts.RenewKey(ctx, k.RequestKey); errors.Is(err, store.ErrLeaseLost) {
					return nil // CreateUpload will fail
				}
			}
			return nil
		})
		if err != nil { // the lease may be lost, and then CreateUpload fails
			s.Log.Error("renew idempotency key", "error", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// receiveWithKey is receiveUpload under an idempotency key, which it renews meanwhile and releases on an error.
func (s *server) receiveWithKey(r *request, k *idempotencyKey, explain engine.Explain) (store.Prediction, error) {
	release := s.renewKey(r.ctx, k)
	p, err := s.receiveUpload(r, explain, k)
	release()
	return p, s.releaseOnError(r, k, err)
}

// releaseOnError releases the key of a failed request, so that the request can be retried. It does not undo what the
// request has created. It returns err, or that another request has taken over the key.
func (s *server) releaseOnError(r *request, k *idempotencyKey, err error) error {
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), plan.DatabaseTimeout)
	defer cancel()
	if failed := s.Store.Accounts.ReleaseKey(ctx, k.RequestKey); failed != nil {
		s.Log.Warn("release idempotency key", "request_id", r.id, "error", failed) // its lease expires
	}
	if errors.Is(err, store.ErrLeaseLost) {
		err = fault.Fail(fault.CodeKeyStillRunning, "").With(fault.Details{"field": keyHeader}).Because(err)
	}
	return err
}

// idempotent answers a request without a file; content is its decoded body. It calls create, with a nil key if the request
// has none, or, if an earlier request with the key has succeeded, replay with the id of what that one has created.
func (s *server) idempotent(
	r *request, content any, create func(*store.RequestKey) error, replay func(uuid.UUID) error,
) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	k, err := s.claimKey(r)
	if err != nil {
		return err
	}
	if k == nil {
		return create(nil)
	}
	sum := fingerprint(r, &uploadFile{}, text)
	if !k.Done {
		k.Fingerprint = sum
		return s.releaseOnError(r, k, create(k.RequestKey))
	}
	if sum != k.Fingerprint {
		return fault.Fail(fault.CodeKeyOtherRequest, "").With(fault.Details{"field": keyHeader})
	}
	r.set("Idempotent-Replayed", "true")
	return replay(k.Made)
}

// replay returns the prediction that an earlier request with the same key has created. It reads the file, unless the digest
// is announced, to check that the request is the same.
func (s *server) replay(r *request, k *idempotencyKey) (store.Prediction, error) {
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return store.Prediction{}, err
	}
	sum := file.announcedSHA256()
	if sum == nil {
		if _, err := io.Copy(k.file, file); err != nil {
			return store.Prediction{}, err
		}
		if err := file.finish(); err != nil {
			return store.Prediction{}, err
		}
		sum = k.file.Sum(nil)
	}
	if fingerprint(r, file, sum) != k.Fingerprint {
		return store.Prediction{}, fault.Fail(fault.CodeKeyOtherRequest, "").With(fault.Details{"field": keyHeader})
	}
	r.set("Idempotent-Replayed", "true")
	r.closeIfUnread() // with an announced digest the body was not read
	p, err := s.Store.Predictions.Get(r.ctx, r.user.ID, k.Made)
	if errors.Is(err, store.ErrNotFound) {
		return p, fault.Fail(fault.CodePredictionNotFound, "The prediction made with this idempotency key has been deleted.")
	}
	if err != nil {
		return p, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// announcedSHA256 returns the SHA-256 of the Content-Digest header if the body is the file; nil without one, and for a form,
// whose digest is not that of its file.
func (f *uploadFile) announcedSHA256() []byte {
	if f.form != nil {
		return nil
	}
	return f.body.digests.Sha256
}

// fingerprint is the hash of a request that is compared with a replay: every parameter, every field of the form, and the
// digest of the file.
func fingerprint(r *request, f *uploadFile, file []byte) [sha256.Size]byte {
	text, err := json.Marshal(map[string]any{"query": r.query, "fields": f.fields, "name": f.name, "file": file})
	if err != nil {
		panic("fingerprint: " + err.Error()) // plain strings always encode
	}
	return sha256.Sum256(text)
}
