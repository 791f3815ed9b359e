package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// refusal is what an S3 server answers to everything for a while.
type refusal struct {
	name, code string
	status     int
}

// refused are an operator's and a provider's bad days.
var refused = []refusal{
	{"expired credentials that come back", "ExpiredToken", http.StatusBadRequest},
	{"a bucket that answers 403", "AccessDenied", http.StatusForbidden},
	{"a bucket that answers 429", "TooManyRequests", http.StatusTooManyRequests},
}

// refusals stand before the way to S3 and pass requests on, or refuse them all.
type refusals struct {
	address string
	server  *http.Server
	now     atomic.Pointer[refusal] // nil: none
	served  chan struct{}
}

func newRefusals(to string) (*refusals, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			r.Out.Host = r.In.Host // it is signed
		},
		// What breaks behind breaks before: an answer of our own would be another fault.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     quiet,
	}
	s := &refusals{address: l.Addr().String(), served: make(chan struct{})}
	s.server = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.now.Load()
		if now == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(now.status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>refused</Message></Error>", now.code)
	})}
	go func() { // ends with close
		defer close(s.served)
		_ = s.server.Serve(l)
	}()
	return s, nil
}

func (s *refusals) close() {
	_ = s.server.Close()
	<-s.served
}

// suffer refuses for a while. It returns false at once if something is refused already.
func (s *refusals) suffer(ctx context.Context, r *refusal, d time.Duration) bool {
	if !s.now.CompareAndSwap(nil, r) {
		return false
	}
	wait(ctx, d)
	s.now.Store(nil)
	return true
}

// refuse lets S3 refuse everything for a while.
func (d *disturber) refuse(ctx context.Context) {
	r := &refused[d.random.IntN(len(refused))]
	length := time.Duration(1000+d.random.IntN(3000)) * time.Millisecond
	d.paused.Go(func() {
		if d.refusals.suffer(ctx, r, length) {
			d.notes.add(r.name)
			d.write("S3 refused with %s for %s", r.code, length)
		}
	})
}

// charged counts failures that objects were to blame for, of which there may be none: whatever is done to S3 is no
// fault of a file's.
func (w *world) charged(ctx context.Context) error {
	var failures int
	err := w.db.QueryRow(ctx, `
		SELECT count(*) FROM prediction_failures
		WHERE error->>'stage' IN ('reading', 'writing') OR error->>'code' IN ('ERR-1110', 'ERR-1502', 'ERR-1506')`).
		Scan(&failures)
	if err == nil && failures > 0 {
		w.notes.violation("%d attempts were charged for what S3 did", failures)
	}
	return err
}
