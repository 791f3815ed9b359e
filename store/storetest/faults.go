package storetest

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/retainwise/millrace/store/objects"
)

// Faults is an HTTP proxy in front of an S3 server that answers requests in its place.
type Faults struct {
	answer atomic.Pointer[func(*http.Request) (status int, code string)]
	given  atomic.Int64
}

// NewFaults starts a proxy in front of the server of a bucket, and returns the bucket's configuration through it. It
// passes everything on until [Faults.Answer].
func NewFaults(t testing.TB, config objects.S3Config) (*Faults, objects.S3Config) {
	t.Helper()
	target, err := url.Parse(config.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // the host is signed
		ErrorLog: quiet,
	}
	f := new(Faults)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := f.answer.Load(); answer != nil {
			if status, code := (*answer)(r); status != 0 {
				f.given.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = quiet
	t.Cleanup(server.Close)
	config.Endpoint = server.URL
	return f, config
}

// Answer calls answer with each request and answers with what it returns; a status of 0 passes the request on. A nil
// answer passes everything on.
func (f *Faults) Answer(answer func(*http.Request) (status int, code string)) {
	if answer == nil {
		f.answer.Store(nil)
		return
	}
	f.answer.Store(&answer)
}

// All answers every request with a status and an S3 error code.
func (f *Faults) All(status int, code string) {
	f.Answer(func(*http.Request) (int, string) { return status, code })
}

// Given returns how many requests were answered in the server's place.
func (f *Faults) Given() int64 { return f.given.Load() }
