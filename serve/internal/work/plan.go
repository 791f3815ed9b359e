package work

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/retainwise/millrace/ingest"
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
	defer func() { _ = body.Close() }()
	text, err := ingest.Unpack(body, w.config.Limits)
	if err != nil {
		return atStage(stagePlan, err)
	}
	planner, err := ingest.NewPlanner(text, w.config.Limits)
	if err != nil {
		return atStage(stagePlan, err)
	}
	bundle, err := plan.ChooseModel(w.models.Registry, c.Model.Name, planner.Header())
	if err != nil {
		return atStage(stagePlan, err)
	}
	options, err := claimOptions(c)
	if err == nil {
		err = options.CheckFront(planner, bundle)
	}
	if err != nil {
		return atStage(stagePlan, err)
	}
	digest := sha256.New()
	key := objects.InputKey(c.UploadID)
	info, err := w.objects.Put(ctx, key, io.TeeReader(planner, digest))
	if err != nil {
		return atStage(stagePlan, err)
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	plan.ObjectKey, plan.ObjectETag = key, info.ETag
	if plan.Options, err = json.Marshal(options); err != nil {
		return atStage(stagePlan, err)
	}
	digest.Sum(plan.SHA256[:0])
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
