// Package fault has the published error codes, the one table from code to HTTP status and words, and what turns any error
// into one of them.
package fault

import (
	"encoding/json"
	"net/http"
	"time"
)

// Failure is an error in a customer's words. Only its code, message and details are ever shown; cause is for the log.
type Failure struct {
	Code       Code
	Message    string // empty: the code's own sentence
	Details    Details
	Cause      error
	Status     int           // 0: the code's own
	RetryAfter time.Duration // 0: the code's default
	Allow      string        // value of the Allow header of a 405
}

// Details is the machine-readable part of an error. Keys are those of the published list: row, line, column, columns,
// label, field, filename, allowed_formats, expected, limit, unit, actual, suggestion, state, stage, chunk, errors.
type Details map[string]any

func (f *Failure) Error() string {
	text := f.Code.String()
	if f.Cause != nil {
		text += ": " + f.Cause.Error()
	}
	return text
}

func (f *Failure) Unwrap() error { return f.Cause }

// Text is the sentence for the customer.
func (f *Failure) Text() string {
	if f.Message != "" {
		return f.Message
	}
	return f.Code.Message()
}

// HTTPStatus is the status of an answer with this failure. Codes that are no answer of their own say 409 when they are
// the outcome of what was asked for.
func (f *Failure) HTTPStatus() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.Code.Status() != 0:
		return f.Code.Status()
	}
	return http.StatusConflict
}

// RetryDelay is the time after which a retryable request is worth sending again.
func (f *Failure) RetryDelay() time.Duration {
	if f.RetryAfter > 0 {
		return f.RetryAfter
	}
	return defaultRetryAfter
}

// defaultRetryAfter is long enough for a short outage of a dependency to be noticed and passed.
const defaultRetryAfter = 2 * time.Second

// Fail makes a failure with a code and a sentence; an empty sentence is the code's own.
func Fail(code Code, message string) *Failure {
	return &Failure{Code: code, Message: message}
}

// With adds the machine-readable part.
func (f *Failure) With(d Details) *Failure {
	f.Details = d
	return f
}

// Because keeps the error behind the failure for the log.
func (f *Failure) Because(err error) *Failure {
	f.Cause = err
	return f
}

// ErrorObject is the error as a customer sees it, in answers and in prediction resources. The order of its fields is
// published.
type ErrorObject struct {
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	Details    Details `json:"details"`
	SupportURL string  `json:"support_url"`
}

type ErrorBody struct {
	Error     ErrorObject `json:"error"`
	RequestID string      `json:"request_id"`
	Retryable bool        `json:"retryable"`
}

// problemBody is the same error as RFC 9457 writes it.
type problemBody struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail"`
	Instance  string  `json:"instance"`
	Code      string  `json:"code"`
	RequestID string  `json:"request_id"`
	Retryable bool    `json:"retryable"`
	Details   Details `json:"details"`
	Errors    any     `json:"errors,omitempty"`
}

const (
	TypeJSON    = "application/json"
	TypeProblem = "application/problem+json"
)

// ErrorPages makes the addresses that explain codes.
type ErrorPages struct {
	Base string // without a trailing slash
}

func (p ErrorPages) url(c Code) string { return p.Base + "/" + c.String() }

func (p ErrorPages) Object(f *Failure) ErrorObject {
	d := f.Details
	if d == nil {
		d = Details{}
	}
	return ErrorObject{Code: f.Code.String(), Message: f.Text(), Details: d, SupportURL: p.url(f.Code)}
}

// Body encodes a failure for a request, as problem+json if asked for, and gives its media type.
func (p ErrorPages) Body(f *Failure, requestID, path string, problem bool) (body []byte, mediaType string) {
	object := p.Object(f)
	var v any = ErrorBody{Error: object, RequestID: requestID, Retryable: f.Code.Retryable()}
	mediaType = TypeJSON
	if problem {
		mediaType = TypeProblem
		v = problemBody{
			Type: object.SupportURL, Title: f.Code.Meaning().title, Status: f.HTTPStatus(), Detail: object.Message,
			Instance: path, Code: object.Code, RequestID: requestID, Retryable: f.Code.Retryable(),
			Details: object.Details, Errors: object.Details["errors"],
		}
	}
	body, err := json.Marshal(v)
	if err != nil { // details hold plain values only; a body without them still has the code
		body, _ = json.Marshal(ErrorBody{
			Error:     ErrorObject{object.Code, object.Message, Details{}, object.SupportURL},
			RequestID: requestID, Retryable: f.Code.Retryable(),
		})
		mediaType = TypeJSON
	}
	return body, mediaType
}
