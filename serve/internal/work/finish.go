package work

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// finish joins the results of the parts that are done and publishes them. Done twice, it makes the same bytes.
func (w *Worker) finish(ctx context.Context, c *store.Claim) error {
	parts, err := w.store.Parts(ctx, c)
	if err != nil {
		return at(stageFinish, err)
	}
	tally, err := mergeTallies(parts)
	if err != nil {
		return at(stageFinish, err)
	}
	if err := w.keepBudget(c, tally); err != nil {
		return at(stageScore, err)
	}
	result, err := w.join(ctx, c, parts, store.ResultName, func(p *store.PartRecord) int64 { return p.ResultBytes })
	if err != nil {
		return at(stageFinish, err)
	}
	rejects, err := w.join(ctx, c, parts, store.RejectsName, func(p *store.PartRecord) int64 { return p.RejectsBytes })
	if err != nil {
		return at(stageFinish, err)
	}
	r := store.Result{
		ResultKey: result.Key, ResultETag: result.ETag, ResultBytes: result.Bytes,
		RejectsKey: rejects.Key, RejectsBytes: rejects.Bytes,
	}
	var summary *engine.Summary
	if tally != nil {
		changes, err := w.changes(ctx, c, parts, tally)
		if err == nil {
			err = w.countRepeats(ctx, c, parts, tally, changes)
		}
		if err != nil {
			return at(stageFinish, err)
		}
		made := tally.Summary()
		made.Changes = changes
		summary = &made
		if r.Warnings, err = json.Marshal(tally.Warnings); err != nil {
			return at(stageFinish, err)
		}
		if r.Summary, err = json.Marshal(summary); err != nil {
			return at(stageFinish, err)
		}
	}
	if err := w.store.Finish(ctx, c, r); err != nil {
		return at(stageFinish, err)
	}
	w.observeEnd(ctx, c, summary)
	w.dropParts(ctx, c)
	return nil
}

// keepBudget fails a prediction of which too many rows were rejected, over all its parts.
func (w *Worker) keepBudget(c *store.Claim, tally *engine.Tally) error {
	options, err := claimOptions(c)
	if err != nil || tally == nil {
		return err
	}
	return cmp.Or(options.Check(tally), tally.CheckNumbers())
}

// mergeTallies adds what the parts counted, in part order; nil if none is done.
func mergeTallies(parts []store.PartRecord) (*engine.Tally, error) {
	var total *engine.Tally
	for _, p := range parts {
		if !p.Done {
			continue
		}
		if len(p.Summary) == 0 { // forgotten with the publication
			return nil, store.ErrLeaseLost
		}
		var t engine.Tally
		if err := json.Unmarshal(p.Summary, &t); err != nil {
			return nil, err
		}
		if total == nil {
			total = &t
			continue
		}
		total.Add(&t)
	}
	return total, nil
}

// join makes one object of what the parts that are done have under a name. A single part's bytes are copied too: the
// key of a finished object never depends on the number of parts.
func (w *Worker) join(
	ctx context.Context, c *store.Claim, parts []store.PartRecord, name string, size func(*store.PartRecord) int64,
) (store.ObjectInfo, error) {
	var keys []string
	for i := range parts {
		if parts[i].Done && size(&parts[i]) > 0 {
			keys = append(keys, store.PartKey(c.PublicID, c.Generation, parts[i].No, name))
		}
	}
	if len(keys) == 0 {
		return store.ObjectInfo{}, nil
	}
	if !parts[0].Done { // cancelled before the part that carries the header line
		head, err := w.putHead(ctx, c, name)
		if err != nil {
			return store.ObjectInfo{}, err
		}
		keys = append([]string{head}, keys...)
	}
	info, err := w.objects.Compose(ctx, store.ResultKey(c.PublicID, c.Generation, name), keys)
	return info, partsGone(err)
}

// putHead puts a header line that no finished part has.
func (w *Worker) putHead(ctx context.Context, c *store.Claim, name string) (string, error) {
	bundle, ok := w.models.Pinned(c.Model.Name, c.Model.SHA256)
	if !ok {
		return "", plan.ErrModelWithdrawn
	}
	body, _, err := w.objects.Get(ctx, c.ObjectKey, store.Range{Length: c.Header.Bytes + 1}, c.ObjectETag)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	header, _, err := ingest.ReadHeader(body, w.config.Limits)
	if err != nil {
		return "", err
	}
	options, err := claimOptions(c)
	if err != nil {
		return "", err
	}
	result, rejects, err := engine.AppendHeaders(nil, nil, header, bundle,
		engine.Options{Unguarded: options.Unguarded()})
	if err != nil {
		return "", err
	}
	if name == store.RejectsName {
		result = rejects
	}
	key := store.PartKey(c.PublicID, c.Generation, 0, name+".head")
	_, err = w.objects.Put(ctx, key, bytes.NewReader(result))
	return key, err
}

// dropParts removes the parts' own objects, of all workers. The claim ended with the publication and with it the lease
// and its context, so this has a time of its own. What it does not get at is left to the upkeep.
func (w *Worker) dropParts(ctx context.Context, c *store.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	if err := store.DeletePrefix(ctx, w.objects, store.Joined, store.PartsPrefix(c.PublicID, c.Generation)); err != nil {
		w.log.Warn("delete part objects", "prediction_id", c.PublicID, "error", err)
	}
}

// plan looks into a file that someone dropped: it finds the parts, chooses the model and keeps an unpacked copy, so
// that what is scored cannot change.
func (w *Worker) plan(ctx context.Context, c *store.Claim) error {
	begin := time.Now()
	body, _, err := w.objects.Get(ctx, c.ObjectKey, store.Range{}, c.ObjectETag)
	if err != nil {
		return at(stageRead, err)
	}
	defer func() { _ = body.Close() }()
	text, err := ingest.Unpack(body, w.config.Limits)
	if err != nil {
		return at(stagePlan, err)
	}
	planner, err := ingest.NewPlanner(text, w.config.Limits)
	if err != nil {
		return at(stagePlan, err)
	}
	bundle, err := plan.ChooseModel(w.models, c.Model.Name, planner.Header())
	if err != nil {
		return at(stagePlan, err)
	}
	options, err := claimOptions(c)
	if err == nil {
		err = options.DecideNumbers(planner, bundle)
	}
	if err != nil {
		return at(stagePlan, err)
	}
	digest := sha256.New()
	key := store.InputKey(c.UploadID)
	info, err := w.objects.Put(ctx, key, io.TeeReader(planner, digest))
	if err != nil {
		return at(stagePlan, err)
	}
	plan := plan.StoredPlan(planner.Plan(), bundle)
	plan.ObjectKey, plan.ObjectETag = key, info.ETag
	if plan.Options, err = json.Marshal(options); err != nil {
		return at(stagePlan, err)
	}
	digest.Sum(plan.SHA256[:0])
	if err := w.store.PlanPart(ctx, c, plan); err != nil {
		return at(stageCommit, err)
	}
	if strings.HasPrefix(c.ObjectKey, store.DirectPrefix) { // the copy is read from now on
		if err := w.objects.Delete(ctx, store.TakenOver, c.ObjectKey); err != nil {
			w.log.Warn("delete uploaded file", "prediction_id", c.PublicID, "error", err)
		}
	}
	w.counted(c).StageDone("plan", time.Since(begin), plan.Rows)
	return nil
}
