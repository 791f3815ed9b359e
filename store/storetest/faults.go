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

// Faults stand before an S3 server and answer in its place what they are told to.
type Faults struct {
	answer atomic.Pointer[func(*http.Request) (status int, code string)]
	given  atomic.Int64
}

// NewFaults puts faults before the server of a bucket. None are given until [Faults.Answer].
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

// Answer gives each request to answer, which passes it on with status 0; nil ends the faults.
func (f *Faults) Answer(answer func(*http.Request) (status int, code string)) {
	if answer == nil {
		f.answer.Store(nil)
		return
	}
	f.answer.Store(&answer)
}

// All answers every request alike.
func (f *Faults) All(status int, code string) {
	f.Answer(func(*http.Request) (int, string) { return status, code })
}

// Given says how many requests were answered in the server's place.
func (f *Faults) Given() int64 { return f.given.Load() }
