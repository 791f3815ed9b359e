package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the canary's file and what must come of it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// canaryFile is 1,000 rows: the golden rows of the baseline canaryModel again and again. canaryWant is what must come of
// it. A test makes both and holds the scores in the result against those of the training library.
var (
	//go:embed canary/input.csv
	canaryFile []byte
	//go:embed canary/want.json
	canaryWant []byte
)

const (
	canaryModel = "telecom"
	// canarySubject is nobody's: identity providers give out no such subject.
	canarySubject = "millrace canary"
	// canaryPatience is how long a canary may take before it has failed.
	canaryPatience = 30 * time.Second
)

// canaryResult names the model that the result was made with, and the digest of the result file.
type canaryResult struct {
	ModelSHA256  string `json:"model_sha256"`
	ResultSHA256 string `json:"result_sha256"`
}

var errCanaryMismatch = errors.New("the result differs from what it must be")

// canary sends a small known file the way of a customer's, behind the HTTP header: object store, ledger, doorbell,
// whichever worker claims it, result. It leaves nothing behind.
type canary struct {
	store   *store.Store
	objects store.Objects
	models  *engine.Registry
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time
}

// run sends one at each interval until ctx ends.
func (c *canary) run(ctx context.Context, interval time.Duration) {
	c.metrics.canaryInterval.Set(interval.Seconds())
	for ; ctx.Err() == nil; pause(ctx, interval) {
		_ = c.counted(ctx) // it has been logged
	}
}

// counted sends one and shows how it went, unless it was ctx that ended it.
func (c *canary) counted(ctx context.Context) error {
	begin := time.Now()
	err := c.once(ctx)
	if ctx.Err() != nil {
		return err
	}
	result := canaryOK
	switch {
	case errors.Is(err, errCanaryMismatch):
		result = canaryMismatch
	case err != nil:
		result = canaryFailed
	}
	c.metrics.canaryDone(result, time.Since(begin))
	if err != nil {
		c.log.Error("canary", "result", result, "error", err)
	}
	return err
}

func (c *canary) once(ctx context.Context) (err error) {
	var want canaryResult
	if err := json.Unmarshal(canaryWant, &want); err != nil {
		return err
	}
	bundle, ok := c.models.Pinned(canaryModel, want.ModelSHA256)
	if !ok {
		return errModelWithdrawn
	}
	ctx, cancel := context.WithTimeout(ctx, canaryPatience)
	defer cancel()
	user, err := c.store.EnsureUser(ctx, canarySubject)
	if err != nil {
		return err
	}
	if err := c.sweep(ctx, user); err != nil {
		return err
	}
	p, err := c.upload(ctx, user, bundle)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, p)) }()
	if p, err = c.await(ctx, p); err != nil {
		return err
	}
	return c.check(ctx, p, want)
}

// upload records the file as an upload is recorded.
func (c *canary) upload(ctx context.Context, user store.User, b *engine.Bundle) (store.Prediction, error) {
	planner, err := ingest.NewPlanner(bytes.NewReader(canaryFile), ingest.Limits{})
	if err != nil {
		return store.Prediction{}, err
	}
	u := store.NewUpload{
		ID: store.NewID(), UserID: user.ID, Filename: "canary.csv", Explain: string(engine.ExplainAll),
		Options: internalOptions,
	}
	u.ObjectKey = store.InputKey(u.ID)
	info, err := c.objects.Put(ctx, u.ObjectKey, planner)
	if err != nil {
		return store.Prediction{}, err
	}
	plan := storedPlan(planner.Plan(), b)
	u.ObjectETag, u.SHA256, u.Bytes, u.Rows = info.ETag, info.SHA256, plan.Bytes, plan.Rows
	u.Header, u.Parts, u.Model = plan.Header, plan.Parts, plan.Model
	return c.store.CreateUpload(ctx, u)
}

func (c *canary) await(ctx context.Context, p store.Prediction) (store.Prediction, error) {
	for wait := 5 * time.Millisecond; !p.Status.Done(); wait = min(2*wait, 200*time.Millisecond) {
		if err := sleep(ctx, wait); err != nil {
			return p, fmt.Errorf("still %s after %s: %w", p.Status, canaryPatience, err)
		}
		now, err := c.store.Prediction(ctx, p.UserID, p.ID)
		if err != nil {
			return p, err
		}
		p = now
	}
	if p.Status != store.Completed {
		return p, fmt.Errorf("the prediction is %s", p.Status)
	}
	return p, nil
}

func (c *canary) check(ctx context.Context, p store.Prediction, want canaryResult) error {
	body, _, err := c.objects.Get(ctx, p.ResultKey, store.Range{}, p.ResultETag)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	digest := sha256.New()
	if _, err := io.Copy(digest, body); err != nil {
		return err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want.ResultSHA256 {
		return fmt.Errorf("%w: sha256 %s", errCanaryMismatch, got)
	}
	return nil
}

// remove deletes everything of a canary, even if ctx has ended.
func (c *canary) remove(ctx context.Context, p store.Prediction) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), databaseTimeout)
	defer cancel()
	if err := c.store.DeletePrediction(ctx, p.UserID, p.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err := c.objects.Delete(ctx, store.CanaryOver, store.InputKey(p.UploadID))
	if err == nil {
		err = store.DeletePrefix(ctx, c.objects, store.CanaryOver, store.ResultPrefix(p.ID, p.Generation))
	}
	if errors.Is(err, store.ErrNotOwner) {
		return nil // the sweep of deletions comes back to it
	}
	return err
}

// canaryAge is when a canary that somebody left behind is removed: its process died.
const canaryAge = 10 * canaryPatience

// sweep removes canaries of processes that died before they could.
func (c *canary) sweep(ctx context.Context, user store.User) error {
	const most = 20
	left, err := c.store.Predictions(ctx, user.ID, store.ListQuery{Limit: most})
	if err != nil {
		return err
	}
	for _, p := range left {
		if c.now().Sub(p.CreatedAt) < canaryAge {
			continue
		}
		if err := c.remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
