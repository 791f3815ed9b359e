package serve_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/limit"
)

// The headers that most clients know say what those of the draft standard say, and a browser may read both.
func TestB17RateHeadersThatClientsKnow(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 3, Upload: 1} })
	check := func(r answer, limit, remaining int, whole time.Duration) {
		t.Helper()
		for name, want := range map[string]string{
			"X-RateLimit-Limit": strconv.Itoa(limit), "X-RateLimit-Remaining": strconv.Itoa(remaining),
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s %q, want %s", name, got, want)
			}
		}
		at, err := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
		if left := time.Until(time.Unix(at, 0)); err != nil || left > whole+time.Second || left < whole-10*time.Second {
			t.Errorf("X-RateLimit-Reset %q is in %s, want %s", r.header.Get("X-RateLimit-Reset"), left, whole)
		}
		var policy, state [2]int
		_, _ = fmt.Sscanf(r.header.Get("RateLimit-Policy")[strings.Index(r.header.Get("RateLimit-Policy"), ";"):], ";q=%d;w=%d",
			&policy[0], &policy[1])
		_, _ = fmt.Sscanf(r.header.Get("RateLimit")[strings.Index(r.header.Get("RateLimit"), ";"):], ";r=%d;t=%d",
			&state[0], &state[1])
		if policy[0] != limit || state[0] != remaining {
			t.Errorf("the standard's say %v %v", policy, state)
		}
		exposed := r.header.Get("Access-Control-Expose-Headers")
		for _, name := range []string{"Limit", "Remaining", "Reset"} {
			if !strings.Contains(exposed, "X-RateLimit-"+name) {
				t.Errorf("%s is not exposed: %s", name, exposed)
			}
		}
	}
	from := header("Origin", origin)
	for i := range 3 {
		check(a.get("/predictions", from).want(t, http.StatusOK), 3, 2-i, time.Duration(i+1)*20*time.Second)
	}
	refused := a.get("/predictions", from)
	refused.wantError(t, http.StatusTooManyRequests, "ERR-1401")
	check(refused, 3, 0, time.Minute)
	check(a.post("/upload", telecom, from), 1, 0, time.Minute)
	if r := a.get("/ready"); r.header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("a check is counted: %v", r.header)
	}
}

// Requests without a route count as well: for the user of a valid token, else for the client's address. Health checks and
// preflights do not count.
func TestC9UnknownAddressesCount(t *testing.T) {
	start := func(t *testing.T) *testAPI {
		return startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 3} })
	}
	for name, test := range map[string]struct {
		method, path, code string
		status             int
		options            []option
	}{
		"unknown address":               {http.MethodGet, "/nope", "ERR-1307", 404, []option{as("")}},
		"unknown address, with a token": {http.MethodGet, "/nope", "ERR-1307", 404, nil},
		"unknown address, wrong token":  {http.MethodGet, "/nope", "ERR-1307", 404, []option{as("Bearer x.y.z")}},
		"wrong method":                  {http.MethodPatch, "/predictions", "ERR-1308", 405, []option{as("")}},
		"wrong method, with a token":    {http.MethodPatch, "/predictions", "ERR-1308", 405, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			for i := range 3 {
				r := a.do(test.method, test.path, nil, test.options...)
				r.wantError(t, test.status, test.code)
				if got := r.header.Get("X-RateLimit-Remaining"); got != strconv.Itoa(2-i) {
					t.Errorf("request %d: %s left", i, got)
				}
			}
			a.do(test.method, test.path, nil, test.options...).wantError(t, http.StatusTooManyRequests, "ERR-1401")
			a.get("/health").want(t, http.StatusOK)
			a.get("/ready").want(t, http.StatusOK)
			a.do(http.MethodOptions, "/predictions", nil, as(""), header("Origin", origin),
				header("Access-Control-Request-Method", "GET")).want(t, http.StatusNoContent)
			withToken := test.options == nil
			if r := a.get("/predictions"); (r.status == http.StatusTooManyRequests) != withToken {
				t.Errorf("the user's budget: %d", r.status)
			}
			if r := a.get("/docs", as("")); (r.status == http.StatusTooManyRequests) == withToken {
				t.Errorf("the address's budget: %d", r.status)
			}
		})
	}
	t.Run("a budget spent elsewhere", func(t *testing.T) {
		a := start(t)
		for range 3 {
			a.get("/predictions").want(t, http.StatusOK)
		}
		a.get("/nope").wantError(t, http.StatusTooManyRequests, "ERR-1401")
		a.get("/nope", as("")).wantError(t, http.StatusNotFound, "ERR-1307")
	})
}

// Guessing tokens at unknown paths is limited as everywhere else.
func TestC9WrongTokensAtUnknownAddresses(t *testing.T) {
	a := startAPI(t, nil)
	for range 60 {
		a.get("/nope", as("Bearer x.y.z")).wantError(t, http.StatusNotFound, "ERR-1307")
	}
	a.get("/nope", as("Bearer x.y.z")).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	a.get("/models", as("Bearer x.y.z")).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	a.get("/nope").wantError(t, http.StatusNotFound, "ERR-1307")
}
