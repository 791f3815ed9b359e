package serve_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/retainwise/millrace/serve"
)

func TestRateLimit(t *testing.T) {
	a := startAPI(t, func(c *serve.Config, _ *serve.Parts) { c.Rates = &serve.RateLimits{Default: 5, Upload: 2} })
	for i := range 5 {
		r := a.get("/predictions").want(t, http.StatusOK)
		if got := r.header.Get("RateLimit-Policy"); got != `"default";q=5;w=60` {
			t.Errorf("RateLimit-Policy %s", got)
		}
		if got, want := r.header.Get("RateLimit"), fmt.Sprintf(`"default";r=%d;t=%d`, 4-i, 12*(i+1)); got != want {
			t.Errorf("RateLimit %s, want %s", got, want)
		}
	}
	r := a.get("/models", header("X-Forwarded-For", "1.2.3.4"))
	e := r.wantError(t, http.StatusTooManyRequests, "ERR-1401")
	wait, _ := strconv.Atoi(r.header.Get("Retry-After"))
	if wait < 11 || wait > 12 || !e.Retryable {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	if got := r.header.Get("RateLimit"); got != `"default";r=0;t=60` {
		t.Errorf("RateLimit %s", got)
	}
	a.get("/models", as(a.token("other"))).want(t, http.StatusOK)
	a.post("/upload", telecom).want(t, http.StatusAccepted)
	a.post("/upload", telecom).want(t, http.StatusAccepted)
	a.post("/upload", telecom).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	if r := a.get("/health").want(t, http.StatusOK); r.header.Get("RateLimit") != "" {
		t.Error("the health check is limited")
	}
}

func TestWrongTokensAreCountedByAddress(t *testing.T) {
	a := startAPI(t, nil)
	for i := range 60 {
		forwarded := header("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)) // anybody can write that
		if r := a.get("/models", as("Bearer x.y.z"), forwarded); r.status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d", i, r.status)
		}
	}
	a.get("/models", as("Bearer x.y.z"), header("X-Forwarded-For", "203.0.113.99")).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	a.get("/models").want(t, http.StatusOK) // who has a token is not held up
}

func TestPublishedRates(t *testing.T) {
	if got, want := serve.DefaultRateLimits(), (serve.RateLimits{
		Default: 100, Upload: 10, Score: 20,
		Download: 50,
	}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestRatesAreDefault(t *testing.T) {
	a := startAPI(t, func(c *serve.Config, _ *serve.Parts) { c.Rates = nil })
	for name, want := range map[string]string{
		"/models": `"default";q=100;w=60`, "/predictions/x/download": `"download";q=50;w=60`, "/health": "",
	} {
		if got := a.get(name).header.Get("RateLimit-Policy"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := a.post("/upload", "").header.Get("RateLimit-Policy"); got != `"upload";q=10;w=60` {
		t.Errorf("upload: %s", got)
	}
}
