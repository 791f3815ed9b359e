package serve_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/metrics"
)

func TestRateLimit(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 5, Upload: 2} })
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
	a.post("/upload", telecom).want(t, http.StatusOK)
	a.post("/upload", telecom).want(t, http.StatusOK)
	a.post("/upload", telecom).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	if r := a.get("/health").want(t, http.StatusOK); r.header.Get("RateLimit") != "" {
		t.Error("the health check is limited")
	}
}

func TestRateLimit_InvalidTokensByAddress(t *testing.T) {
	a := startAPI(t, nil)
	for i := range 60 {
		forwarded := header("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)) // any client can send that
		if r := a.get("/models", as("Bearer x.y.z"), forwarded); r.status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d", i, r.status)
		}
	}
	for i := 0; ; i++ { // one is granted again for each second that this has taken
		r := a.get("/models", as("Bearer x.y.z"), header("X-Forwarded-For", "203.0.113.99"))
		if r.status != http.StatusUnauthorized || i == 60 {
			r.wantError(t, http.StatusTooManyRequests, "ERR-1401")
			break
		}
	}
	a.get("/models").want(t, http.StatusOK) // a valid token is not limited
}

func TestPublishedRates(t *testing.T) {
	if got, want := limit.DefaultRates(), (limit.Rates{
		Default: 100, Upload: 10, Score: 20,
		Download: 50,
	}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestRateLimit_Defaults(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = nil })
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

// TestRateLimit_IgnoresUntrustedForwardedFor sends invalid tokens, each with another forged address. From a client that is
// not a trusted proxy the header changes nothing; of a trusted proxy only the address that it has appended counts.
func TestRateLimit_IgnoresUntrustedForwardedFor(t *testing.T) {
	proxies, err := api.ParseNetworks([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, test := range map[string]struct {
		trusted []netip.Prefix
		behind  string
	}{"anyone": {nil, ""}, "trusted proxy": {proxies, ", 203.0.113.9"}} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.TrustedProxies = test.trusted })
			granted := 0
			for range 1000 {
				forged := fmt.Sprintf("%d.%d.%d.%d", random.IntN(224), random.IntN(256), random.IntN(256), random.IntN(256))
				r := a.get("/models", as("Bearer x.y.z"), header("X-Forwarded-For", forged+test.behind))
				if r.status != http.StatusTooManyRequests {
					granted++
				}
			}
			if granted < 60 || granted > 90 { // the budget, and what came back while the test ran
				t.Errorf("%d of 1,000 requests were not held up", granted)
			}
		})
	}
}

// TestRateLimit_SharedByProcesses spends a budget at two servers on one database.
func TestRateLimit_SharedByProcesses(t *testing.T) {
	rates := func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 4} }
	a := startAPI(t, rates)
	b := *a
	b.server = api.NewServer(api.Config{Rates: &limit.Rates{Default: 4}}, api.Parts{
		Store: a.store, Objects: a.objects, Models: a.models, Metrics: metrics.NewMetrics(),
		Auth: newVerifier(t, a.issuer, a.clock, nil),
	})
	b.listen()
	for i, at := range []*testAPI{a, &b, a, &b} {
		r := at.get("/models").want(t, http.StatusOK)
		if got, want := r.header.Get("RateLimit"), fmt.Sprintf(`"default";r=%d;t=%d`, 3-i, 15*(i+1)); got != want {
			t.Errorf("request %d: RateLimit %s, want %s", i, got, want)
		}
	}
	for _, at := range []*testAPI{a, &b, a, &b} {
		at.get("/models").wantError(t, http.StatusTooManyRequests, "ERR-1401")
	}
}

// TestUntrustedProxy_IsLoggedOnce: behind a proxy that is not named all callers share one budget, which the log says once,
// with the flag and without an address.
func TestUntrustedProxy_IsLoggedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		trusted []netip.Prefix
		header  string
		want    int
	}{
		"untrusted":          {nil, "X-Forwarded-For", 1},
		"Forwarded":          {nil, "Forwarded", 1},
		"another is trusted": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "X-Forwarded-For", 1},
		"trusted":            {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "X-Forwarded-For", 0},
		"no proxy":           {nil, "X-Other", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.TrustedProxies = test.trusted })
			for range 3 {
				a.get("/openapi.json", header(test.header, "for=203.0.113.77")).want(t, http.StatusOK)
				a.get("/predictions", header(test.header, "203.0.113.77")).want(t, http.StatusOK)
			}
			log := a.log.String()
			if n := strings.Count(log, "TRUSTED_PROXIES"); n != test.want || strings.Contains(log, "203.0.113.77") {
				t.Errorf("%d times:\n%s", n, log)
			}
		})
	}
}
