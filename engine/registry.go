package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/retainwise/millrace/ingest"
)

// ErrAmbiguousHeader is a header that more than one model reads equally well.
var ErrAmbiguousHeader = errors.New("header fits more than one model")

// retiredMax is how many replaced bundles stay for predictions that are pinned to them.
const retiredMax = 8

// Registry holds the bundles in use, by name. All methods may be called concurrently; a swap is seen by the next Get.
type Registry struct {
	bundles atomic.Pointer[map[string]*Bundle]

	mu      sync.Mutex
	retired []*Bundle // oldest first
}

// NewRegistry makes a registry of bundles with distinct names.
func NewRegistry(bundles ...*Bundle) (*Registry, error) {
	byName := make(map[string]*Bundle, len(bundles))
	for _, b := range bundles {
		if byName[b.Name()] != nil {
			return nil, fmt.Errorf("two bundles are named %q", b.Name())
		}
		byName[b.Name()] = b
	}
	r := new(Registry)
	r.bundles.Store(&byName)
	return r, nil
}

// Get finds a bundle.
func (r *Registry) Get(name string) (*Bundle, bool) {
	b, ok := (*r.bundles.Load())[name]
	return b, ok
}

// List gives all bundles by name.
func (r *Registry) List() []*Bundle {
	var list []*Bundle
	for _, b := range *r.bundles.Load() {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *Bundle) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// Pinned finds the very bundle that a prediction was made with: the one in use, or one that was replaced lately.
func (r *Registry) Pinned(name, digest string) (*Bundle, bool) {
	if b, ok := r.Get(name); ok && b.SHA256() == digest {
		return b, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range slices.Backward(r.retired) {
		if b.Name() == name && b.SHA256() == digest {
			return b, true
		}
	}
	return nil, false
}

// Swap puts an opened bundle in place of the one with its name, or adds it. Predictions under way keep the old one.
func (r *Registry) Swap(b *Bundle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	byName := maps.Clone(*r.bundles.Load())
	if old := byName[b.Name()]; old != nil {
		r.retired = append(r.retired[max(0, len(r.retired)+1-retiredMax):], old)
	}
	byName[b.Name()] = b
	r.bundles.Store(&byName)
}

// Choose finds the bundle that a header was made for, among those whose required columns are all there. A bundle that
// reads a column by which some bundle is chosen (chosen_by) wins over those that do not; one that is chosen by columns of
// which none is there loses to all others; among equals the one that reads the most columns wins. If none fits, the
// error is the [ingest.MissingColumnsError] of the one that comes closest; if two fit equally well, it is
// [ErrAmbiguousHeader].
func (r *Registry) Choose(h ingest.Header) (*Bundle, error) {
	candidates, err := rankCandidates(r.List(), h)
	if err != nil {
		return nil, err
	}
	var best, second candidate
	for _, c := range candidates {
		switch {
		case best.bundle == nil || c.better(best):
			best, second = c, best
		case second.bundle == nil || c.better(second):
			second = c
		}
	}
	switch {
	case best.bundle == nil:
		return nil, errors.New("no model is loaded")
	case best.missing != nil:
		return nil, best.missing
	case second.bundle != nil && !best.better(second):
		return nil, ErrAmbiguousHeader
	}
	return best.bundle, nil
}

// candidate is how well a bundle fits a header.
type candidate struct {
	bundle  *Bundle
	missing *ingest.MissingColumnsError // nil if every required column is there
	fields  []int                       // that the bundle reads; -1 for columns that are not there
	found   int                         // how many of them are there
	rank    rank
}

// rank orders bundles by the columns that chosen_by names.
type rank int

const (
	rankAbsent  rank = iota // the bundle is chosen by columns of which none is there
	rankNeutral             // no column speaks for it or against it
	rankChosen              // the bundle reads a column by which it or another is chosen
)

func (c candidate) better(o candidate) bool {
	switch {
	case (c.missing == nil) != (o.missing == nil):
		return c.missing == nil
	case c.missing == nil && c.rank != o.rank:
		return c.rank > o.rank
	case c.found != o.found:
		return c.found > o.found
	}
	return c.rank > o.rank
}

// rankCandidates compares the header with what every bundle reads and is chosen by.
func rankCandidates(bundles []*Bundle, h ingest.Header) ([]candidate, error) {
	candidates := make([]candidate, len(bundles))
	chosenBy := map[int]bool{} // fields by which a bundle is chosen
	for i, b := range bundles {
		c, err := fit(b, h)
		if err != nil {
			return nil, err
		}
		for _, name := range b.file.ChosenBy {
			if field := c.fields[b.columns[name]]; field >= 0 {
				chosenBy[field] = true
			}
		}
		candidates[i] = c
	}
	for i := range candidates {
		c := &candidates[i]
		c.rank = rankNeutral
		if len(c.bundle.file.ChosenBy) > 0 {
			c.rank = rankAbsent
		}
		if slices.ContainsFunc(c.fields, func(field int) bool { return chosenBy[field] }) {
			c.rank = rankChosen
		}
	}
	return candidates, nil
}

// fit finds what a bundle reads of a header.
func fit(b *Bundle, h ingest.Header) (candidate, error) {
	optional := b.schema
	optional.Columns = slices.Clone(optional.Columns)
	for i := range optional.Columns {
		optional.Columns[i].Required = false
	}
	m, err := ingest.Map(optional, h)
	if err != nil {
		return candidate{}, err
	}
	c := candidate{bundle: b, fields: m.Fields}
	for _, field := range m.Fields {
		if field >= 0 {
			c.found++
		}
	}
	if _, err := ingest.Map(b.schema, h); err != nil && !errors.As(err, &c.missing) {
		return candidate{}, err
	}
	return c, nil
}
