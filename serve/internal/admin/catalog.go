package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
)

// pushTimeout bounds a push, which receives, checks and stores an archive.
const pushTimeout = 5 * time.Minute

// aliasForm is that of names of models.
var aliasForm = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// States of a version.
const (
	stateActive    = "active"
	stateRetired   = "retired"
	stateWithdrawn = "withdrawn"
	stateMissing   = "missing" // its archive: push it again
)

// versionView is a pushed version.
type versionView struct {
	Model       string   `json:"model"`
	Version     string   `json:"version"`
	SHA256      string   `json:"sha256"`
	State       string   `json:"state"`
	Bytes       int64    `json:"bytes"` // of the archive; 0: not kept
	PushedAt    string   `json:"pushed_at"`
	Aliases     []string `json:"aliases"`
	Predictions int      `json:"predictions"` // with it, that have a result or may have one; counted up to 10,000
}

// aliasView is an alias with what it names, and what a rollback takes it back to.
type aliasView struct {
	Alias   string  `json:"alias"`
	Model   string  `json:"model"`
	Version string  `json:"version"`
	SHA256  string  `json:"sha256"`
	Since   string  `json:"since"`
	ByPush  bool    `json:"by_push"` // set by the first push of the model
	Before  *string `json:"before"`  // such as churn@1; null: nothing
	// Shadowed is whether a bundle of this process has the name, which comes before an alias of the first push.
	Shadowed bool `json:"shadowed"`
}

type defaultView struct {
	User    *string `json:"user"`    // subject; null: every user
	Dataset *string `json:"dataset"` // null: every dataset
	Model   string  `json:"model"`   // an alias, or a version such as churn@1
	Since   string  `json:"since"`
}

type catalogPage struct {
	Versions []versionView `json:"versions"`
	Aliases  []aliasView   `json:"aliases"`
	Defaults []defaultView `json:"defaults"`
	// Bundles are those in use in this process, of its directory and of the program.
	Bundles []bundleView `json:"bundles"`
}

// listModels lists the pushed versions, aliases and defaults.
func (a *Admin) listModels(req *http.Request) (any, error) {
	names, err := a.Kept.Refresh(req.Context())
	if err != nil {
		return nil, err
	}
	page := catalogPage{Versions: []versionView{}, Aliases: []aliasView{}, Defaults: []defaultView{}, Bundles: []bundleView{}}
	uses, err := a.Store.Models.Uses(req.Context())
	if err != nil {
		return nil, err
	}
	for _, v := range names.Versions {
		view := versionView{
			Model: v.Name, Version: v.Model.Version, SHA256: v.SHA256, Bytes: v.Bytes, PushedAt: wire.TimeText(v.PushedAt),
			Aliases: append([]string{}, names.AliasesOf(v.SHA256)...), Predictions: uses[v.SHA256],
		}
		if view.State, err = a.stateOf(req.Context(), v); err != nil {
			return nil, err
		}
		page.Versions = append(page.Versions, view)
	}
	for _, alias := range names.Aliases {
		page.Aliases = append(page.Aliases, a.newAliasView(names, alias))
	}
	if page.Defaults, err = a.defaults(req.Context(), names); err != nil {
		return nil, err
	}
	for _, b := range a.Models.List() {
		page.Bundles = append(page.Bundles, bundleView{b.Name(), b.Version(), b.SHA256()})
	}
	return page, nil
}

// stateOf asks the object store too. If it does not answer, the archive is taken for there.
func (a *Admin) stateOf(ctx context.Context, v models.Version) (string, error) {
	switch {
	case v.Withdrawn:
		return stateWithdrawn, nil
	case v.Retired:
		return stateRetired, nil
	}
	lost, err := a.Kept.Lost(ctx, v)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		a.Log.Warn("look for model", "model", v.Ref(), "error", err)
	case lost:
		return stateMissing, nil
	}
	return stateActive, nil
}

func (a *Admin) newAliasView(names *models.Catalog, alias models.Alias) aliasView {
	v, _ := names.Find(alias.SHA256)
	view := aliasView{
		Alias: alias.Alias, Model: v.Name, Version: v.Model.Version, SHA256: v.SHA256, Since: wire.TimeText(alias.Since),
		ByPush: alias.ByPush,
	}
	if before, ok := names.Find(alias.Before); ok {
		ref := before.Ref()
		view.Before = &ref
	}
	_, inUse := a.Models.Get(alias.Alias)
	view.Shadowed = inUse && alias.ByPush
	return view
}

func (a *Admin) defaults(ctx context.Context, names *models.Catalog) ([]defaultView, error) {
	views := []defaultView{}
	if len(names.Defaults) == 0 {
		return views, nil
	}
	subjects, err := a.Store.Models.Subjects(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range names.Defaults {
		view := defaultView{Model: d.Alias, Since: wire.TimeText(d.Since)}
		if v, ok := names.Find(d.SHA256); ok {
			view.Model = v.Ref()
		}
		if subject := subjects[d.UserID]; d.UserID != 0 {
			view.User = &subject
		}
		if d.Dataset != "" {
			view.Dataset = &d.Dataset
		}
		views = append(views, view)
	}
	return views, nil
}

// pushedView is the answer to a push.
type pushedView struct {
	Model   string   `json:"model"`
	Version string   `json:"version"`
	SHA256  string   `json:"sha256"`
	State   string   `json:"state"`
	Existed bool     `json:"existed"` // the same model was pushed before; nothing has changed
	Aliases []string `json:"aliases"`
	// NewAlias is the alias that this push has set, the first of a model with the name; null: none.
	NewAlias *string `json:"new_alias"`
}

// pushModel receives an archive of a bundle and makes it a version.
func (a *Admin) pushModel(req *http.Request) (any, error) {
	p, err := a.Kept.Push(req.Context(), req.Body, req.ContentLength)
	if err != nil {
		return nil, err
	}
	names, err := a.Kept.Catalog(req.Context())
	if err != nil {
		return nil, err
	}
	view := pushedView{
		Model: p.Name, Version: p.Version.Model.Version, SHA256: p.SHA256, State: stateActive, Existed: p.Existed,
		Aliases: append([]string{}, names.AliasesOf(p.SHA256)...),
	}
	if p.Version.Retired {
		view.State = stateRetired
	}
	if p.Alias != "" {
		view.NewAlias = &p.Alias
	}
	a.Log.Info("model pushed", "model", view.Model, "version", view.Version, "sha256", view.SHA256, "existed", view.Existed,
		"alias", p.Alias)
	return view, nil
}

// changedView is an alias or a default after a change, or a version.
type changedView struct {
	Alias   string `json:"alias,omitempty"`
	Model   string `json:"model"`            // what it names now, such as churn@2; empty: nothing
	Before  string `json:"before,omitempty"` // what it named until now
	Changed bool   `json:"changed"`
}

// refText returns how a digest is named; empty if it is no version.
func (a *Admin) refText(ctx context.Context, digest string) string {
	names, err := a.Kept.Catalog(ctx)
	if err != nil {
		return digest
	}
	if v, ok := names.Find(digest); ok {
		return v.Ref()
	}
	return digest
}

// setAlias makes an alias name a ?model=.
func (a *Admin) setAlias(req *http.Request) (any, error) {
	ctx, alias := req.Context(), req.PathValue("alias")
	if !aliasForm.MatchString(alias) {
		return nil, fault.Fail(fault.CodeInvalidValue, "An alias has 1 to 64 letters a to z, digits, '_' and '-'.").
			With(fault.Details{"field": "alias"})
	}
	v, err := a.Kept.Versioned(ctx, req.FormValue("model"))
	if err != nil {
		return nil, err
	}
	before, changed, err := a.Store.Models.SetAlias(ctx, alias, v.SHA256)
	if err != nil {
		return nil, refused(err, v.Ref())
	}
	return a.aliasChanged(ctx, "alias set", alias, before, v.SHA256, changed)
}

// aliasChanged logs a change and answers with it.
func (a *Admin) aliasChanged(ctx context.Context, what, alias, before, now string, changed bool) (any, error) {
	if _, err := a.Kept.Refresh(ctx); err != nil {
		return nil, err
	}
	view := changedView{Alias: alias, Model: a.refText(ctx, now), Before: a.refText(ctx, before), Changed: changed}
	a.Log.Info(what, "alias", alias, "model", view.Model, "sha256", now, "was", view.Before, "changed", changed)
	return view, nil
}

func (a *Admin) removeAlias(req *http.Request) (any, error) {
	alias := req.PathValue("alias")
	before, err := a.Store.Models.RemoveAlias(req.Context(), alias)
	if err != nil {
		return nil, refused(err, alias)
	}
	return a.aliasChanged(req.Context(), "alias removed", alias, before, "", true)
}

func (a *Admin) rollBack(req *http.Request) (any, error) {
	alias := req.PathValue("alias")
	from, to, err := a.Store.Models.Rollback(req.Context(), alias)
	if err != nil {
		return nil, refused(err, cmp.Or(a.refText(req.Context(), to), alias))
	}
	return a.aliasChanged(req.Context(), "alias rolled back", alias, from, to, true)
}

// retireModel stops new predictions with a version, or with ?undo=true allows them again.
func (a *Admin) retireModel(req *http.Request) (any, error) {
	ctx := req.Context()
	found, err := a.Kept.Find(ctx, req.PathValue("model"))
	if err != nil {
		return nil, err
	}
	inUse := slices.ContainsFunc(a.bundleDigests(), func(digest string) bool { return digest == found.Version.SHA256 })
	if found.Bundle != nil || inUse {
		return nil, impossible("It is in use from this server's own bundles, of its directory or of the program. " +
			"Remove it there; only pushed versions are retired.")
	}
	v := found.Version
	what, change := "model retired", a.Store.Models.Retire
	if req.FormValue("undo") == "true" {
		what, change = "retirement taken back", a.Store.Models.Restore
	}
	changed, err := change(ctx, v.SHA256)
	if err != nil {
		return nil, refused(err, v.Ref())
	}
	if _, err := a.Kept.Refresh(ctx); err != nil {
		return nil, err
	}
	a.Log.Info(what, "model", v.Ref(), "sha256", v.SHA256, "changed", changed)
	return changedView{Model: v.Ref(), Changed: changed}, nil
}

func (a *Admin) bundleDigests() (digests []string) {
	for _, b := range a.Models.List() {
		digests = append(digests, b.SHA256())
	}
	return digests
}

// scope reads which uploads a default is for: ?user= and ?dataset=.
func (a *Admin) scope(req *http.Request) (d models.Default, err error) {
	d.Dataset = req.FormValue("dataset")
	if subject := req.FormValue("user"); subject != "" {
		d.UserID, err = a.Store.Models.User(req.Context(), subject)
		if errors.Is(err, store.ErrNotFound) {
			err = fault.Fail(fault.CodeInvalidValue, "No user has this subject: it is the sub of their tokens, "+
				"and known from their first request on.").With(fault.Details{"field": "user"})
		}
	}
	return d, err
}

// setDefault sets what uploads get that name no model: an alias, with which it moves, or a version.
func (a *Admin) setDefault(req *http.Request) (any, error) {
	ctx, ref := req.Context(), req.FormValue("model")
	d, err := a.scope(req)
	if err != nil {
		return nil, err
	}
	v, err := a.Kept.Versioned(ctx, ref)
	if err != nil {
		return nil, err
	}
	d.SHA256 = v.SHA256
	names, err := a.Kept.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	if alias, ok := names.FindAlias(ref); ok && alias.SHA256 == v.SHA256 {
		d.Alias, d.SHA256 = ref, ""
	}
	if err := a.Store.Models.SetDefault(ctx, d); err != nil {
		return nil, refused(err, v.Ref())
	}
	return a.defaultChanged(ctx, "default model set", d, cmp.Or(d.Alias, v.Ref()))
}

func (a *Admin) removeDefault(req *http.Request) (any, error) {
	d, err := a.scope(req)
	if err != nil {
		return nil, err
	}
	if err := a.Store.Models.RemoveDefault(req.Context(), d.UserID, d.Dataset); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.Fail(fault.CodeUnknownModel, "There is no default for this user and this dataset.")
		}
		return nil, err
	}
	return a.defaultChanged(req.Context(), "default model removed", d, "")
}

func (a *Admin) defaultChanged(ctx context.Context, what string, d models.Default, ref string) (any, error) {
	if _, err := a.Kept.Refresh(ctx); err != nil {
		return nil, err
	}
	a.Log.Info(what, "model", ref, "every_user", d.UserID == 0, "every_dataset", d.Dataset == "")
	return changedView{Model: ref, Changed: true}, nil
}

func impossible(text string) *fault.Failure { return fault.Fail(fault.CodeModelNamed, text) }

// refused explains why a change of the catalog is refused; ref is what it is about.
func refused(err error, ref string) error {
	var named *models.NamedError
	switch {
	case errors.As(err, &named) && len(named.Aliases) > 0:
		return impossible("The alias " + fault.ListText(named.Aliases) + " names " + ref + ". Make it name another version, or remove it, first.").
			With(fault.Details{"candidates": named.Aliases}).Because(err)
	case errors.As(err, &named):
		return impossible("A default names " + ref + ". Set or remove the default first.").Because(err)
	case errors.Is(err, models.ErrNothingBefore):
		return impossible("The alias " + ref + " named nothing before.").Because(err)
	case errors.Is(err, models.ErrRetired):
		return impossible(ref + " is retired. Take that back first: millrace model retire --undo " + ref).Because(err)
	case errors.Is(err, models.ErrNotKept):
		return impossible("The archive of " + ref + " is not stored any more. Push it again first.").Because(err)
	case errors.Is(err, store.ErrNotFound):
		return fault.Fail(fault.CodeUnknownModel, "There is no alias or pushed version '"+fault.Sanitize(ref)+"'.").Because(err)
	}
	return err
}
