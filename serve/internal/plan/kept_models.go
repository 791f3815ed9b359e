package plan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// KeptModels are the models that predictions are pinned to: those in use, and those that the object store keeps, which any
// process loads. Safe for concurrent use.
type KeptModels struct {
	KeptParts
	slot chan struct{} // held while a model is read and checked, which takes memory: one at a time

	mu     sync.Mutex
	stored map[string]bool          // digests that this process knows to be kept, at most storedMax
	loaded []*engine.Bundle         // read from the object store, the least recently used first, at most loadedMax
	failed map[string]failedLoading // by digest, at most storedMax
	// schemas are the columns of the models that this process has read, by digest, at most storedMax.
	schemas map[string]ingest.Schema

	names   atomic.Pointer[models.Catalog] // nil: not read yet
	reading sync.Mutex                     // held while the catalog is read
	pushing chan struct{}                  // held while an archive is received and checked, which takes memory
}

// KeptParts are the dependencies of [KeptModels].
type KeptParts struct {
	Registry *engine.Registry
	Models   *models.Table // nil: nothing is kept or pushed
	Objects  objects.Store
	Metrics  *metrics.Metrics
	Log      *slog.Logger // nil discards log lines
	// Check is a further check of a loaded bundle; nil: none.
	Check func(*engine.Bundle) error
}

type failedLoading struct {
	err error
	at  time.Time
}

const (
	loadedMax    = 8    // as many as the registry keeps of those that were replaced
	storedMax    = 4096 // far more models than are ever pinned to; beyond it everything is asked again
	failedFor    = 5 * time.Second
	keepInterval = time.Minute
	archiveMax   = 384 << 20 // compressed, of an archive; a larger one is not made
)

var (
	// errDamaged means that an archive is not the one that was stored, or holds another model.
	errDamaged = errors.New("the archive is not the stored model")
	// errRejected means that a model fails a check in this process.
	errRejected = errors.New("the model is refused")
)

// NewKeptModels returns the kept models of a process.
func NewKeptModels(p KeptParts) *KeptModels {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &KeptModels{
		KeptParts: p, slot: make(chan struct{}, 1), stored: map[string]bool{}, failed: map[string]failedLoading{},
		schemas: map[string]ingest.Schema{}, pushing: make(chan struct{}, 1),
	}
}

// MissingModelError means that this process cannot have a model at present: it is neither in use nor in the object store,
// or what the object store has is not it, or does not pass a check here. It does not unwrap to Err, which callers would
// take for an error of the prediction's own objects.
type MissingModelError struct {
	Name, SHA256 string
	Result       string // of loading, as a metrics label
	Err          error  // nil: there is nothing to load
}

// Error implements error.
func (e *MissingModelError) Error() string {
	text := fmt.Sprintf("model %s with sha256 %s is %s", e.Name, e.SHA256, e.Result)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Pinned returns the model that a prediction was accepted with. If it is not in use it is loaded from the object store,
// with every check of a new bundle; callers at the same time wait for one loading. A model that cannot be had is a
// [MissingModelError], and a withdrawn one [ErrModelWithdrawn]; other errors are those of database and object store.
func (k *KeptModels) Pinned(ctx context.Context, m store.Model) (*engine.Bundle, error) {
	begin := time.Now()
	if b, err := k.known(m, begin); b != nil || err != nil {
		return b, err
	}
	select {
	case k.slot <- struct{}{}:
		defer func() { <-k.slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b, err := k.known(m, begin); b != nil || err != nil { // another call was faster
		return b, err
	}
	b, err := k.load(ctx, m)
	k.mu.Lock()
	defer k.mu.Unlock()
	var missing *MissingModelError
	switch {
	case err == nil:
		k.hold(b)
	case errors.As(err, &missing):
		if len(k.failed) >= storedMax {
			clear(k.failed)
		}
		k.failed[m.SHA256] = failedLoading{err, time.Now()}
	}
	return b, err
}

// hold keeps a model in memory; k.mu must be held.
func (k *KeptModels) hold(b *engine.Bundle) {
	k.loaded = append(k.loaded[max(0, len(k.loaded)+1-loadedMax):], b)
	delete(k.failed, b.SHA256())
	if len(k.schemas) >= storedMax {
		clear(k.schemas)
	}
	k.schemas[b.SHA256()] = b.Schema()
}

// known returns a model that is in memory, or the error of a loading that has ended lately or since begin.
func (k *KeptModels) known(m store.Model, begin time.Time) (*engine.Bundle, error) {
	if b, ok := k.Registry.Pinned(m.Name, m.SHA256); ok {
		return b, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, b := range k.loaded {
		if b.SHA256() == m.SHA256 {
			k.loaded = append(slices.Delete(k.loaded, i, i+1), b)
			return b, nil
		}
	}
	if f, ok := k.failed[m.SHA256]; ok && f.at.After(begin.Add(-failedFor)) {
		return nil, f.err
	}
	return nil, nil
}

// load reads a model from the object store. An archive that is not the model is read a second time, as bytes may have
// changed on the way only.
func (k *KeptModels) load(ctx context.Context, m store.Model) (*engine.Bundle, error) {
	missing := &MissingModelError{Name: m.Name, SHA256: m.SHA256, Result: metrics.ModelMissing}
	row, err := k.Models.Find(ctx, m.SHA256)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, k.report(missing)
	case err != nil:
		return nil, err
	case row.Withdrawn:
		return nil, ErrModelWithdrawn
	case row.Key == "":
		return nil, k.report(missing)
	}
	b, err := k.fetch(ctx, row)
	if errors.Is(err, errDamaged) {
		b, err = k.fetch(ctx, row)
	}
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, errRejected):
		missing.Result, missing.Err = metrics.ModelRejected, err
		return nil, k.report(missing)
	case errors.Is(err, errDamaged):
		missing.Result, missing.Err = metrics.ModelDamaged, err
	case errors.Is(err, store.ErrNotFound) || store.FaultOf(err) == store.FaultRefused:
		if probe := store.PingObjects(ctx, k.Objects); probe != nil { // it refuses everything: an outage
			return nil, probe
		}
		if missing.Err = err; !errors.Is(err, store.ErrNotFound) {
			return nil, k.report(missing)
		}
	default:
		return nil, err
	}
	if err := k.Models.MarkDamaged(ctx, row); err != nil { // so that a process that has the bundle stores it again
		return nil, err
	}
	return nil, k.report(missing)
}

func (k *KeptModels) report(e *MissingModelError) error {
	k.Metrics.ModelFetch(e.Result)
	k.Log.Error("model cannot be had", "model", e.Name, "sha256", e.SHA256, "result", e.Result, "error", e)
	return e
}

// read reads an archive. Bytes other than those that were stored are [errDamaged].
func (k *KeptModels) read(ctx context.Context, row models.Model) ([]byte, error) {
	body, info, err := k.Objects.Get(ctx, row.Key, objects.Range{}, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	if info.Bytes != row.Bytes || row.Bytes > archiveMax {
		return nil, fmt.Errorf("%w: %d bytes, not %d", errDamaged, info.Bytes, row.Bytes)
	}
	archive := make([]byte, row.Bytes)
	if _, err := io.ReadFull(body, archive); err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if sha256.Sum256(archive) != row.ArchiveSHA256 {
		return nil, fmt.Errorf("%w: another sha256", errDamaged)
	}
	return archive, nil
}

// fetch reads an archive and opens it with every check of a new bundle. It must hold the model that predictions are pinned
// to: another one is [errDamaged], and one that fails a check [errRejected].
func (k *KeptModels) fetch(ctx context.Context, row models.Model) (*engine.Bundle, error) {
	begin := time.Now()
	archive, err := k.read(ctx, row)
	if err != nil {
		return nil, err
	}
	b, err := engine.OpenArchive(archive)
	if err == nil && b.SHA256() != row.SHA256 {
		return nil, fmt.Errorf("%w: it holds a bundle with sha256 %s", errDamaged, b.SHA256())
	}
	if err == nil && k.Check != nil {
		err = k.Check(b)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRejected, err)
	}
	k.Metrics.ModelFetch(metrics.ModelFetched)
	k.Log.Info("model read from the object store", "model", b.Name(), "version", b.Version(), "sha256", b.SHA256(),
		"duration_ms", time.Since(begin).Milliseconds())
	return b, nil
}

// Accept calls record, which makes a prediction name the bundle, when the bundle is kept. If record finds out that it is
// kept no longer, it is stored again and record called once more.
func (k *KeptModels) Accept(ctx context.Context, b *engine.Bundle, record func() error) error {
	for attempt := 0; ; attempt++ {
		if err := k.Keep(ctx, b); err != nil {
			return err
		}
		err := record()
		switch {
		case errors.Is(err, models.ErrWithdrawn):
			return ErrModelWithdrawn
		case !errors.Is(err, models.ErrNotKept) || attempt == acceptTries:
			return err
		}
		k.mu.Lock()
		delete(k.stored, b.SHA256())
		k.mu.Unlock()
	}
}

// acceptTries bounds how often a model is stored again for one prediction.
const acceptTries = 3

// Keep stores the bundle's archive in the object store, unless it is there. What this process has stored, or has found
// there, it does not ask for again.
func (k *KeptModels) Keep(ctx context.Context, b *engine.Bundle) error {
	k.mu.Lock()
	known := k.stored[b.SHA256()]
	k.mu.Unlock()
	if known {
		return nil
	}
	row, err := k.Models.Note(ctx, b.SHA256(), b.Name(), b.Version())
	if err != nil {
		return err
	}
	if row.Withdrawn {
		return ErrModelWithdrawn
	}
	if there, err := k.isThere(ctx, row); err != nil {
		return err
	} else if !there {
		if err := k.put(ctx, b, row); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.stored) >= storedMax {
		clear(k.stored)
	}
	k.stored[b.SHA256()] = true
	return nil
}

// isThere reports whether the archive of a row is in the object store.
func (k *KeptModels) isThere(ctx context.Context, row models.Model) (bool, error) {
	if !row.Kept() {
		return false, nil
	}
	info, err := k.Objects.Head(ctx, row.Key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, storefault.ObjectFailure(err)
	}
	return info.Bytes == row.Bytes, nil
}

func (k *KeptModels) put(ctx context.Context, b *engine.Bundle, row models.Model) error {
	archive, err := b.Archive()
	if err != nil {
		return err
	}
	info, err := k.Objects.Put(ctx, objects.ModelKey(b.SHA256()), bytes.NewReader(archive))
	if err != nil {
		return storefault.ObjectFailure(err)
	}
	info.Bytes = int64(len(archive))
	if err := k.Models.Keep(ctx, row, info); err != nil {
		return err
	}
	k.Log.Info("model stored", "model", b.Name(), "version", b.Version(), "sha256", b.SHA256(), "bytes", len(archive))
	return nil
}

// Watch stores, every minute until ctx ends, the bundles in memory that predictions name although they are not kept: those
// that a process of an earlier version has accepted a file with, and those whose archive was lost.
func (k *KeptModels) Watch(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, keepInterval) {
		if err := k.KeepWanted(ctx); err != nil && ctx.Err() == nil {
			k.Log.Warn("keep models", "error", err)
		}
	}
}

// KeepWanted is one turn of [KeptModels.Watch].
func (k *KeptModels) KeepWanted(ctx context.Context) error {
	inUse := map[string]*engine.Bundle{}
	k.mu.Lock()
	for _, b := range k.loaded {
		inUse[b.SHA256()] = b
	}
	k.mu.Unlock()
	for _, b := range k.Registry.List() {
		inUse[b.SHA256()] = b
	}
	wanted, err := k.Models.Wanted(ctx, slices.Collect(maps.Keys(inUse)))
	for _, digest := range wanted {
		k.mu.Lock()
		delete(k.stored, digest)
		k.mu.Unlock()
		err = errors.Join(err, k.Keep(ctx, inUse[digest]))
	}
	return err
}
