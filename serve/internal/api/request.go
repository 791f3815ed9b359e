package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

// request is one HTTP request. It belongs to the goroutine that serves it. rc and its slices must not be used after the
// handler has returned; everything else is a copy.
type request struct {
	rc          *fasthttp.RequestCtx
	ctx         context.Context // ends with the handler, unless detached
	cancel      context.CancelFunc
	started     time.Time
	id          string
	method      string
	path        string
	address     string // the client's; see clientKey
	route       *route
	value       string // of the segment in braces of the pattern
	user        store.User
	scopes      []string // of the access key
	byKey       bool     // authenticated by an access key
	query       map[string]string
	body        *body      // nil until opened
	code        fault.Code // of the answer, if it is an error
	detached    bool       // a stream has taken over ctx; see detachContext
	compressors *wire.Compressors
	places      *place.Table
	blocks      *wire.SpoolBlocks
	held        *place.Place // of memory; nil until it is needed
	conn        *place.Conn  // nil if the connection is not counted
	ends        []func()     // without a connection that calls them
	answered    bool         // it is in the log
	isAsset     bool         // its answer is shared; see assets
}

// caller is who the request's places are counted for: its user, or, where no token is needed, the client's address.
func (r *request) caller() string {
	if r.user.ID == 0 {
		return r.address
	}
	return "user " + strconv.FormatInt(r.user.ID, 10)
}

// meter measures the client; nil if it is not known.
func (r *request) meter() *place.Meter {
	if r.conn == nil {
		return nil
	}
	return r.conn.Meter
}

// onEnd calls end when the answer has been sent, or cannot be. It must not use rc.
func (r *request) onEnd(end func()) {
	if r.conn == nil {
		r.ends = append(r.ends, end)
		return
	}
	r.conn.OnEnd(end)
}

// memory returns the blocks of memory that the request holds until its answer has been sent.
func (r *request) memory() *place.Place {
	if r.held == nil {
		r.held = r.places.Memory.Open(r.caller(), r.meter())
		r.onEnd(r.held.Leave)
	}
	return r.held
}

// newSpool returns a spool whose blocks are counted for the request.
func (r *request) newSpool() *wire.Spool {
	return &wire.Spool{Blocks: r.blocks, Account: account{r.ctx, r.memory()}}
}

// account charges spools to the memory of a request.
type account struct {
	ctx    context.Context
	memory *place.Place
}

// Grow implements [wire.Account].
func (a account) Grow(n int) error { return a.memory.Grow(a.ctx, n) }

// Shrink implements [wire.Account].
func (a account) Shrink(n int) { a.memory.Shrink(n) }

// routeLabel returns the route's pattern for metrics and log, or "none" for unknown paths.
func (r *request) routeLabel() string {
	if r.route == nil {
		return "none"
	}
	return r.route.Pattern
}

// root returns the relative path from the requested page to the root of the API, which a proxy may serve below a folder.
func (r *request) root() string { return strings.Repeat("../", strings.Count(r.path, "/")-1) }

// header returns a copy of a request header.
func (r *request) header(name string) string { return string(r.rc.Request.Header.Peek(name)) }

func (r *request) set(name, value string) { r.rc.Response.Header.Set(name, value) }

// json answers with a value as JSON.
func (r *request) json(status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.bytes(status, fault.TypeJSON, text)
	return nil
}

// bytes answers with a body, compressed if the client accepts it. The body must not be changed until the answer is sent.
func (r *request) bytes(status int, mediaType string, body []byte) {
	coding := r.codingOf(len(body))
	r.coded(status, mediaType, body, "")
	if coding == "" {
		return
	}
	r.rc.Response.ResetBody()
	if err := r.compressors.CompressBytes(r.rc.Response.BodyWriter(), body, coding); err != nil { // never, in memory
		r.rc.Response.SetBodyRaw(body)
		return
	}
	r.set("Content-Encoding", coding)
}

// coded answers with a body that already has a content coding; empty means none.
func (r *request) coded(status int, mediaType string, body []byte, coding string) {
	r.rc.SetStatusCode(status)
	r.rc.SetContentType(mediaType)
	r.rc.Response.SetBodyRaw(body)
	if coding != "" {
		r.set("Content-Encoding", coding)
	}
}

// detachContext hands the request's context to a stream that outlives the handler; the stream must call cancel at its end.
// finish then does not cancel it.
func (r *request) detachContext() (context.Context, context.CancelFunc) {
	r.detached = true
	return r.ctx, r.cancel
}

// accepts reports whether the Accept header names a media type explicitly, without wildcards.
func (r *request) accepts(mediaType string) bool {
	for part := range strings.SplitSeq(r.header("Accept"), ",") {
		name, _, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), mediaType) {
			return true
		}
	}
	return false
}

// RequestID returns the client's X-Request-Id if it is at most 64 letters, digits, dashes and underscores, or else a new id.
func RequestID(given []byte) string {
	if len(given) == 0 || len(given) > 64 {
		return uuid.NewString()
	}
	for _, c := range given {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return uuid.NewString()
		}
	}
	return string(given)
}

// parseQuery parses the query. An unknown or repeated parameter is an error, except for pages: a misspelt one must not be
// ignored silently.
func (r *request) parseQuery() *fault.Failure {
	r.query = map[string]string{}
	var bad *fault.Failure
	for name, value := range r.rc.QueryArgs().All() {
		key := string(name)
		switch _, twice := r.query[key]; {
		case bad != nil:
		case !slices.Contains(r.route.Params, key) && r.route.page:
		case !slices.Contains(r.route.Params, key):
			bad = fault.Fail(fault.CodeUnknownParameter, "The parameter '"+fault.Sanitize(key)+"' is not known here.").
				With(fault.Details{"field": fault.Sanitize(key), "expected": append([]string{}, r.route.Params...)})
		case twice:
			bad = fault.Fail(fault.CodeInvalidValue, "The parameter '"+key+"' is given twice.").With(fault.Details{"field": key})
		default:
			r.query[key] = string(value)
		}
	}
	return bad
}

// predictionID parses the id of a prediction in the path. Other spellings than the published one are not found.
func (r *request) predictionID() (uuid.UUID, error) {
	id, err := uuid.Parse(r.value)
	if err != nil || id.String() != r.value {
		return uuid.Nil, fault.Fail(fault.CodePredictionNotFound, "")
	}
	return id, nil
}

// statusOnly answers without a body.
func statusOnly(r *request, status int) {
	r.rc.SetStatusCode(status)
	if status == http.StatusNoContent {
		r.rc.Response.Header.SetNoDefaultContentType(true)
	}
}
