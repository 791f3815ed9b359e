package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/valyala/fasthttp"
)

// finish is the end of every request: it answers an error, if there is one, and writes metrics and the log line.
func (s *server) finish(r *request, err error) {
	if err == nil {
		err = r.holdAnswer()
	}
	if err != nil {
		s.answerError(r, storefault.Explain(err))
	}
	r.body.close()
	if !r.detached {
		r.cancel()
	}
	if r.held != nil && r.conn != nil { // from now on the client decides how long the memory is held
		r.held.Busy(false)
		r.held.OnLoss(r.conn.Cut)
	}
	s.record(r, r.rc.Response.StatusCode(), err)
	if r.conn == nil {
		for _, end := range r.ends {
			end()
		}
	}
}

// answerBytesMin is the size from which an answer in memory is counted; smaller ones belong to the connection.
const answerBytesMin = 32 << 10

// holdAnswer counts the memory of an answer until it has been sent. Assets are there anyway.
func (r *request) holdAnswer() error {
	resp := &r.rc.Response
	if resp.IsBodyStream() || r.route == nil || r.isAsset {
		return nil
	}
	size := len(resp.Body())
	if size < answerBytesMin {
		return nil
	}
	return r.memory().Grow(r.ctx, (size+place.BlockBytes-1)/place.BlockBytes)
}

// abandon ends a request whose connection has closed before it was answered, as after "100 Continue". It must not use rc.
func (s *server) abandon(r *request) {
	if r.answered {
		r.cancel() // of a stream that was never read
		return
	}
	r.cancel()
	r.code = fault.CodeShortBody
	s.record(r, fault.CodeShortBody.Status(), errors.New("connection closed before the body"))
}

// record writes the metrics and the log line of a request.
func (s *server) record(r *request, status int, err error) {
	r.answered = true
	took := time.Since(r.started)
	s.Metrics.RequestsRunning.Dec()
	s.Metrics.RequestDone(r.routeLabel(), r.method, status, took)
	attrs := []any{
		"request_id", r.id, "method", metrics.MethodLabel(r.method), "route", r.routeLabel(), "status", status,
		"duration_ms", float64(took.Microseconds()) / 1000,
	}
	if r.user.ID != 0 && !s.CustomerKey.IsZero() {
		attrs = append(attrs, "user", s.logName(r.user))
	}
	if r.body != nil {
		s.Metrics.BodyRead(r.body.read)
		attrs = append(attrs, "bytes_in", r.body.read)
	}
	level := slog.LevelInfo
	if err != nil {
		attrs = append(attrs, "code", r.code.String(), "error", causeText(err))
		if status >= fasthttp.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	s.Log.Log(context.Background(), level, "request", attrs...)
}

// causeText returns the cause of an error for the log. No cause contains a customer's value.
func causeText(err error) string {
	var f *fault.Failure
	if errors.As(err, &f) && f.Cause != nil {
		return f.Cause.Error()
	}
	return err.Error()
}

// answerError replaces the answer by an error.
func (s *server) answerError(r *request, f *fault.Failure) {
	r.code = f.Code
	s.Metrics.ErrorAnswered(f.Code)
	resp := &r.rc.Response
	resp.ResetBody()
	for _, name := range []string{"Content-Disposition", "Content-Encoding", "Etag", "Preference-Applied", "Location"} {
		resp.Header.Del(name)
	}
	r.set("Cache-Control", cacheRevalidate) // replaces the value that a successful answer would have had
	text, mediaType := s.pages.Body(f, r.id, r.path, r.accepts(fault.TypeProblem))
	r.bytes(f.HTTPStatus(), mediaType, text)
	switch status := f.HTTPStatus(); {
	case status == fasthttp.StatusUnauthorized:
		r.set("WWW-Authenticate", `Bearer realm="millrace"`)
	case f.Allow != "":
		r.set("Allow", f.Allow)
	}
	if f.Code.Retryable() {
		r.set("Retry-After", fmt.Sprint(limit.WholeSeconds(f.RetryDelay())))
	}
	r.closeIfInDoubt(f)
}

// closeIfInDoubt closes the connection after an answer to a request whose body was not read to its end, and to one that is
// malformed: where the next request begins could be read differently.
func (r *request) closeIfInDoubt(f *fault.Failure) {
	if f.Code == fault.CodeMalformedRequest {
		r.closeAfterAnswer()
	}
	r.closeIfUnread()
}

// closeIfUnread closes the connection, gracefully, after an answer to a request whose body was not read to its end.
func (r *request) closeIfUnread() {
	length := r.rc.Request.Header.ContentLength()
	if read := r.body != nil && errors.Is(r.body.err, io.EOF); !read && (length > 0 || length == -1) {
		r.closeAfterAnswer()
	}
}

func (r *request) closeAfterAnswer() {
	r.rc.SetConnectionClose()
	wire.CloseGracefully(r.rc.Conn())
}

// answerUnparsed is fasthttp's ErrorHandler: it answers a request that could not be parsed or did not arrive.
func (s *server) answerUnparsed(rc *fasthttp.RequestCtx, err error) {
	var r *request
	if c, ok := wire.Below(rc.Conn()).(*place.Conn); ok {
		r, _ = c.Request.(*request) // of a client that was asked to continue
	}
	if r == nil || r.answered {
		r = s.begin(rc)
	}
	s.commonHeaders(r)
	s.finish(r, parseFailure(err))
	r.closeAfterAnswer()
}

func parseFailure(err error) *fault.Failure {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		f := fault.Fail(fault.CodeMalformedRequest, "The request's header is too long.").
			With(fault.Details{"limit": HeaderMax, "unit": "bytes"}).Because(errors.New("header too long"))
		f.Status = fasthttp.StatusRequestHeaderFieldsTooLarge
		return f
	case errors.As(err, &network) && network.Timeout():
		return fault.Fail(fault.CodeSlowBody, "The request arrived too slowly and was ended.").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Fail(fault.CodeShortBody, "").Because(err)
	}
	return fault.Fail(fault.CodeMalformedRequest, "").Because(errors.New("request cannot be parsed"))
}
