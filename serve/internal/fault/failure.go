package serve

import (
	"encoding/json"
	"net/http"
	"time"
)

// failure is an error in a customer's words. Only its code, message and details are ever shown; cause is for the log.
type failure struct {
	code       Code
	message    string // empty: the code's own sentence
	details    details
	cause      error
	status     int           // 0: the code's own
	retryAfter time.Duration // 0: the code's default
	allow      string        // value of the Allow header of a 405
}

// details is the machine-readable part of an error. Keys are those of the published list: row, line, column, columns,
// label, field, filename, allowed_formats, expected, limit, unit, actual, suggestion, state, stage, chunk, errors.
type details map[string]any

func (f *failure) Error() string {
	text := f.code.String()
	if f.cause != nil {
		text += ": " + f.cause.Error()
	}
	return text
}

func (f *failure) Unwrap() error { return f.cause }

// text is the sentence for the customer.
func (f *failure) text() string {
	if f.message != "" {
		return f.message
	}
	return f.code.Message()
}

// httpStatus is the status of an answer with this failure. Codes that are no answer of their own say 409 when they are
// the outcome of what was asked for.
func (f *failure) httpStatus() int {
	switch {
	case f.status != 0:
		return f.status
	case f.code.Status() != 0:
		return f.code.Status()
	}
	return http.StatusConflict
}

// wait is the time after which a retryable request is worth sending again.
func (f *failure) wait() time.Duration {
	if f.retryAfter > 0 {
		return f.retryAfter
	}
	return defaultRetryAfter
}

// defaultRetryAfter is long enough for a short outage of a dependency to be noticed and passed.
const defaultRetryAfter = 2 * time.Second

// fail makes a failure with a code and a sentence; an empty sentence is the code's own.
func fail(code Code, message string) *failure {
	return &failure{code: code, message: message}
}

// with adds the machine-readable part.
func (f *failure) with(d details) *failure {
	f.details = d
	return f
}

// because keeps the error behind the failure for the log.
func (f *failure) because(err error) *failure {
	f.cause = err
	return f
}

// errorObject is the error as a customer sees it, in answers and in prediction resources. The order of its fields is
// published.
type errorObject struct {
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	Details    details `json:"details"`
	SupportURL string  `json:"support_url"`
}

type errorBody struct {
	Error     errorObject `json:"error"`
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
	Details   details `json:"details"`
	Errors    any     `json:"errors,omitempty"`
}

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// errorPages makes the addresses that explain codes.
type errorPages struct {
	base string // without a trailing slash
}

func (p errorPages) url(c Code) string { return p.base + "/" + c.String() }

func (p errorPages) object(f *failure) errorObject {
	d := f.details
	if d == nil {
		d = details{}
	}
	return errorObject{Code: f.code.String(), Message: f.text(), Details: d, SupportURL: p.url(f.code)}
}

// body encodes a failure for a request, as problem+json if asked for, and gives its media type.
func (p errorPages) body(f *failure, requestID, path string, problem bool) (body []byte, mediaType string) {
	object := p.object(f)
	var v any = errorBody{Error: object, RequestID: requestID, Retryable: f.code.Retryable()}
	mediaType = typeJSON
	if problem {
		mediaType = typeProblem
		v = problemBody{
			Type: object.SupportURL, Title: f.code.meaning().title, Status: f.httpStatus(), Detail: object.Message,
			Instance: path, Code: object.Code, RequestID: requestID, Retryable: f.code.Retryable(),
			Details: object.Details, Errors: object.Details["errors"],
		}
	}
	body, err := json.Marshal(v)
	if err != nil { // details hold plain values only; a body without them still tells the code
		body, _ = json.Marshal(errorBody{
			Error:     errorObject{object.Code, object.Message, details{}, object.SupportURL},
			RequestID: requestID, Retryable: f.code.Retryable(),
		})
		mediaType = typeJSON
	}
	return body, mediaType
}
