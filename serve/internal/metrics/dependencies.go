package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/queue"
)

type dependencyMetrics struct {
	DependencyUp *prometheus.GaugeVec
	calls        *prometheus.CounterVec
	callSeconds  *prometheus.CounterVec
	retries      *prometheus.CounterVec
	setAside     *prometheus.CounterVec
	pool         atomic.Pointer[func() store.PoolState]
	Circuits     circuit.Group // of this process
}

func (m *Metrics) makeDependencies() {
	m.DependencyUp = m.gauges("dependency_up",
		"1 if the dependency answered the last check; every process makes one at least every ten seconds.", "dependency")
	m.calls = m.counters("aws_calls_total",
		"Calls of S3 and SQS: done, refused (no such object), failed, or given_up (cancelled by millrace).", "service", "operation", "result")
	m.callSeconds = m.counters("aws_call_seconds_total",
		"Time that calls of S3 and SQS took, with their retries and long polls.", "service", "operation")
	m.retries = m.counters("aws_retries_total", "Attempts at calls after the first.", "service")
	for service, operation := range map[string]string{"s3": "PutObject", "sqs": "ReceiveMessage"} {
		m.retries.WithLabelValues(service)
		m.callSeconds.WithLabelValues(service, operation)
		m.calls.WithLabelValues(service, operation, string(awsclient.CallDone))
		m.calls.WithLabelValues(service, operation, string(awsclient.CallFailed)) // so that the first failure is an increase
	}
	m.setAside = m.counters("notices_set_aside_total",
		"Messages of the queue, and files that they name, that another delivery would not make usable.", "reason")
	for _, reason := range queue.Reasons() {
		m.setAside.WithLabelValues(string(reason))
	}
	m.makePool()
	m.makeCircuits()
}

// SetAside counts a message of the queue, or a record of one, that is set aside.
func (m *Metrics) SetAside(reason queue.Reason) { m.setAside.WithLabelValues(string(reason)).Inc() }

func (m *Metrics) makeCircuits() {
	for _, dependency := range []string{circuit.Database, circuit.Objects, circuit.Queue} {
		m.sampledGauge("circuit_state", "0: calls of the dependency go through. 1: one goes through as a trial. "+
			"2: they are refused after failures in a row.", "dependency", dependency,
			func() float64 { return float64(m.Circuits.Of(dependency).State) })
		m.sampledCounter("circuit_opens_total", "Times that calls of the dependency were stopped, trials that failed included.",
			"dependency", dependency, func() float64 { return float64(m.Circuits.Of(dependency).Opens) })
	}
}

func (m *Metrics) makePool() {
	sampled := func(of func(store.PoolState) float64) func() float64 {
		return func() float64 {
			if state := m.pool.Load(); state != nil {
				return of((*state)())
			}
			return 0
		}
	}
	m.sampledGauge("database_connections_acquired", "Connections of the pool in use.", "", "",
		sampled(func(p store.PoolState) float64 { return float64(p.Acquired) }))
	m.sampledGauge("database_connections_idle", "Connections of the pool that wait for use.", "", "",
		sampled(func(p store.PoolState) float64 { return float64(p.Idle) }))
	m.sampledGauge("database_connections_max", "Connections that the pool may have.", "", "",
		sampled(func(p store.PoolState) float64 { return float64(p.Max) }))
	m.sampledCounter("database_acquires_total", "Connections handed out by the pool.", "", "",
		sampled(func(p store.PoolState) float64 { return float64(p.Acquires) }))
	m.sampledCounter("database_acquire_waits_total", "Connections that had to be waited for.", "", "",
		sampled(func(p store.PoolState) float64 { return float64(p.Waits) }))
	m.sampledCounter("database_acquire_wait_seconds_total", "Time that was waited for connections.", "", "",
		sampled(func(p store.PoolState) float64 { return p.Waited.Seconds() }))
}

// WatchPool sets the function that scrapes call for the state of the connection pool.
func (m *Metrics) WatchPool(state func() store.PoolState) { m.pool.Store(&state) }

// CallDone counts a call of S3 or SQS with its retries.
func (m *Metrics) CallDone(c awsclient.Call) {
	m.calls.WithLabelValues(c.Service, c.Operation, string(c.Result)).Inc()
	m.callSeconds.WithLabelValues(c.Service, c.Operation).Add(c.Took.Seconds())
	m.retries.WithLabelValues(c.Service).Add(float64(c.Retries))
}
