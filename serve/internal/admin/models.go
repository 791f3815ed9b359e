package admin

import (
	"errors"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// withdrawnView is a withdrawn model.
type withdrawnView struct {
	SHA256 string `json:"sha256"`
	Failed int    `json:"predictions_failed"` // of those that waited for it or were scored with it
}

// withdrawModel withdraws the model with a sha256 for good.
func (a *Admin) withdrawModel(req *http.Request) (any, error) {
	f := fault.Fail(fault.CodeModelWithdrawn, "")
	view := withdrawnView{SHA256: req.PathValue("sha256")}
	var err error
	view.Failed, err = a.Store.Upkeep.WithdrawModel(req.Context(), view.SHA256, store.Failure{
		Code: f.Code.String(), Stage: "scoring", Message: f.Text(), Permanent: true,
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.Fail(fault.CodeUnknownModel, "No prediction was accepted with a model of this sha256.")
	}
	if err != nil {
		return nil, err
	}
	a.Log.Warn("model withdrawn", "sha256", view.SHA256, "count", view.Failed)
	return view, nil
}
