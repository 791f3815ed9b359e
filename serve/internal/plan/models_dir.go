package plan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/metrics"
)

// Models are the bundles in use: the baselines, and those of a directory that is watched. A bundle of the directory
// replaces the baseline of its name. One that fails a check is refused: it is shown, and what is in use stays. Only
// refused may be called from other goroutines.
type Models struct {
	Registry *engine.Registry
	metrics  *metrics.Metrics
	log      *slog.Logger
	Dir      string                   // empty: baselines only
	scorer   engine.Scorer            // that every model must be held by
	seen     map[string]string        // by bundle directory: its mark as last opened or refused
	names    map[string]string        // by bundle directory: the name of the bundle in use from it
	took     map[string]time.Duration // time that loading took, by name
	Refusals refusals
	watching bool // the start is over
}

// watchInterval is how soon a changed bundle is noticed.
const watchInterval = 5 * time.Second

// copyTime is how long after its last file a directory without a manifest may be a copy under way.
const copyTime = time.Minute

// errBareModel is a model file where directories are expected.
var errBareModel = errors.New("a model file is no bundle: put it into a directory of its own with a bundle.yaml and a manifest")

// modelExtensions are those that the libraries' examples save models with, pickles included.
var modelExtensions = []string{".txt", ".json", ".ubj", ".model", ".bin", ".pkl", ".joblib"}

// errNameTaken is a bundle with the name of another in the same directory of bundles.
var errNameTaken = errors.New("its name is taken")

// OpenModels opens everything. A baseline that cannot be used and a directory of bundles that is not there are errors; a
// bundle that cannot be used is refused, and shown.
func OpenModels(dir string, scorer engine.Scorer, metrics *metrics.Metrics, log *slog.Logger) (*Models, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	registry, err := engine.NewRegistry()
	if err != nil {
		return nil, err
	}
	m := &Models{
		Registry: registry, metrics: metrics, log: log, Dir: dir, scorer: scorer,
		seen: map[string]string{}, names: map[string]string{}, took: map[string]time.Duration{},
	}
	for _, name := range engine.BaselineNames() {
		begin := time.Now()
		b, err := engine.OpenBaseline(name)
		if err == nil {
			err = m.usable(b)
		}
		if err != nil {
			return nil, err
		}
		m.use(b, time.Since(begin))
	}
	m.refresh()
	m.watching = true
	return m, nil
}

// checkDir wants a directory, if one is named.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err != nil {
		return fmt.Errorf("directory of bundles: %w", err)
	}
	return nil
}

// usable refuses a model that the scorer in use cannot hold.
func (m *Models) usable(b *engine.Bundle) error {
	if err := b.NoLeaves(); err != nil && m.scorer == engine.ScorerLeaves {
		return fmt.Errorf("bundle %s: scorer leaves: %w", b.Name(), err)
	}
	return nil
}

// use puts a usable bundle in the place of the one of its name.
func (m *Models) use(b *engine.Bundle, took time.Duration) {
	m.took[b.Name()] = took
	warnWithoutLeaves(b, m.log)
	for _, text := range b.Warnings() {
		m.log.Warn("model is unusual", "model", b.Name(), "reason", text)
	}
	m.Registry.Swap(b)
	m.publish()
}

// publish shows in the metrics which models are in use.
func (m *Models) publish() {
	for _, b := range m.Registry.List() {
		m.metrics.ModelLoaded(b.Name(), b.Version(), b.SHA256(), m.took[b.Name()])
		m.metrics.ModelLeaves(b.Name(), b.NoLeaves() == nil)
	}
}

// Watch takes in changed bundles until ctx ends.
func (m *Models) Watch(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, watchInterval) {
		m.refresh()
	}
}

// refresh takes in the bundles that are new or have changed.
func (m *Models) refresh() {
	if m.Dir == "" {
		return
	}
	dirs, bare, err := bundleDirs(m.Dir)
	if err != nil {
		m.refuse(m.Dir, err)
		return
	}
	m.forget(dirs, bare)
	for _, file := range bare {
		m.refuse(file, errBareModel)
	}
	for _, dir := range dirs {
		if m.changed(dir) {
			m.take(dir)
		}
	}
	m.metrics.BundlesRefused(len(m.Refusals.List()))
}

// bundleDirs lists the directories that may hold bundles, in the order of their names, and files that look like models
// without one. Hidden ones are passed over: a bundle may be made in one and then renamed. So is that of a file system for
// files it has found.
func bundleDirs(dir string) (dirs, bare []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list bundles: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "lost+found" {
			continue
		}
		info, err := os.Stat(path) // through links too
		switch {
		case err == nil && info.IsDir():
			dirs = append(dirs, path)
		case slices.Contains(modelExtensions, strings.ToLower(filepath.Ext(path))):
			bare = append(bare, path)
		}
	}
	return dirs, bare, nil
}

// forget drops what is known of directories and files that are gone. Their models stay in use, but their names are free: bundles
// that were refused for one are looked at again.
func (m *Models) forget(dirs, bare []string) {
	m.Refusals.keep(slices.Concat(dirs, bare))
	for dir := range m.names {
		if !slices.Contains(dirs, dir) {
			delete(m.names, dir)
			for _, refused := range m.Refusals.because(errNameTaken) {
				delete(m.seen, refused)
			}
		}
	}
	for dir := range m.seen {
		if !slices.Contains(dirs, dir) {
			delete(m.seen, dir)
		}
	}
}

// changed says whether a directory is to be opened. A bundle is complete when its manifest is: copy it last, or move
// the directory into place. So one without it is taken for a copy under way, but for one that is found at the start or that has not changed for a
// minute.
func (m *Models) changed(dir string) bool {
	mark, err := m.mark(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return !m.watching && holdsFiles(dir) || copyIsOver(dir)
	case err != nil:
		return true
	}
	return mark != m.seen[dir]
}

func holdsFiles(dir string) bool {
	files, err := os.ReadDir(dir)
	return err != nil || len(files) > 0
}

// copyIsOver reports whether a directory holds files, of which none came or was written lately.
func copyIsOver(dir string) bool {
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		return err != nil
	}
	settled := func(info fs.FileInfo, err error) bool { return err == nil && time.Since(info.ModTime()) >= copyTime }
	for _, file := range files {
		if !settled(file.Info()) {
			return false
		}
	}
	return settled(os.Stat(dir))
}

// mark changes with a bundle: it is the manifest, and of one that is refused the sizes, times and modes of its files as
// well, so that a file which is put right is noticed.
func (m *Models) mark(dir string) (string, error) {
	manifest, err := os.ReadFile(filepath.Join(dir, engine.ManifestFile))
	if err != nil || !m.Refusals.has(dir) {
		return string(manifest), err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	mark := string(manifest)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			mark += fmt.Sprintln(e.Name(), info.Size(), info.ModTime(), info.Mode())
		}
	}
	return mark, nil
}

// take opens a bundle and uses or refuses it.
func (m *Models) take(dir string) {
	begin := time.Now()
	b, err := engine.OpenBundle(os.DirFS(dir))
	if err == nil {
		err = errors.Join(m.nameFree(dir, b.Name()), m.usable(b))
	}
	if err != nil {
		m.refuse(dir, err)
		m.seen[dir], _ = m.mark(dir)
		return
	}
	m.Refusals.drop(dir)
	m.seen[dir], _ = m.mark(dir)
	m.names[dir] = b.Name()
	m.use(b, time.Since(begin))
	m.log.Info("bundle in use", "model", b.Name(), "version", b.Version(), "sha256", b.SHA256())
}

// nameFree wants no other directory to have a bundle of a name: which of two was served would be chance.
func (m *Models) nameFree(dir, name string) error {
	for other, taken := range m.names {
		if taken == name && other != dir {
			return fmt.Errorf("bundle %s: %w by %s", name, errNameTaken, filepath.Base(other))
		}
	}
	return nil
}

// refuse notes a bundle that failed a check, once for each reason.
func (m *Models) refuse(dir string, err error) {
	if code, isNew := m.Refusals.add(dir, err); isNew {
		m.metrics.ModelRefused()
		m.metrics.BundlesRefused(len(m.Refusals.List()))
		m.log.Error("bundle refused, what is in use stays", "path", dir, "code", code, "error", err)
	}
}
