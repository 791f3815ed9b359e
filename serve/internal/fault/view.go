package fault

import (
	"encoding/json"
)

// ErrorView is the page of a code.
type ErrorView struct {
	Code      string `json:"code"`
	Title     string `json:"title"`
	Message   string `json:"message"`
	Advice    string `json:"advice"`
	Status    int    `json:"status,omitempty"` // 0: never an answer by itself
	Retryable bool   `json:"retryable"`
	// Reserved explains why the code is no longer returned; empty for a code in use.
	Reserved string `json:"reserved,omitempty"`
	// Example is an answer with the code; not in lists, and absent for codes that only operators see.
	Example json.RawMessage `json:"example,omitempty"`
}

// View returns the page of a code, without an example.
func (m Meaning) View() ErrorView {
	return ErrorView{
		Code: m.Code.String(), Title: m.title, Message: m.Message, Advice: m.advice, Status: m.Status,
		Retryable: m.Retryable, Reserved: m.Code.reserved(),
	}
}
