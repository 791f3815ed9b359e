package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTrap kills a process at the chosen request, once, before or after S3 gets it.
func TestTrap(t *testing.T) {
	const removal = `<Delete><Object><Key>uploads/planted</Key></Object></Delete>`
	for name, test := range map[string]struct {
		moment              int
		method, path, body  string
		killed, passed, say bool // whether the client is answered
		deletes             int64
	}{
		"removal, before":    {0, http.MethodPost, "/bucket?delete", removal, true, false, false, 1},
		"removal, after":     {1, http.MethodPost, "/bucket?delete", removal, true, true, true, 1},
		"removal of others":  {0, http.MethodPost, "/bucket?delete", "<Delete/>", false, true, true, 1},
		"listing, after":     {2, http.MethodGet, "/bucket?list-type=2&prefix=results%2F", "", true, true, true, 0},
		"listing of a part":  {2, http.MethodGet, "/bucket?list-type=2&prefix=results%2Fx", "", false, true, true, 0},
		"mark, before":       {3, http.MethodPut, "/bucket/millrace-installation.json", "{}", true, false, false, 0},
		"mark, after":        {4, http.MethodPut, "/bucket/millrace-installation.json", "{}", true, true, true, 0},
		"mark is read":       {4, http.MethodGet, "/bucket/millrace-installation.json", "", false, true, true, 0},
		"an object":          {0, http.MethodDelete, "/bucket/key", "", false, true, true, 1},
		"a multipart upload": {0, http.MethodDelete, "/bucket/key?uploadId=1", "", false, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				passed.Store(string(body) == test.body)
			}))
			defer server.Close()
			g, err := newGate(hostOf(server.URL))
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			var killed []string
			trap := &trap{moment: &moments[test.moment], planted: []string{"uploads/planted"}, sprung: make(chan struct{})}
			trap.kill = func(name string) bool { killed = append(killed, name); return true }
			g.trap.Store(trap)
			req, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+g.address+test.path,
				strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", "aws-sdk-go-v2/1 app/worker-3 m/E")
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if want := test.killed; want != slices.Equal(killed, []string{"worker-3"}) || !want && len(killed) > 0 {
				t.Errorf("killed %q", killed)
			}
			if (err == nil) != test.say || passed.Load() != test.passed || g.deletes.Load() != test.deletes {
				t.Errorf("%v, passed on: %v, deletions: %d", err, passed.Load(), g.deletes.Load())
			}
		})
	}
}
