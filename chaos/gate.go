package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// gate is a way to an S3 server on which everything that processes ask of it is seen.
type gate struct {
	address string
	server  *http.Server
	served  chan struct{}

	refusal atomic.Pointer[refusal] // nil: of nothing
	trap    atomic.Pointer[trap]    // nil: none is set
	deadly  atomic.Pointer[deadly]  // a file that ends its workers; nil: there is none
	deletes atomic.Int64            // requests to delete objects
	flips   proxy.BitFlips          // in objects that are read
}

func newGate(to string) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	g := &gate{address: l.Addr().String(), served: make(chan struct{})}
	through := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			r.Out.Host = r.In.Host // it is signed
		},
		// What breaks behind breaks before: an answer of the gate's would be another fault.
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       quiet,
		ModifyResponse: g.flips.Modify,
	}
	g.server = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := g.refusal.Load(); refusal != nil && (refusal.only == nil || refusal.only(r)) {
			refusal.answer(w, r)
			return
		}
		if deletes(r) {
			g.deletes.Add(1)
		}
		if d := g.deadly.Load(); d != nil {
			d.meet(r)
		}
		if t := g.trap.Load(); t != nil {
			w = t.guard(w, r)
		}
		through.ServeHTTP(w, r)
	})}
	go func() { // ends with close
		defer close(g.served)
		_ = g.server.Serve(l)
	}()
	return g, nil
}

func (g *gate) close() {
	_ = g.server.Close()
	<-g.served
}

// deletes reports whether a request removes objects. Giving up a multipart upload removes none.
func deletes(r *http.Request) bool {
	q := r.URL.Query()
	return r.Method == http.MethodDelete && !q.Has("uploadId") || r.Method == http.MethodPost && q.Has("delete")
}

// sender is the name of the process that sent a request, which AWS's SDK knows from the environment.
func sender(r *http.Request) string {
	for field := range strings.FieldsSeq(r.UserAgent()) {
		if name, ok := strings.CutPrefix(field, "app/"); ok {
			return name
		}
	}
	return ""
}
