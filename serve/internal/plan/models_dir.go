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
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store/backoff"
)

// Models are the bundles in use: the baselines, and those of a watched directory. A bundle of the directory replaces the
// bundle in use with the same name. A bundle that fails a check is refused: it is listed in Refusals, and the bundle in use
// stays. Registry and Refusals are safe for concurrent use; nothing else is.
type Models struct {
	Registry     *engine.Registry
	metrics      *metrics.Metrics
	log          *slog.Logger
	Dir          string                   // watched directory; empty means baselines only
	scorer       engine.Scorer            // which every model must support
	fingerprints map[string]string        // by bundle directory, when it was last loaded or refused
	names        map[string]string        // by bundle directory: the name of the bundle in use from it
	loadTimes    map[string]time.Duration // by model name
	Refusals     refusals
	watching     bool // false during the start
}

// watchInterval is how often the directory is polled.
const watchInterval = 5 * time.Second

// copyTime is how long after its last file a directory without a manifest may be a copy under way.
const copyTime = time.Minute

// errBareModel is a model file where directories are expected.
var errBareModel = errors.New("a model file is no bundle: put it into a directory of its own with a bundle.yaml and a manifest")

// modelExtensions are those that the libraries' examples save models with, pickles included.
var modelExtensions = []string{".txt", ".json", ".ubj", ".model", ".bin", ".pkl", ".joblib"}

// errNameTaken means that another bundle in the directory has the same name.
var errNameTaken = errors.New("its name is taken")

// OpenModels loads the baselines and the bundles of dir. A baseline that cannot be used and a directory of bundles that is not there are errors; a
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
		fingerprints: map[string]string{}, names: map[string]string{}, loadTimes: map[string]time.Duration{},
	}
	for _, name := range engine.BaselineNames() {
		begin := time.Now()
		b, err := engine.OpenBaseline(name)
		if err == nil {
			err = m.CheckScorer(b)
		}
		if err != nil {
			return nil, err
		}
		m.activate(b, time.Since(begin))
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

// CheckScorer returns an error if the configured scorer does not support the model.
func (m *Models) CheckScorer(b *engine.Bundle) error {
	if err := b.LeavesError(); err != nil && m.scorer == engine.ScorerLeaves {
		return fmt.Errorf("bundle %s: scorer leaves: %w", b.Name(), err)
	}
	return nil
}

// activate swaps the bundle in for the one with the same name.
func (m *Models) activate(b *engine.Bundle, took time.Duration) {
	m.loadTimes[b.Name()] = took
	warnWithoutLeaves(b, m.log)
	for _, text := range b.Warnings() {
		m.log.Warn("model is unusual", "model", b.Name(), "reason", text)
	}
	m.Registry.Swap(b)
	m.publish()
}

// publish sets the metrics of the models in use.
func (m *Models) publish() {
	for _, b := range m.Registry.List() {
		m.metrics.ModelLoaded(b.Name(), b.Version(), b.SHA256(), m.loadTimes[b.Name()])
		m.metrics.ModelLeaves(b.Name(), b.LeavesError() == nil)
	}
}

// Watch polls the directory and reloads changed bundles until ctx ends.
func (m *Models) Watch(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, watchInterval) {
		m.refresh()
	}
}

// refresh loads the bundles that are new or have changed.
func (m *Models) refresh() {
	if m.Dir == "" {
		return
	}
	dirs, bare, err := bundleDirs(m.Dir)
	if err != nil {
		m.refuse(m.Dir, err)
		return
	}
	m.forgetRemoved(dirs, bare)
	for _, file := range bare {
		m.refuse(file, errBareModel)
	}
	for _, dir := range dirs {
		if m.changed(dir) {
			m.load(dir)
		}
	}
	m.metrics.SetBundlesRefused(len(m.Refusals.List()))
}

// bundleDirs lists the directories that may hold bundles, sorted by name. It skips hidden ones, in which, and files that look like models
// without one. Hidden ones are passed over: a bundle may be
// written before it is renamed, and lost+
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

// forgetRemoved drops the state of directories and files that were removed. Their models stay in use, but their names are free:
// bundles that were refused because of such a name are loaded again.
func (m *Models) forgetRemoved(dirs, bare []string) {
	m.Refusals.keep(slices.Concat(dirs, bare))
	for dir := range m.names {
		if !slices.Contains(dirs, dir) {
			delete(m.names, dir)
			for _, refused := range m.Refusals.withCause(errNameTaken) {
				delete(m.fingerprints, refused)
			}
		}
	}
	for dir := range m.fingerprints {
		if !slices.Contains(dirs, dir) {
			delete(m.fingerprints, dir)
		}
	}
}

// changed reports whether a directory must be loaded. A bundle is complete once it has a manifest: copy that last, or
// rename the directory into place. A directory without a manifest is taken for a copy in progress, except at the start or that has not changed for a
// minute.
func (m *Models) changed(dir string) bool {
	mark, err := m.fingerprint(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return !m.watching && holdsFiles(dir) || copyIsOver(dir)
	case err != nil:
		return true
	}
	return mark != m.fingerprints[dir]
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

// fingerprint changes when a bundle does: it is the manifest, and for a refused bundle also the sizes, times and modes of
// its files, so that a repaired file is noticed.
func (m *Models) fingerprint(dir string) (string, error) {
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

// load opens a bundle and activates or refuses it.
func (m *Models) load(dir string) {
	begin := time.Now()
	b, err := engine.OpenBundleKept(os.DirFS(dir))
	if err == nil {
		err = errors.Join(m.checkNameFree(dir, b.Name()), m.CheckScorer(b))
	}
	if err != nil {
		m.refuse(dir, err)
		m.fingerprints[dir], _ = m.fingerprint(dir)
		return
	}
	m.Refusals.drop(dir)
	m.fingerprints[dir], _ = m.fingerprint(dir)
	m.names[dir] = b.Name()
	m.activate(b, time.Since(begin))
	m.log.Info("bundle in use", "model", b.Name(), "version", b.Version(), "sha256", b.SHA256())
}

// checkNameFree returns an error if a bundle of another directory has the name: which of the two is served would be random.
func (m *Models) checkNameFree(dir, name string) error {
	for other, taken := range m.names {
		if taken == name && other != dir {
			return fmt.Errorf("bundle %s: %w by %s", name, errNameTaken, filepath.Base(other))
		}
	}
	return nil
}

// refuse records a bundle that failed a check, and logs and counts it once for each cause.
func (m *Models) refuse(dir string, err error) {
	if code, isNew := m.Refusals.add(dir, err); isNew {
		m.metrics.ModelRefused()
		m.metrics.SetBundlesRefused(len(m.Refusals.List()))
		m.log.Error("bundle refused, the one in use stays", "path", dir, "code", code, "error", err)
	}
}
