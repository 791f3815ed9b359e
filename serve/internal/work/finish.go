package work

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// finish is the last step of a prediction: it joins the results of the parts that are done and publishes them. It is
// idempotent: run twice, it makes the same bytes.
func (w *Worker) finish(ctx context.Context, c *store.Claim) error {
	parts, err := w.store.Parts(ctx, c)
	if err != nil {
		return atStage(stageFinish, err)
	}
	tally, err := mergeTallies(parts)
	if err != nil {
		return atStage(stageFinish, err)
	}
	options, err := claimOptions(c)
	if err != nil {
		return atStage(stageFinish, err)
	}
	if wrong := checkFile(&options, parts, tally); wrong != nil {
		return w.keepRejects(ctx, c, parts, wrong)
	}
	result, err := w.join(ctx, c, parts, objects.ResultName)
	if err != nil {
		return atStage(stageFinish, err)
	}
	rejects, err := w.join(ctx, c, parts, objects.RejectsName)
	if err != nil {
		return atStage(stageFinish, err)
	}
	r := store.Result{
		ResultKey: result.Key, ResultETag: result.ETag, ResultBytes: result.Bytes,
		RejectsKey: rejects.Key, RejectsBytes: rejects.Bytes,
		ResultDigest: result.Digest, ResultSHA256: knownSHA256(result),
		RejectsDigest: rejects.Digest, RejectsSHA256: knownSHA256(rejects),
	}
	var summary *engine.Summary
	if tally != nil {
		changes, err := w.compareWithPrevious(ctx, c, parts, tally)
		if err == nil {
			err = w.countRepeats(ctx, c, parts, tally, changes)
		}
		if err != nil {
			return atStage(stageFinish, err)
		}
		tally.ColumnCheck = options.Columns()
		made := tally.Summary()
		made.Changes = changes
		summary = &made
		if r.Warnings, err = json.Marshal(tally.Warnings); err != nil {
			return atStage(stageFinish, err)
		}
		if r.Summary, err = json.Marshal(summary); err != nil {
			return atStage(stageFinish, err)
		}
		if !plan.Internal(c.Options) { // the canary says nothing about customers
			if r.Counted, err = health.Count(tally); err != nil {
				return atStage(stageFinish, err)
			}
		}
	}
	if err := w.store.Finish(ctx, c, r); err != nil {
		return atStage(stageFinish, err)
	}
	w.observeEnd(ctx, c, summary)
	w.deletePartObjects(ctx, c)
	return nil
}

// checkFile returns an error of the file as a whole. Of a cancelled prediction, which publishes what was done, only the
// limits on rejects are checked.
func checkFile(o *plan.PredictionOptions, parts []store.PartRecord, tally *engine.Tally) error {
	switch {
	case tally == nil:
		return nil
	case slices.ContainsFunc(parts, func(p store.PartRecord) bool { return !p.Done }):
		return cmp.Or(o.Check(tally), tally.CheckNumbers())
	}
	return o.CheckFile(tally)
}

// fileError is an error of the file as a whole that leaves its rejected rows.
type fileError struct {
	err     error
	rejects objects.Info // zero if there are none
}

func (e *fileError) Error() string { return e.err.Error() }

func (e *fileError) Unwrap() error { return e.err }

// keepRejects stores the rejected rows of a file that fails as a whole, and returns the error to fail with: its customer
// corrects them.
func (w *Worker) keepRejects(ctx context.Context, c *store.Claim, parts []store.PartRecord, wrong error) error {
	rejects, err := w.join(ctx, c, parts, objects.RejectsName)
	if err != nil {
		return atStage(stageFinish, err)
	}
	return atStage(stageScore, &fileError{wrong, rejects})
}

// mergeTallies adds the tallies of the parts that are done, in part order; nil if none is.
func mergeTallies(parts []store.PartRecord) (*engine.Tally, error) {
	var total *engine.Tally
	for _, p := range parts {
		if !p.Done {
			continue
		}
		if len(p.Summary) == 0 { // deleted by the publication: another worker has finished
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

// join composes one object from the objects that the finished parts stored under name. A single part is copied too: the
// key of the result never depends on the number of parts. Without any bytes it returns a zero ObjectInfo.
func (w *Worker) join(
	ctx context.Context, c *store.Claim, parts []store.PartRecord, name string,
) (objects.Info, error) {
	var sources []objects.Source
	var sha256 []byte // of the last one
	for i := range parts {
		p := &parts[i]
		size, digest, sum := p.ResultBytes, p.ResultDigest, p.ResultSHA256
		if name == objects.RejectsName {
			size, digest, sum = p.RejectsBytes, p.RejectsDigest, p.RejectsSHA256
		}
		if p.Done && size > 0 {
			sources = append(sources, objects.Source{
				Key: objects.PartKey(c.PublicID, c.Generation, p.No, name), Digest: digest,
				Observe: w.metrics.Reading(metrics.ReadPart),
			})
			sha256 = sum
		}
	}
	if len(sources) == 0 {
		return objects.Info{}, nil
	}
	if !parts[0].Done { // cancelled before the part that carries the header line
		head, err := w.putHeader(ctx, c, &parts[0].Part, name)
		if err != nil {
			return objects.Info{}, err
		}
		sources = append([]objects.Source{{Key: head.Key, Digest: head.Digest}}, sources...)
	}
	info, err := w.objects.Compose(ctx, objects.ResultKey(c.PublicID, c.Generation, name), sources)
	if len(sources) == 1 && len(sha256) == len(info.SHA256) {
		copy(info.SHA256[:], sha256)
	}
	return info, asPartObjectsLost(err)
}

// putHeader stores the header line, which the first part would have.
func (w *Worker) putHeader(ctx context.Context, c *store.Claim, first *store.Part, name string) (objects.Info, error) {
	bundle, err := w.models.Pinned(ctx, c.Model)
	if err != nil {
		return objects.Info{}, err
	}
	body, _, err := objects.Read(ctx, w.objects, objects.Source{
		Key: c.ObjectKey, ETag: c.ObjectETag, Digest: first.Digest, Observe: w.metrics.Reading(metrics.ReadUpload),
	}, objects.Range{Length: c.Header.Bytes + 1, Version: c.ObjectVersion})
	if err != nil {
		return objects.Info{}, err
	}
	defer func() { _ = body.Close() }()
	header, _, err := ingest.ReadHeader(body, w.config.Limits)
	if err != nil {
		return objects.Info{}, err
	}
	options, err := claimOptions(c)
	if err != nil {
		return objects.Info{}, err
	}
	result, rejects, err := engine.AppendHeaders(nil, nil, header, bundle,
		engine.Options{Unguarded: options.Unguarded()})
	if err != nil {
		return objects.Info{}, err
	}
	if name == objects.RejectsName {
		result = rejects
	}
	key := objects.PartKey(c.PublicID, c.Generation, 0, name+".head")
	return w.objects.Put(ctx, key, bytes.NewReader(result))
}

// deletePartObjects deletes the objects of all parts, on a timeout of its own because the lease ended with the
// publication. Objects that it cannot delete are left to the upkeep's sweep.
func (w *Worker) deletePartObjects(ctx context.Context, c *store.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := objects.DeletePrefix(ctx, w.objects, objects.Joined, objects.PartsPrefix(c.PublicID, c.Generation)); err != nil {
		w.log.Warn("delete part objects", "prediction_id", c.PublicID, "error", err)
	}
}
