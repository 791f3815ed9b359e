package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
)

const accountBytesMax = 1 << 10

// accountBody is what a user decides about their own data.
type accountBody struct {
	// TrainingRate is the share of their customers whose scored rows are kept for retraining. 0: none are.
	TrainingRate float64 `json:"training_rate"`
}

func getAccount(s *server, r *request) error {
	rate, err := s.Store.TrainingRate(r.ctx, r.user.ID)
	if err != nil {
		return explainAs(CodeDatabase, err)
	}
	return r.json(http.StatusOK, accountBody{shortest(rate)})
}

// shortest is the number that a person would write for it: 0.1 and not 0.10000000149.
func shortest(x float32) float64 { return math.Round(float64(x)*1e6) / 1e6 }

// putAccount sets what a user decides. It holds for the parts that workers take from then on.
func putAccount(s *server, r *request) error {
	account, err := r.readAccount()
	if err != nil {
		return err
	}
	if err := s.Store.SetTrainingRate(r.ctx, r.user.ID, float32(account.TrainingRate)); err != nil {
		return explainAs(CodeDatabase, err)
	}
	return getAccount(s, r)
}

func (r *request) readAccount() (accountBody, error) {
	var given struct {
		TrainingRate *float64 `json:"training_rate"`
	}
	if mediaType, _, err := mime.ParseMediaType(r.header("Content-Type")); err != nil || mediaType != "application/json" {
		return accountBody{}, fail(CodeUnsupportedMediaType, "Send the account as application/json.").
			with(details{"field": "Content-Type", "expected": []string{"application/json"}})
	}
	body, err := r.openBody(accountBytesMax, 0)
	if err != nil {
		return accountBody{}, err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return accountBody{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&given)
	switch rate := given.TrainingRate; {
	case err != nil || decoder.More():
		return accountBody{}, fail(CodeUnparseableBody, `The body must be a JSON object such as {"training_rate": 0.1}.`)
	case rate == nil:
		return accountBody{}, fail(CodeMissingField, "The field 'training_rate' is missing.").
			with(details{"field": "training_rate"})
	case *rate < 0 || *rate > 1:
		return accountBody{}, outOfRange("training_rate", 0, 1)
	default:
		return accountBody{*rate}, nil
	}
}
