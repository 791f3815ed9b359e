package api

import (
	"math"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

// accountBody is a user's account with its settings.
type accountBody struct {
	Subject string `json:"subject"` // of the user's tokens
	// TrainingRate is the share of customers, from 0 to 1, whose scored rows are kept for retraining.
	TrainingRate float64 `json:"training_rate"`
}

func getAccount(s *server, r *request) error {
	account, err := s.account(r)
	if err != nil {
		return err
	}
	r.set("Cache-Control", cacheAccount)
	return r.jsonWithETag(account)
}

func (s *server) account(r *request) (accountBody, error) {
	rate, err := s.Store.Ledger.TrainingRate(r.ctx, r.user.ID)
	if err != nil {
		return accountBody{}, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return accountBody{r.user.Subject, shortest(rate)}, nil
}

// shortest rounds a float32 to its short decimal form: 0.1 and not 0.10000000149.
func shortest(x float32) float64 { return math.Round(float64(x)*1e6) / 1e6 }

// putAccount changes the settings, for the parts that workers claim from then on.
func putAccount(s *server, r *request) error {
	rate, err := r.readTrainingRate()
	if err != nil {
		return err
	}
	if err := s.Store.Accounts.SetTrainingRate(r.ctx, r.user.ID, float32(rate)); err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	account, err := s.account(r)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, account)
}

func (r *request) readTrainingRate() (float64, error) {
	var rate *float64
	if err := r.readJSON(map[string]any{"training_rate": &rate}); err != nil {
		return 0, err
	}
	switch {
	case rate == nil:
		return 0, missingField("training_rate")
	case *rate < 0 || *rate > 1:
		return 0, outOfRange("training_rate", 0, 1)
	default:
		return *rate, nil
	}
}
