package admin

import (
	"net/http"

	"github.com/retainwise/millrace/serve/internal/plan"
)

// bundleView is a bundle in use.
type bundleView struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// refusedView is a refused bundle with its error, which may name the operator's files.
type refusedView struct {
	plan.RefusedBundle
	Error string `json:"error"`
}

type bundlesPage struct {
	Bundles []bundleView  `json:"bundles"`
	Refused []refusedView `json:"refused"`
}

// listBundles lists the bundles in use and the refused ones.
func (a *Admin) listBundles(*http.Request) (any, error) {
	page := bundlesPage{Bundles: []bundleView{}, Refused: []refusedView{}}
	if a.Models != nil {
		for _, b := range a.Models.List() {
			page.Bundles = append(page.Bundles, bundleView{b.Name(), b.Version(), b.SHA256()})
		}
	}
	if a.Refused != nil {
		for _, r := range a.Refused() {
			page.Refused = append(page.Refused, refusedView{r, r.Cause.Error()})
		}
	}
	return page, nil
}
