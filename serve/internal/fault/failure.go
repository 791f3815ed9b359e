// Package fault has the published error codes, the table from code to HTTP status and message, the mapping from errors of
// files and models to them, and [Recover], which turns a panic into an error. Every message that a customer reads comes from
// here, from storefault or from the handler that calls [Fail]; routes and headers belong in api. It imports neither the
// store nor net/http: the commands that read files use it too.
package fault

import (
	"encoding/json"
	"time"
)

// Failure is an error with a published code. Only its code, message and details are shown to customers; Cause is only
// logged.
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
// label, field, filename, allowed_formats, expected, limit, unit, actual, suggestion, candidates, state, stage, chunk,
// errors.
type Details map[string]any

// Error implements error. It is for the log: it contains the cause.
func (f *Failure) Error() string {
	text := f.Code.String()
	if f.Cause != nil {
		text += ": " + f.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Text returns the sentence for the customer.
func (f *Failure) Text() string {
	if f.Message != "" {
		return f.Message
	}
	return f.Code.Message()
}

// HTTPStatus returns the status of an answer with this failure. Codes without a status of their own answer 409: they are
// the outcome of a prediction.
func (f *Failure) HTTPStatus() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.Code.Status() != 0:
		return f.Code.Status()
	}
	return statusConflict
}

const statusConflict = 409

// RetryDelay returns the Retry-After of a retryable failure.
func (f *Failure) RetryDelay() time.Duration {
	if f.RetryAfter > 0 {
		return f.RetryAfter
	}
	return defaultRetryAfter
}

// defaultRetryAfter is long enough for a short outage of a dependency to end.
const defaultRetryAfter = 2 * time.Second

// Fail returns a failure with a code and a sentence; an empty sentence means the code's own.
func Fail(code Code, message string) *Failure {
	return &Failure{Code: code, Message: message}
}

// With sets the details and returns f.
func (f *Failure) With(d Details) *Failure {
	f.Details = d
	return f
}

// Because sets the cause, which is only logged, and returns f.
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

// ErrorBody is the body of an error answer in JSON.
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

// Media types of error answers.
const (
	TypeJSON    = "application/json"
	TypeProblem = "application/problem+json"
)

// ErrorPages encodes failures with links to the pages of their codes.
type ErrorPages struct {
	Base string // URL of the pages, without a trailing slash
}

func (p ErrorPages) url(c Code) string { return p.Base + "/" + c.String() }

// Object returns the failure as customers see it.
func (p ErrorPages) Object(f *Failure) ErrorObject {
	d := f.Details
	if d == nil {
		d = Details{}
	}
	return ErrorObject{Code: f.Code.String(), Message: f.Text(), Details: d, SupportURL: p.url(f.Code)}
}

// Body encodes a failure as the answer to a request, as problem+json (RFC 9457) if problem is true, and returns its media
// type.
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
