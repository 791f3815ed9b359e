package api

import (
	"encoding/csv"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store/counts"
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
	// Outcomes are the caller's outcome reports; only in the answer about one model.
	Outcomes *[]outcomeReport `json:"outcomes,omitempty"`
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

var kindNames = map[ingest.Kind]string{ingest.Number: "number", ingest.Category: "category", ingest.Text: "text"}

func (s *server) modelView(b *engine.Bundle) modelView {
	self := s.PublicURL + "/models/" + b.Name()
	view := modelView{
		Name: b.Name(), Title: b.Title(), Version: b.Version(), SHA256: b.SHA256(), Engine: engine.Version, Verified: b.Verified(),
		Leaves: leavesOf(b), Links: modelLinks{Self: self, Template: self + "/template.csv", Health: self + "/health"},
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

func listModels(s *server, r *request) error {
	models := []modelView{}
	for _, b := range s.Models.List() {
		models = append(models, s.modelView(b))
	}
	return r.json(http.StatusOK, struct {
		Models []modelView `json:"models"`
	}{models})
}

func getModel(s *server, r *request) error {
	b, ok := s.Models.Get(r.value)
	if !ok {
		return s.unknownModel(r.value)
	}
	reports, err := s.outcomeReports(r, b.Name())
	if err != nil {
		return err
	}
	view := s.modelView(b)
	view.Outcomes = &reports
	return r.json(http.StatusOK, view)
}

// modelHealth says by month whether a model is still right for the caller's own uploads.
func modelHealth(s *server, r *request) error {
	b, ok := s.Models.Get(r.value)
	if !ok {
		return s.unknownModel(r.value)
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
	b, ok := s.Models.Get(r.value)
	if !ok {
		return s.unknownModel(r.value)
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
