package bench

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server that stands still for a while makes every request slow that was due meanwhile, not only those it held.
func TestLatencyCountsFromDueTime(t *testing.T) {
	const stop = 300 * time.Millisecond
	begin := sync.OnceValue(time.Now) // at the first request: those that follow are due at fixed times behind it
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(time.Until(begin().Add(stop)))
	}))
	defer endpoint.Close()
	s := &server{url: endpoint.URL, client: endpoint.Client()}
	s.client.Transport = &http.Transport{MaxConnsPerHost: 2}
	byCall := s.arrivals(t.Context(), []call{{method: "GET", status: 200}, {method: "GET", status: 200}}, 200, 100)
	if len(byCall) != 2 || len(byCall[0]) != 50 || len(byCall[1]) != 50 {
		t.Fatalf("%d calls", len(byCall))
	}
	slow := 0
	for _, one := range slices.Concat(byCall...) {
		if one.err != nil {
			t.Fatal(one.err)
		}
		if one.took >= stop/3 {
			slow++
		}
	}
	if slow < 35 { // 40 were due in the first 200 ms, though only two connections were open
		t.Errorf("%d requests were slow", slow)
	}
}

func TestFailedRequestsAreCounted(t *testing.T) {
	answers := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answers++; answers%2 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		_, _ = w.Write([]byte(`{"status":"running"}`))
	}))
	defer endpoint.Close()
	s := &server{url: endpoint.URL, client: endpoint.Client()}
	c := call{name: "x", method: "POST", status: http.StatusOK}
	r := new(Report)
	if err := r.addLatency(latency{Name: "half"}, 10, s.repeat(t.Context(), c, 4)); err != nil {
		t.Fatal(err)
	}
	if l := r.findLatency("half"); l.Requests != 4 || l.Failed != 2 || !(l.RowsPerSecond > 0) {
		t.Errorf("%+v", l)
	}
	c.done = true
	err := r.addLatency(latency{Name: "none"}, 10, s.repeat(t.Context(), c, 2))
	if err == nil || !strings.Contains(err.Error(), "every request failed") || !strings.Contains(err.Error(), "is running") &&
		!strings.Contains(err.Error(), "429") {
		t.Errorf("error %v", err)
	}
}

func TestQuantile(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(i + 1)
	}
	for share, want := range map[float64]float64{0.5: 50, 0.95: 95, 0.99: 99, 0.999: 100, 1: 100, 0: 1} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v is %v, want %v", share, got, want)
		}
	}
	if got := quantile([]float64{7}, 0.95); got != 7 {
		t.Errorf("of one value: %v", got)
	}
}

func TestCustomersAreTheSampleUnderNewIDs(t *testing.T) {
	c := customersOf([]byte("id,n\na,1\nb,2\n"), 5)
	if got, want := string(c.text), "id,n\na-0,1\nb-0,2\na-1,1\nb-1,2\na-2,1\n"; got != want || c.rows != 5 {
		t.Errorf("%d rows: %q", c.rows, got)
	}
	if c := customersOfBytes([]byte("id,n\na,1\nb,2\n"), 1000); len(c.text) > 1000 || len(c.text) < 500 {
		t.Errorf("%d bytes", len(c.text))
	}
}
