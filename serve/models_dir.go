package serve

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/retainwise/millrace/engine"
)

// models are the bundles in use: the baselines, and those of a directory that is watched. A bundle of the directory
// replaces the baseline of its name.
type models struct {
	registry *engine.Registry
	dir      string                   // empty: baselines only
	scorer   engine.Scorer            // that every model must be held by
	seen     map[string]string        // manifest by bundle directory, as last opened or refused
	took     map[string]time.Duration // time that loading took, by name
}

// watchInterval is how soon a changed bundle is noticed.
const watchInterval = 5 * time.Second

// openModels opens everything. At the start a bad bundle is an error; later it would not replace a good one.
func openModels(dir string, scorer engine.Scorer) (*models, error) {
	registry, err := engine.NewRegistry()
	if err != nil {
		return nil, err
	}
	m := &models{
		registry: registry, dir: dir, scorer: scorer, seen: map[string]string{}, took: map[string]time.Duration{},
	}
	for _, name := range engine.BaselineNames() {
		if _, err := m.add(func() (*engine.Bundle, error) { return engine.OpenBaseline(name) }); err != nil {
			return nil, err
		}
	}
	for _, bundle := range m.changed() {
		if _, err := m.add(func() (*engine.Bundle, error) { return engine.OpenBundle(os.DirFS(bundle)) }); err != nil {
			return nil, fmt.Errorf("bundles in %s: %w", dir, err)
		}
	}
	return m, nil
}

func (m *models) add(open func() (*engine.Bundle, error)) (*engine.Bundle, error) {
	begin := time.Now()
	b, err := open()
	if err != nil {
		return nil, err
	}
	if err := b.NoLeaves(); err != nil && m.scorer == engine.ScorerLeaves {
		return nil, fmt.Errorf("bundle %s: scorer leaves: %w", b.Name(), err)
	}
	m.took[b.Name()] = time.Since(begin)
	m.registry.Swap(b)
	return b, nil
}

// changed lists the bundle directories whose manifest is new, and remembers it. A bundle is complete when its manifest
// is: copy it last, or move the directory into place.
func (m *models) changed() []string {
	if m.dir == "" {
		return nil
	}
	manifests, _ := filepath.Glob(filepath.Join(m.dir, "*", engine.ManifestFile))
	var bundles []string
	for _, manifest := range manifests {
		text, err := os.ReadFile(manifest)
		if dir := filepath.Dir(manifest); err == nil && m.seen[dir] != string(text) {
			m.seen[dir] = string(text)
			bundles = append(bundles, dir)
		}
	}
	return bundles
}

// publish tells the metrics which models are in use.
func (m *models) publish(metrics *Metrics) {
	for _, b := range m.registry.List() {
		metrics.ModelLoaded(b.Name(), b.Version(), b.SHA256(), m.took[b.Name()])
		metrics.ModelLeaves(b.Name(), b.NoLeaves() == nil)
	}
}

// watch takes in changed bundles until ctx ends.
func (m *models) watch(ctx context.Context, metrics *Metrics, log *slog.Logger) {
	for ; ctx.Err() == nil; pause(ctx, watchInterval) {
		m.refresh(metrics, log)
	}
}

// refresh takes in changed bundles. One that fails a check is logged, and the model in use stays.
func (m *models) refresh(metrics *Metrics, log *slog.Logger) {
	for _, dir := range m.changed() {
		b, err := m.add(func() (*engine.Bundle, error) { return engine.OpenBundle(os.DirFS(dir)) })
		if err != nil {
			metrics.ModelRefused()
			log.Error("bundle refused, the model in use stays", "path", dir, "error", err)
			continue
		}
		warnWithoutLeaves(b, log)
		log.Info("bundle in use", "model", b.Name(), "version", b.Version(), "sha256", b.SHA256())
		m.publish(metrics)
	}
}
