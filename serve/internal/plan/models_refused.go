package plan

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

// RefusedBundle is a bundle that is not in use because it failed a check.
type RefusedBundle struct {
	Bundle string `json:"bundle"` // its directory's own name
	Code   string `json:"code"`
	Cause  error  `json:"-"`
}

// refusals are the refused bundles. The zero value is empty and ready to use. It is safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	byDir map[string]RefusedBundle
}

// add records a refusal. It returns the code, and whether the directory was not refused before with the same error.
func (r *refusals) add(dir string, err error) (code string, isNew bool) {
	code = storefault.ExplainAs(fault.CodeBundleUnusable, err).Code.String()
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.byDir[dir]
	if r.byDir == nil {
		r.byDir = map[string]RefusedBundle{}
	}
	r.byDir[dir] = RefusedBundle{Bundle: filepath.Base(dir), Code: code, Cause: err}
	return code, !known || before.Cause.Error() != err.Error()
}

func (r *refusals) drop(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byDir, dir)
}

// keep drops the refusals of all but the given directories.
func (r *refusals) keep(dirs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.byDir, func(dir string, _ RefusedBundle) bool { return !slices.Contains(dirs, dir) })
}

func (r *refusals) has(dir string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, refused := r.byDir[dir]
	return refused
}

// withCause lists the directories whose refusal wraps cause.
func (r *refusals) withCause(reason error) (dirs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for dir, b := range r.byDir {
		if errors.Is(b.Cause, reason) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// List returns the refused bundles, sorted by the names of their directories.
func (r *refusals) List() []RefusedBundle {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.byDir), func(a, b RefusedBundle) int {
		return strings.Compare(a.Bundle, b.Bundle)
	})
}
