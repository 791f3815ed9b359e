package metrics

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
)

type httpMetrics struct {
	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	RequestsRunning prometheus.Gauge
	bodyBytes       prometheus.Counter
	errorCodes      *prometheus.CounterVec
	keysFailed      prometheus.Counter
	places          atomic.Pointer[place.Table]
}

func (m *Metrics) makeHTTP() {
	m.requests = m.counters("http_requests_total", "Requests answered.", "route", "method", "status")
	m.requestSeconds = m.histograms("http_request_duration_seconds",
		"Time from the header's arrival to the answer's readiness.", "route", "method")
	m.RequestsRunning = m.gauge("http_requests_in_flight", "Requests being answered.")
	m.bodyBytes = m.counter("http_body_bytes_total", "Bytes of request bodies read.")
	m.errorCodes = m.counters("http_errors_total", "Error answers by published code.", "code")
	m.keysFailed = m.counter("signing_keys_unavailable_total", "Tokens that could not be checked.")
	m.makePlaces()
}

// WatchPlaces sets the places of the metrics.
func (m *Metrics) WatchPlaces(t *place.Table) { m.places.Store(t) }

func (m *Metrics) makePlaces() {
	for i, kind := range place.Names {
		sampled := func(of func(place.State) float64) func() float64 {
			return func() float64 {
				if t := m.places.Load(); t != nil {
					return of(t.All()[i].State())
				}
				return 0
			}
		}
		m.sampledGauge("places", "Places that requests can hold, by kind.", "kind", kind,
			sampled(func(s place.State) float64 { return float64(s.Max) }))
		m.sampledGauge("places_used", "Places that requests hold.", "kind", kind,
			sampled(func(s place.State) float64 { return float64(s.Used) }))
		m.sampledCounter("places_refused_total", "Requests that were refused because no place was free for them.", "kind", kind,
			sampled(func(s place.State) float64 { return float64(s.Refused) }))
		m.sampledCounter("places_lost_total", "Places that were given to another caller: of slow clients, or of users with more than their share.",
			"kind", kind, sampled(func(s place.State) float64 { return float64(s.Lost) }))
	}
}

// MethodLabel bounds the label of methods, which clients choose: an unknown method is "other".
func MethodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodDelete,
		http.MethodPatch:
		return method
	}
	return "other"
}

// RequestDone counts an answered request.
func (m *Metrics) RequestDone(route, method string, status int, took time.Duration) {
	method = MethodLabel(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route, method).Observe(took.Seconds())
}

// BodyRead counts bytes of request bodies.
func (m *Metrics) BodyRead(n int64) { m.bodyBytes.Add(float64(n)) }

// ErrorAnswered counts an error answer by its code.
func (m *Metrics) ErrorAnswered(code fault.Code) {
	m.errorCodes.WithLabelValues(code.String()).Inc()
	if code == fault.CodeSigningKeysMissing {
		m.keysFailed.Inc()
	}
}
