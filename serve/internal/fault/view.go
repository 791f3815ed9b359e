package fault

import (
	"encoding/json"
)

// ErrorView is what a page shows of a code.
type ErrorView struct {
	Code      string `json:"code"`
	Title     string `json:"title"`
	Message   string `json:"message"`
	Advice    string `json:"advice"`
	Status    int    `json:"status,omitempty"` // 0: never an answer by itself
	Retryable bool   `json:"retryable"`
	// Reserved says why nothing is answered with the code; empty: something is.
	Reserved string `json:"reserved,omitempty"`
	// Example is what a customer sees of it; not in lists, and absent for what only operators see.
	Example json.RawMessage `json:"example,omitempty"`
}

func (m Meaning) View() ErrorView {
	return ErrorView{
		Code: m.Code.String(), Title: m.title, Message: m.Message, Advice: m.advice, Status: m.Status,
		Retryable: m.Retryable, Reserved: m.Code.reserved(),
	}
}
