package plan

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/models"
)

// Wish is what is known of the model of a file before its header is read.
type Wish struct {
	Model   string // a name, a version such as churn@2 or churn:2, or an alias; empty: not named
	UserID  int64
	Dataset string
	// Accepted is set for a file whose prediction exists: it is scored also if its version was retired meanwhile.
	Accepted bool
}

// Choose returns the model for a file: the one that is wished for, else the default of the user and the dataset, else the
// one in use that the header was made for, or what an alias with its name stands for. A model that is pushed changes none
// of this. The error says that there is no such model, that no or several models fit, or that the header lacks required
// columns; that of a model that cannot be had at present is a [MissingModelError].
func (k *KeptModels) Choose(ctx context.Context, w Wish, h ingest.Header) (*engine.Bundle, error) {
	b, err := k.wished(ctx, w, h)
	if err != nil {
		return nil, err
	}
	if _, err := ingest.Map(b.Schema(), h); err != nil {
		return nil, err
	}
	return b, nil
}

func (k *KeptModels) wished(ctx context.Context, w Wish, h ingest.Header) (*engine.Bundle, error) {
	if w.Model != "" {
		return k.Named(ctx, w.Model, w.Accepted)
	}
	names, err := k.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	if d, ok := names.DefaultOf(w.UserID, w.Dataset); ok {
		if d.Alias != "" {
			return k.Named(ctx, d.Alias, false)
		}
		v, _ := names.Find(d.SHA256)
		return k.open(ctx, v, false)
	}
	b, err := k.Registry.Choose(h)
	if err != nil {
		return nil, k.withCandidates(names, h, err)
	}
	if a, ok := names.FindAlias(b.Name()); ok && !a.ByPush {
		return k.Named(ctx, b.Name(), false)
	}
	return b, nil
}

// withCandidates returns an error that names the pushed models that fit the header, if err is that no model in use does.
// Only models that this process has read are compared.
func (k *KeptModels) withCandidates(names *models.Catalog, h ingest.Header, err error) error {
	var missing *ingest.MissingColumnsError
	if !errors.As(err, &missing) {
		return err
	}
	var fit []string
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range names.Versions {
		schema, known := k.schemas[v.SHA256]
		if !known || !v.Active() {
			continue
		}
		if _, err := ingest.Map(schema, h); err == nil {
			fit = append(fit, v.Ref())
		}
	}
	if len(fit) == 0 {
		return err
	}
	return fault.NotChosen(fit).Because(err)
}

// ModelRef is what a name in a request stands for: a bundle in use, or a pushed version.
type ModelRef struct {
	Bundle  *engine.Bundle // nil: a pushed version
	Version models.Version
}

// Find returns what a name, a version or an alias stands for, in this order: a pushed version for name@version or
// name:version, else the bundle in use that has both; an alias that an operator has set; a bundle in use; the alias of the
// first push. A name that is not known is looked up in the database before it is a [fault.CodeUnknownModel].
func (k *KeptModels) Find(ctx context.Context, ref string) (ModelRef, error) {
	names, err := k.Catalog(ctx)
	if err != nil {
		return ModelRef{}, err
	}
	found, ok := k.find(names, ref)
	if !ok {
		if names, err = k.Refresh(ctx); err != nil {
			return ModelRef{}, err
		}
		found, ok = k.find(names, ref)
	}
	if !ok {
		return ModelRef{}, k.unknown(names, ref)
	}
	return found, nil
}

func (k *KeptModels) find(names *models.Catalog, ref string) (found ModelRef, ok bool) {
	if i := strings.IndexAny(ref, "@:"); i >= 0 {
		name, version := ref[:i], ref[i+1:]
		if found.Version, ok = names.FindVersion(name, version); ok {
			return found, true
		}
		found.Bundle, ok = k.Registry.Get(name)
		return found, ok && found.Bundle.Version() == version
	}
	alias, aliased := names.FindAlias(ref)
	if !aliased || alias.ByPush {
		if found.Bundle, ok = k.Registry.Get(ref); ok {
			return found, true
		}
	}
	found.Version, ok = names.Find(alias.SHA256)
	return found, ok && aliased
}

// unknown is the failure of a name that stands for nothing, with the names that do.
func (k *KeptModels) unknown(names *models.Catalog, ref string) *fault.Failure {
	known := []string{}
	for _, b := range k.Registry.List() {
		known = append(known, b.Name())
	}
	for _, a := range names.Aliases {
		if _, inUse := k.Registry.Get(a.Alias); !inUse {
			known = append(known, a.Alias)
		}
	}
	for _, v := range names.Versions {
		if v.Active() {
			known = append(known, v.Ref())
		}
	}
	known = known[:min(len(known), knownMax)]
	return fault.Fail(fault.CodeUnknownModel, "There is no model named '"+fault.Sanitize(ref)+"'. Available: "+
		fault.ListText(known)+".").With(fault.Details{"field": "model", "expected": known})
}

// knownMax bounds the names in an error.
const knownMax = 50

// Named returns the model that a name, a version or an alias stands for. A retired version is [models.ErrRetired] unless
// the prediction was accepted before.
func (k *KeptModels) Named(ctx context.Context, ref string, accepted bool) (*engine.Bundle, error) {
	found, err := k.Find(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case found.Bundle != nil:
		return found.Bundle, nil
	}
	return k.open(ctx, found.Version, accepted)
}

func (k *KeptModels) open(ctx context.Context, v models.Version, accepted bool) (*engine.Bundle, error) {
	switch {
	case v.Withdrawn:
		return nil, ErrModelWithdrawn
	case v.Retired && !accepted:
		return nil, models.ErrRetired
	}
	return k.Pinned(ctx, ModelOfVersion(v))
}

// ModelOfVersion returns a pushed version as a prediction names it.
func ModelOfVersion(v models.Version) store.Model {
	return store.Model{Name: v.Name, Version: v.Model.Version, SHA256: v.SHA256}
}

// catalogInterval is how often a process reads the catalog, and so how late it learns of a change by another.
const catalogInterval = 2 * time.Second

// noCatalog is that of a process without a database.
var noCatalog = &models.Catalog{}

// Catalog returns what uploads may name, as of the last time that it was read. It is read now only if it never was.
func (k *KeptModels) Catalog(ctx context.Context) (*models.Catalog, error) {
	if names := k.names.Load(); names != nil {
		return names, nil
	}
	return k.Refresh(ctx)
}

// InUse lists what new predictions can be made with: the bundles of the process, and pushed versions that are not retired.
func (k *KeptModels) InUse(ctx context.Context) (list []store.Model, err error) {
	names, err := k.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range k.Registry.List() {
		list = append(list, pinned(b))
	}
	for _, v := range names.Versions {
		known := slices.ContainsFunc(list, func(m store.Model) bool { return m.SHA256 == v.SHA256 })
		if !known && v.Active() {
			list = append(list, ModelOfVersion(v))
		}
	}
	return list, nil
}

// Refresh reads the catalog from the database and returns it.
func (k *KeptModels) Refresh(ctx context.Context) (*models.Catalog, error) {
	if k.Models == nil {
		return noCatalog, nil
	}
	k.reading.Lock() // an older snapshot never replaces a newer one
	defer k.reading.Unlock()
	names, err := k.Models.Catalog(ctx)
	if err != nil {
		return nil, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	k.names.Store(names)
	return names, nil
}

// WatchCatalog reads the catalog every two seconds until ctx ends, and the models that aliases and defaults name, so that
// no upload waits for one, and one that cannot be had is reported before an upload needs it.
func (k *KeptModels) WatchCatalog(ctx context.Context) {
	var warmed string
	var at time.Time
	for ; ctx.Err() == nil; backoff.Pause(ctx, catalogInterval) {
		names, err := k.Refresh(ctx)
		if err != nil {
			if ctx.Err() == nil {
				k.Log.Warn("read model catalog", "error", err)
			}
			continue
		}
		named := namedBy(names)
		if text := strings.Join(named, " "); text != warmed || time.Since(at) >= keepInterval {
			warmed, at = text, time.Now()
			k.warm(ctx, names, named)
		}
	}
}

// namedBy lists the digests that aliases and defaults name, at most as many as stay in memory.
func namedBy(names *models.Catalog) (digests []string) {
	seen := map[string]bool{"": true}
	for _, a := range names.Aliases {
		seen[a.SHA256] = true
	}
	for _, d := range names.Defaults {
		seen[d.SHA256] = true
	}
	for _, v := range names.Versions {
		if seen[v.SHA256] && len(digests) < loadedMax {
			digests = append(digests, v.SHA256)
		}
	}
	return digests
}

// warm reads models that are not in memory. Those that cannot be had are logged and counted by the reading itself.
func (k *KeptModels) warm(ctx context.Context, names *models.Catalog, digests []string) {
	for _, digest := range digests {
		v, _ := names.Find(digest)
		var missing *MissingModelError
		_, err := k.open(ctx, v, true)
		if err != nil && !errors.As(err, &missing) && ctx.Err() == nil {
			k.Log.Warn("read named model", "model", v.Ref(), "sha256", digest, "error", err)
		}
	}
}
