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

// ErrAmbiguousHeader reports a header that fits more than one model equally well.
var ErrAmbiguousHeader = errors.New("header fits more than one model")

// AmbiguousHeaderError is an [ErrAmbiguousHeader] with the models that the header fits.
type AmbiguousHeaderError struct {
	Candidates []string // names, sorted
}

// Error implements error.
func (e *AmbiguousHeaderError) Error() string {
	return ErrAmbiguousHeader.Error() + ": " + strings.Join(e.Candidates, ", ")
}

// Unwrap makes it an [ErrAmbiguousHeader].
func (e *AmbiguousHeaderError) Unwrap() error { return ErrAmbiguousHeader }

// retiredMax is the number of replaced bundles kept for predictions that are pinned to them.
const retiredMax = 8

// Registry holds the bundles in use by name. It is safe for concurrent use: a swap is visible to the next Get. Use
// [NewRegistry].
type Registry struct {
	bundles atomic.Pointer[map[string]*Bundle]

	mu      sync.Mutex
	retired []*Bundle // oldest first
}

// NewRegistry returns a registry of bundles. It fails if two have the same name.
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

// Get returns the bundle with a name; ok is false if there is none.
func (r *Registry) Get(name string) (b *Bundle, ok bool) {
	b, ok = (*r.bundles.Load())[name]
	return b, ok
}

// List returns all bundles, sorted by name.
func (r *Registry) List() []*Bundle {
	var list []*Bundle
	for _, b := range *r.bundles.Load() {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *Bundle) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// Pinned returns the bundle with this name and digest: the one in use, or one of the last that were replaced. ok is
// false if it is neither.
func (r *Registry) Pinned(name, digest string) (b *Bundle, ok bool) {
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

// Swap replaces the bundle of the same name by b, or adds b. Running predictions keep the old one.
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

// Choose returns the bundle that a header was made for, among those whose required columns are present. A bundle that
// reads a column named in any bundle's chosen_by is preferred; a bundle whose own chosen_by columns are all absent
// comes last; of equal ones that with the most columns is chosen. If no bundle fits, the error is the
// [ingest.MissingColumnsError] of the closest one; if several fit equally well, an [AmbiguousHeaderError].
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
		return nil, ambiguous(candidates, best)
	}
	return best.bundle, nil
}

// ambiguous is the error of a header that several candidates fit as well as best. They are sorted like the bundles.
func ambiguous(candidates []candidate, best candidate) error {
	e := new(AmbiguousHeaderError)
	for _, c := range candidates {
		if !best.better(c) {
			e.Candidates = append(e.Candidates, c.bundle.Name())
		}
	}
	return e
}

// candidate is a bundle and how well it fits a header.
type candidate struct {
	bundle  *Bundle
	missing *ingest.MissingColumnsError // nil if every required column is present
	fields  []int                       // index in the header of each schema column, -1 if absent
	found   int                         // number of schema columns in the header
	rank    rank
}

// rank orders bundles by the columns in chosen_by.
type rank int

const (
	rankAbsent  rank = iota // the bundle has chosen_by columns, all of them absent
	rankNeutral             // chosen_by does not decide
	rankChosen              // the bundle reads a chosen_by column, its own or another bundle's
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

// rankCandidates matches the header with every bundle's columns and chosen_by.
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

// fit matches the header with a bundle's columns.
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
