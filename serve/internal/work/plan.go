package work

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// planDropped is the first step of a dropped or directly uploaded file, which no request has read: it finds the parts,
// chooses the model and stores an unpacked copy, so that the input of the parts cannot change.
func (w *Worker) planDropped(ctx context.Context, c *store.Claim) error {
	begin := time.Now()
	body, _, err := w.objects.Get(ctx, c.ObjectKey, objects.Range{Version: c.ObjectVersion}, c.ObjectETag)
	if err != nil {
		return atStage(stageRead, err)
	}
	read := objects.NewDigester()
	plan, bundle, err := w.planAndCopy(ctx, c, io.TeeReader(body, read))
	_ = body.Close()
	if again := w.readAgain(ctx, c, read.Sum(nil)); again != nil {
		return atStage(stageRead, errors.Join(again, err))
	}
	if err != nil {
		return atStage(stagePlan, err)
	}
	err = w.models.Accept(ctx, bundle, func() error { return w.store.PlanPart(ctx, c, plan) })
	if err != nil {
		return atStage(stageCommit, err)
	}
	if strings.HasPrefix(c.ObjectKey, objects.DirectPrefix) { // the parts read the copy
		if err := w.objects.Delete(ctx, objects.TakenOver, c.ObjectKey); err != nil {
			w.log.Warn("delete uploaded file", "prediction_id", c.PublicID, "error", err)
		}
	}
	w.metricsOf(c).StageDone("plan", time.Since(begin), plan.Rows)
	return nil
}

// planAndCopy finds the parts of a file's stored bytes and stores an unpacked copy.
func (w *Worker) planAndCopy(ctx context.Context, c *store.Claim, stored io.Reader) (store.Plan, *engine.Bundle, error) {
	text, err := ingest.Unpack(stored, w.config.Limits)
	if err != nil {
		return store.Plan{}, nil, err
	}
	planner, err := plan.NewPlanner(text, w.config.Limits)
	if err != nil {
		return store.Plan{}, nil, err
	}
	bundle, err := w.models.Choose(ctx, plan.Wish{
		Model: c.Model.Name, UserID: c.UserID, Dataset: c.Dataset, Accepted: true,
	}, planner.Header())
	if err != nil {
		return store.Plan{}, nil, err
	}
	options, err := claimOptions(c)
	if err == nil {
		err = options.CheckFront(planner, bundle)
	}
	if err != nil {
		return store.Plan{}, nil, err
	}
	digest := sha256.New()
	key := objects.InputKey(c.UploadID)
	info, err := w.objects.Put(ctx, key, io.TeeReader(planner, digest))
	if err != nil {
		return store.Plan{}, nil, err
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	plan.ObjectKey, plan.ObjectETag = key, info.ETag
	digest.Sum(plan.SHA256[:0])
	plan.Options, err = json.Marshal(options)
	return plan, bundle, err
}

// readAgain compares what was read of a file that others have stored with a second read. No digest of it is known that
// does not come from a read, and neither a plan nor an error of the file may come from bits that flipped on the way.
func (w *Worker) readAgain(ctx context.Context, c *store.Claim, read objects.Digest) error {
	body, _, err := objects.Read(ctx, w.objects, objects.Source{
		Key: c.ObjectKey, Digest: read, Observe: w.metrics.Reading(metrics.ReadUpload),
	}, objects.Range{Version: c.ObjectVersion})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}
