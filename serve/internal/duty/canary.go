package duty

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
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/objects"
)

// canaryFile is 1,000 rows: the golden rows of the baseline CanaryModel, repeated. canaryWant is the expected result. A
// test generates both and checks the scores against those of the training library.
var (
	//go:embed canary/input.csv
	canaryFile []byte
	//go:embed canary/want.json
	canaryWant []byte
)

const (
	// CanaryModel is the model that scores the canary.
	CanaryModel = "telecom"
	// CanarySubject is the canary's user: identity providers issue no such subject.
	CanarySubject = "millrace canary"
	// canaryTimeout is how long a canary may take before it counts as failed.
	canaryTimeout = 30 * time.Second
)

// canaryResult is the expected result: the model that scores it, and the digest of the result file.
type canaryResult struct {
	ModelSHA256  string `json:"model_sha256"`
	ResultSHA256 string `json:"result_sha256"`
}

var errCanaryMismatch = errors.New("result differs from the expected one")

// Canary is a synthetic upload: a small known file takes the path of a customer's upload without the HTTP request, through
// object store, ledger, notification and a worker, and its result is compared byte by byte. It deletes what it made.
type Canary struct {
	Store   *store.Store
	Objects objects.Store
	Models  *plan.KeptModels
	Metrics *metrics.Metrics
	Log     *slog.Logger
	Now     func() time.Time
}

// Run uploads a canary at each interval until ctx ends.
func (c *Canary) Run(ctx context.Context, interval time.Duration) {
	c.Metrics.CanaryInterval.Set(interval.Seconds())
	for ; ctx.Err() == nil; backoff.Pause(ctx, interval) {
		_ = c.RunOnce(ctx) // RunOnce has logged it
	}
}

// RunOnce uploads one canary, checks its result, and counts and logs the outcome, unless ctx has ended.
func (c *Canary) RunOnce(ctx context.Context) error {
	begin := time.Now()
	err := c.once(ctx)
	if ctx.Err() != nil {
		return err
	}
	result := metrics.CanaryOK
	switch {
	case errors.Is(err, errCanaryMismatch):
		result = metrics.CanaryMismatch
	case err != nil:
		result = metrics.CanaryFailed
	}
	c.Metrics.CanaryDone(result, time.Since(begin))
	if err != nil {
		c.Log.Error("canary", "result", result, "error", err)
	}
	return err
}

func (c *Canary) once(ctx context.Context) (err error) {
	var want canaryResult
	if err := json.Unmarshal(canaryWant, &want); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, canaryTimeout)
	defer cancel()
	bundle, err := c.Models.Pinned(ctx, store.Model{Name: CanaryModel, SHA256: want.ModelSHA256})
	if err != nil {
		return err
	}
	user, err := c.Store.Accounts.EnsureUser(ctx, CanarySubject)
	if err != nil {
		return err
	}
	if err := c.Sweep(ctx, user); err != nil {
		return err
	}
	p, err := c.Upload(ctx, user, bundle)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, p)) }()
	if p, err = c.await(ctx, p); err != nil {
		return err
	}
	return c.check(ctx, p, want)
}

// Upload stores the canary's file and records it like an upload. It is exported for tests.
func (c *Canary) Upload(ctx context.Context, user store.User, b *engine.Bundle) (store.Prediction, error) {
	planner, err := plan.NewPlanner(bytes.NewReader(canaryFile), ingest.Limits{})
	if err != nil {
		return store.Prediction{}, err
	}
	u := store.NewUpload{
		ID: store.NewID(), UserID: user.ID, Filename: "canary.csv", Explain: string(engine.ExplainAll),
		Options: plan.InternalOptions,
	}
	u.ObjectKey = objects.InputKey(u.ID)
	info, err := c.Objects.Put(ctx, u.ObjectKey, planner)
	if err != nil {
		return store.Prediction{}, err
	}
	plan := plan.StoredPlan(planner.Plan(), b)
	u.ObjectETag, u.SHA256, u.Bytes, u.Rows = info.ETag, info.SHA256, plan.Bytes, plan.Rows
	u.Header, u.Parts, u.Model = plan.Header, plan.Parts, plan.Model
	var p store.Prediction
	err = c.Models.Accept(ctx, b, func() (err error) {
		p, err = c.Store.Predictions.CreateUpload(ctx, u)
		return err
	})
	return p, err
}

func (c *Canary) await(ctx context.Context, p store.Prediction) (store.Prediction, error) {
	for wait := 5 * time.Millisecond; !p.Status.Done(); wait = min(2*wait, 200*time.Millisecond) {
		if err := backoff.Sleep(ctx, wait); err != nil {
			return p, fmt.Errorf("still %s after %s: %w", p.Status, canaryTimeout, err)
		}
		now, err := c.Store.Predictions.Get(ctx, p.UserID, p.ID)
		if err != nil {
			return p, err
		}
		p = now
	}
	if p.Status != store.Completed {
		return p, fmt.Errorf("prediction ended %s", p.Status)
	}
	return p, nil
}

func (c *Canary) check(ctx context.Context, p store.Prediction, want canaryResult) error {
	file, err := c.Store.Predictions.File(ctx, p, objects.ResultName)
	if err != nil {
		return err
	}
	body, _, err := objects.Read(ctx, c.Objects, objects.Source{
		Key: file.Key, ETag: file.ETag, Digest: file.Digest, Observe: c.Metrics.Reading(metrics.ReadResult),
	}, objects.Range{})
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

// remove deletes a canary's prediction and objects, even if ctx has ended.
func (c *Canary) remove(ctx context.Context, p store.Prediction) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), plan.DatabaseTimeout)
	defer cancel()
	if err := c.Store.Predictions.Delete(ctx, p.UserID, p.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err := c.Objects.Delete(ctx, objects.CanaryOver, objects.InputKey(p.UploadID))
	if err == nil {
		err = objects.DeletePrefix(ctx, c.Objects, objects.CanaryOver, objects.ResultPrefix(p.ID, p.Generation))
	}
	if errors.Is(err, store.ErrNotOwner) {
		return nil // the sweep of deletions retries it
	}
	return err
}

// canaryOrphanAge is the age at which a canary of a crashed process is removed.
const canaryOrphanAge = 10 * canaryTimeout

// Sweep removes orphaned canaries, which a crashed process left.
func (c *Canary) Sweep(ctx context.Context, user store.User) error {
	const most = 20
	left, err := c.Store.Predictions.List(ctx, user.ID, store.ListQuery{Limit: most})
	if err != nil {
		return err
	}
	for _, p := range left {
		if c.Now().Sub(p.CreatedAt) < canaryOrphanAge {
			continue
		}
		if err := c.remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
