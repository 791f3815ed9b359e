package api

import (
	"context"
	"encoding/csv"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/models"
)

type modelView struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	Engine  string `json:"engine_version"`
	// Verified says what scored the bundle's golden rows: library, the one that trained the model, or self.
	Verified string       `json:"verified"`
	Columns  []columnView `json:"columns"`
	Bands    []bandView   `json:"risk_bands"`
	Leaves   leavesView   `json:"leaves"`
	Links    modelLinks   `json:"links"`
	Aliases  []string     `json:"aliases"` // that name this version
	// Versions are those of the name that operators have pushed, oldest first.
	Versions []modelVersion `json:"versions"`
	// Outcomes are the caller's outcome reports; only in the answer about one model.
	Outcomes *[]outcomeReport `json:"outcomes,omitempty"`
}

// modelVersion is a pushed version of a model.
type modelVersion struct {
	Version string   `json:"version"`
	SHA256  string   `json:"sha256"`
	State   string   `json:"state"` // active, or retired: no new file is scored with it
	Aliases []string `json:"aliases"`
}

// aliasView is a name for a version, which ?model= takes.
type aliasView struct {
	Alias   string `json:"alias"`
	Model   string `json:"model"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// leavesView says whether leaves supports the model and so checks its scores.
type leavesView struct {
	Holds  bool    `json:"holds"`
	Reason *string `json:"reason"` // why not; null if it supports the model
	Code   *string `json:"code"`   // of the reason
}

func leavesOf(b *engine.Bundle) leavesView {
	err := b.LeavesError()
	if err == nil {
		return leavesView{Holds: true}
	}
	reason, code := err.Error(), storefault.CodeOf(err).String()
	return leavesView{Reason: &reason, Code: &code}
}

type columnView struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Required   bool     `json:"required"`
	NotEmpty   bool     `json:"not_empty"`
	Aliases    []string `json:"aliases"`
	Categories []string `json:"categories,omitempty"`
	Min        *float64 `json:"min"`
	Max        *float64 `json:"max"`
}

type bandView struct {
	Name  string   `json:"name"`
	Below *float64 `json:"below"` // null in the last band
}

type modelLinks struct {
	Self     string `json:"self"`
	Template string `json:"template"`
	Health   string `json:"health"`
}

func (s *server) modelLinks(ref string) modelLinks {
	self := s.PublicURL + "/models/" + ref
	return modelLinks{Self: self, Template: self + "/template.csv", Health: self + "/health"}
}

var kindNames = map[ingest.Kind]string{ingest.Number: "number", ingest.Category: "category", ingest.Text: "text"}

func (s *server) modelView(b *engine.Bundle) modelView {
	view := modelView{
		Name: b.Name(), Title: b.Title(), Version: b.Version(), SHA256: b.SHA256(), Engine: engine.Version, Verified: b.Verified(),
		Leaves: leavesOf(b), Links: s.modelLinks(b.Name()),
	}
	for _, c := range b.Schema().Columns {
		view.Columns = append(view.Columns, columnView{
			Name: c.Name, Type: kindNames[c.Kind], Required: c.Required, NotEmpty: c.NotEmpty,
			Aliases: append([]string{}, c.Aliases...), Categories: c.Categories, Min: c.Min, Max: c.Max,
		})
	}
	for _, band := range b.Bands() {
		v := bandView{Name: band.Name}
		if !math.IsInf(band.Below, 1) {
			v.Below = &band.Below
		}
		view.Bands = append(view.Bands, v)
	}
	return view
}

// listModels lists the models in use, and behind them the pushed models with other names: of each the version that its
// name stands for, else the last one that was pushed.
func listModels(s *server, r *request) error {
	names, err := s.Kept.Catalog(r.ctx)
	if err != nil {
		return err
	}
	list := []modelView{}
	for _, b := range s.Models.List() {
		list = append(list, s.inCatalog(s.modelView(b), names))
	}
	for _, v := range pushedModels(names, s.Models) {
		view, err := s.pushedView(r.ctx, v)
		if errors.As(err, new(*plan.MissingModelError)) { // which is logged and counted
			continue
		}
		if err != nil {
			return storefault.ExplainAs(fault.CodeDatabase, err)
		}
		list = append(list, s.inCatalog(view, names))
	}
	aliases := []aliasView{}
	for _, a := range names.Aliases {
		if v, ok := names.Find(a.SHA256); ok && !v.Withdrawn {
			aliases = append(aliases, aliasView{a.Alias, v.Name, v.Model.Version, v.SHA256})
		}
	}
	return r.json(http.StatusOK, struct {
		Models  []modelView `json:"models"`
		Aliases []aliasView `json:"aliases"`
	}{list, aliases})
}

// pushedModels returns a version for each name that no model in use has, sorted by name.
func pushedModels(names *models.Catalog, inUse *engine.Registry) []models.Version {
	byName := map[string]models.Version{}
	for _, v := range names.Versions {
		if _, ok := inUse.Get(v.Name); !ok && v.Active() {
			byName[v.Name] = v
		}
	}
	for name := range byName {
		a, _ := names.FindAlias(name)
		if v, ok := names.Find(a.SHA256); ok && v.Name == name && !v.Withdrawn {
			byName[name] = v
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b models.Version) int { return strings.Compare(a.Name, b.Name) })
}

// modelNames lists the names of all models, those in use first.
func (s *server) modelNames(ctx context.Context) (list []string, err error) {
	names, err := s.Kept.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range s.Models.List() {
		list = append(list, b.Name())
	}
	for _, v := range names.Versions {
		if !slices.Contains(list, v.Name) {
			list = append(list, v.Name)
		}
	}
	return list, nil
}

// inCatalog adds the aliases and versions of a model.
func (s *server) inCatalog(view modelView, names *models.Catalog) modelView {
	view.Aliases, view.Versions = append([]string{}, names.AliasesOf(view.SHA256)...), []modelVersion{}
	for _, v := range names.Versions {
		if v.Name != view.Name || v.Withdrawn {
			continue
		}
		version := modelVersion{v.Model.Version, v.SHA256, "active", append([]string{}, names.AliasesOf(v.SHA256)...)}
		if v.Retired {
			version.State = "retired"
		}
		view.Versions = append(view.Versions, version)
	}
	return view
}

// pushedViews are the views of pushed models, by digest, so that a list does not read them from the object store each time.
// It is safe for concurrent use.
type pushedViews struct {
	mu   sync.Mutex
	byID map[string]modelView // at most pushedViewsMax
}

const pushedViewsMax = 256

// pushedView returns the view of a pushed version, without what changes.
func (s *server) pushedView(ctx context.Context, v models.Version) (modelView, error) {
	s.pushed.mu.Lock()
	view, ok := s.pushed.byID[v.SHA256]
	s.pushed.mu.Unlock()
	if ok {
		return view, nil
	}
	b, err := s.Kept.Pinned(ctx, plan.ModelOfVersion(v))
	if err != nil {
		return view, err
	}
	view = s.modelView(b)
	view.Links = s.modelLinks(v.Ref())
	s.pushed.mu.Lock()
	defer s.pushed.mu.Unlock()
	if s.pushed.byID == nil || len(s.pushed.byID) >= pushedViewsMax {
		s.pushed.byID = map[string]modelView{}
	}
	s.pushed.byID[v.SHA256] = view
	return view, nil
}

func getModel(s *server, r *request) error {
	b, err := s.Kept.Named(r.ctx, r.value, false)
	if err != nil {
		return modelFailure(err)
	}
	names, err := s.Kept.Catalog(r.ctx)
	if err != nil {
		return err
	}
	reports, err := s.outcomeReports(r, b.Name())
	if err != nil {
		return err
	}
	view := s.inCatalog(s.modelView(b), names)
	view.Links, view.Outcomes = s.modelLinks(r.value), &reports
	return r.json(http.StatusOK, view)
}

// modelHealth says by month whether a model is still right for the caller's own uploads.
func modelHealth(s *server, r *request) error {
	b, err := s.Kept.Named(r.ctx, r.value, false)
	if err != nil {
		return modelFailure(err)
	}
	q := counts.Query{User: r.user.ID, Model: b.Name()}
	if dataset, given := r.query["dataset"]; given {
		q.Dataset = &dataset
	}
	if err := health.SetSpan(&q, r.query["from"], r.query["to"], time.Now()); err != nil {
		return err
	}
	report, err := health.Read(r.ctx, s.Store.Counts, q)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return r.json(http.StatusOK, report)
}

// modelTemplate answers with a CSV of only the header line of a model.
func modelTemplate(s *server, r *request) error {
	b, err := s.Kept.Named(r.ctx, r.value, false)
	if err != nil {
		return modelFailure(err)
	}
	var names []string
	for _, c := range b.Schema().Columns {
		names = append(names, c.Name)
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	if err := w.Write(names); err != nil {
		return err
	}
	w.Flush()
	guarded, _ := ingest.GuardRows([]byte(text.String()), ',')
	r.setGuardHeader(false)
	r.set("Content-Disposition", disposition(b.Name(), "template"))
	r.bytes(http.StatusOK, typeCSV, guarded)
	return nil
}

const typeCSV = "text/csv; charset=utf-8"

// sample answers with the sample file of a model.
func sample(model string) func(*server, *request) error {
	return func(s *server, r *request) error {
		file, err := s.assets.get("sample/"+model, func() (*asset, error) { return s.openSample(model) })
		if err != nil {
			return err
		}
		r.set("Content-Disposition", disposition(model, "sample"))
		r.setGuardHeader(false) // the samples need no guard, which a test checks
		r.set("Cache-Control", "private, max-age=3600")
		return r.asset(file)
	}
}

func (s *server) openSample(model string) (*asset, error) {
	if s.Samples == nil {
		return nil, fault.Fail(fault.CodeNoSuchRoute, "")
	}
	text, ok := s.Samples(model)
	if !ok {
		return nil, fault.Fail(fault.CodeNoSuchRoute, "")
	}
	return &asset{mediaType: typeCSV, body: text}, nil
}
