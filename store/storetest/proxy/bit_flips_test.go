package proxy_test

import (
	"bytes"
	"io"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// One bit of each answer with an object is flipped, none of another, and none before or after.
func TestBitFlips(t *testing.T) {
	content := bytes.Repeat([]byte("object "), 20_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	flips := new(proxy.BitFlips)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ModifyResponse: flips.Modify,
	})
	t.Cleanup(front.Close)
	flipped := func(query string) (wrong int) {
		answer, err := http.Get(front.URL + "/object?" + query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil || len(got) != len(content) {
			t.Fatalf("%d bytes: %v", len(got), err)
		}
		for i := range got {
			wrong += bits.OnesCount8(got[i] ^ content[i])
		}
		return wrong
	}
	for _, step := range []struct {
		do    func()
		query string
		want  int
	}{
		{func() {}, "x-id=GetObject", 0},
		{func() { flips.Begin(1) }, "x-id=GetObject", 1},
		{func() {}, "list-type=2", 0},
		{func() {}, "x-id=GetObject", 1},
		{flips.End, "x-id=GetObject", 0},
	} {
		step.do()
		if wrong := flipped(step.query); wrong != step.want {
			t.Errorf("%s: %d bits flipped, want %d", step.query, wrong, step.want)
		}
	}
	if flips.Count() != 2 {
		t.Errorf("counted %d", flips.Count())
	}
}
