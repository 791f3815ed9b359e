package work

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// Bounds of the comparison. Its memory is a buffer for each part of both uploads: at most 64 MiB, and 2 MiB for uploads of
// eight parts. The rows bound the time.
const (
	changesRowsMax      = 5_000_000 // of an upload
	changesPartsMax     = 256       // of an upload
	snapshotBufferBytes = 128 << 10
)

// newSnapshot returns the snapshot of a part for the comparison with the next upload; nil for a canary.
func (w *Worker) newSnapshot(c *store.Claim) *engine.Snapshot {
	if plan.Internal(c.Options) {
		return nil
	}
	return engine.NewSnapshot(func() func(id []byte) uint64 {
		hasher := w.config.CustomerKey.Hasher(c.UserID)
		return func(id []byte) uint64 {
			hash := hasher.Hash(id)
			return binary.BigEndian.Uint64(hash[:])
		}
	})
}

// putSnapshot stores the snapshot of a part; without one it returns a zero Info.
func (w *Worker) putSnapshot(ctx context.Context, c *store.Claim, s *engine.Snapshot) (objects.Info, error) {
	if s == nil {
		return objects.Info{}, nil
	}
	info, err := w.objects.Put(ctx, objects.SnapshotKey(c.PublicID, c.Generation, c.Part.No), bytes.NewReader(s.Bytes()))
	if err != nil {
		return info, fmt.Errorf("put snapshot: %w", err)
	}
	return info, nil
}

// compareWithPrevious compares a prediction that is about to be finished with the user's previous one. It returns nil if
// a snapshot is missing: for a cancelled prediction, a canary, or one that began before snapshots were introduced.
func (w *Worker) compareWithPrevious(
	ctx context.Context, c *store.Claim, parts []store.PartRecord, tally *engine.Tally,
) (*engine.Changes, error) {
	if slices.ContainsFunc(parts, func(p store.PartRecord) bool { return !p.Done || p.SnapshotBytes == 0 }) {
		return nil, nil
	}
	bundle, err := w.models.Pinned(ctx, c.Model)
	if err != nil {
		return nil, err
	}
	previous, err := w.store.Previous(ctx, c)
	if err != nil {
		return nil, err
	}
	if previous == nil {
		return &engine.Changes{Status: engine.ChangesFirstUpload}, nil
	}
	changes := &engine.Changes{Status: engine.ChangesUnavailable}
	switch {
	case len(previous.Snapshots) == 0:
	case max(previous.Scored, tally.Scored) > changesRowsMax,
		max(len(previous.Snapshots), len(parts)) > changesPartsMax:
		changes.Status = engine.ChangesTooLarge
		changes.Before = &engine.ChangeRows{Rows: previous.Scored}
		changes.After = &engine.ChangeRows{Rows: tally.Scored}
	default:
		if changes, err = w.compare(ctx, c, bundle, previous, parts); err != nil {
			return nil, err
		}
	}
	changes.Previous = &engine.PreviousUpload{
		PredictionID: previous.PublicID.String(), Filename: previous.Filename,
		CreatedAt: wire.TimeText(previous.CreatedAt), ModelVersion: previous.ModelVersion,
	}
	return changes, nil
}

// compare compares the snapshots of both predictions. If those of the previous one are missing, or have been damaged for a
// while, the status is ChangesUnavailable, and it is no error.
func (w *Worker) compare(
	ctx context.Context, c *store.Claim, bundle *engine.Bundle, previous *store.Previous, parts []store.PartRecord,
) (*engine.Changes, error) {
	var before, after []io.Reader
	for _, part := range previous.Snapshots {
		r := w.snapshot(ctx, previous.PublicID, previous.Generation, part)
		before = append(before, &previousSnapshot{r, staysDamaged(c)})
	}
	for i := range parts {
		after = append(after, w.ownSnapshot(ctx, c, &parts[i]))
	}
	changes, err := bundle.Compare(before, after, snapshotBufferBytes)
	if errors.Is(err, errPreviousSnapshotGone) || errors.Is(err, engine.ErrSnapshot) {
		w.log.Warn("compare", "prediction_id", c.PublicID, "previous", previous.PublicID, "error", err)
		return &engine.Changes{Status: engine.ChangesUnavailable}, nil
	}
	if err != nil {
		return nil, err
	}
	return &changes, w.setCustomerIDs(ctx, c, &changes)
}

// setCustomerIDs sets the customers' ids in the listed changes; snapshots hold only hashes of them.
func (w *Worker) setCustomerIDs(ctx context.Context, c *store.Claim, changes *engine.Changes) error {
	var rows []int64
	for _, m := range slices.Concat(changes.Risen, changes.Fallen) {
		rows = append(rows, m.Row)
	}
	if len(rows) == 0 {
		return nil
	}
	ids, err := w.store.CustomerIDs(ctx, c, rows)
	for _, list := range [][]engine.RiskChange{changes.Risen, changes.Fallen} {
		for i := range list {
			list[i].ID = ids[list[i].Row]
		}
	}
	return err
}

// countRepeats corrects the number of rows with a repeated customer id, which each part has counted among its own rows
// only. It leaves the sum of the parts if the upload is too large to be compared, or if a part has no snapshot.
func (w *Worker) countRepeats(
	ctx context.Context, c *store.Claim, parts []store.PartRecord, tally *engine.Tally, changes *engine.Changes,
) error {
	if len(parts) < 2 || len(parts) > changesPartsMax || tally.Scored > changesRowsMax {
		return nil
	}
	bundle, err := w.models.Pinned(ctx, c.Model)
	if err != nil {
		return err
	}
	if changes != nil && changes.Status == engine.ChangesCompared { // compare has read the snapshots
		tally.SetDuplicateIDs(changes.After.Repeated, bundle)
		return nil
	}
	var done []io.Reader
	for i := range parts {
		switch part := &parts[i]; {
		case part.Done && part.SnapshotBytes == 0:
			return nil
		case part.Done:
			done = append(done, w.ownSnapshot(ctx, c, part))
		}
	}
	rows, ok, err := bundle.CountDuplicateIDs(done, snapshotBufferBytes)
	if err == nil && ok {
		tally.SetDuplicateIDs(rows, bundle)
	}
	return err
}

func (w *Worker) snapshot(ctx context.Context, prediction uuid.UUID, generation int, s store.Snapshot) *rangeReader {
	return &rangeReader{ctx: ctx, objects: w.objects, source: objects.Source{
		Key: objects.SnapshotKey(prediction, generation, s.Part), Digest: s.Digest,
		Observe: w.metrics.Reading(metrics.ReadSnapshot),
	}}
}

func (w *Worker) ownSnapshot(ctx context.Context, c *store.Claim, p *store.PartRecord) *ownSnapshot {
	return &ownSnapshot{w.snapshot(ctx, c.PublicID, c.Generation, store.Snapshot{Part: p.No, Digest: p.SnapshotDigest})}
}

// rangeReader reads an object by range requests, one for each Read, so that many objects can be read in turns without an
// open connection for each.
type rangeReader struct {
	ctx      context.Context
	objects  objects.Store
	source   objects.Source
	at, size int64 // size is 0 until the first range has been read
}

// Read implements [io.Reader].
func (o *rangeReader) Read(p []byte) (int, error) {
	if o.size > 0 {
		if o.at == o.size {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), o.size-o.at)]
	}
	body, info, err := objects.Read(o.ctx, o.objects, o.source, objects.Range{Offset: o.at, Length: int64(len(p))})
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	o.source.ETag, o.size = info.ETag, info.Bytes
	n, err := io.ReadFull(body, p[:min(int64(len(p)), o.size-o.at)])
	o.at += int64(n)
	return n, err
}

// errPreviousSnapshotGone means that a snapshot of the previous prediction has been deleted.
var errPreviousSnapshotGone = errors.New("snapshot of the previous upload is gone")

// previousSnapshot reads a snapshot that may be deleted at any time.
type previousSnapshot struct {
	*rangeReader
	giveUp bool // on a damaged one, instead of postponing
}

// Read implements [io.Reader].
func (o *previousSnapshot) Read(p []byte) (int, error) {
	n, err := o.rangeReader.Read(p)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, objects.ErrChanged) || o.giveUp && errors.Is(err, objects.ErrDamaged) {
		err = errPreviousSnapshotGone
	}
	return n, err
}

// ownSnapshot reads the snapshot of a part of the same prediction.
type ownSnapshot struct{ *rangeReader }

// Read implements [io.Reader].
func (o *ownSnapshot) Read(p []byte) (int, error) {
	n, err := o.rangeReader.Read(p)
	return n, asPartObjectsLost(err)
}
