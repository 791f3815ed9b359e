package serve

import "github.com/prometheus/client_golang/prometheus"

type webhookMetrics struct {
	webhooks    *prometheus.CounterVec
	webhookLag  prometheus.Gauge
	webhookDead prometheus.Gauge
}

func (m *Metrics) makeWebhooks() {
	m.webhooks = m.counters("webhook_attempts_total", "Attempts to deliver webhooks by result.", "result")
	for _, result := range []string{"delivered", "failed", "dead"} {
		m.webhooks.WithLabelValues(result)
	}
	m.webhookLag = m.gauge("webhook_lag_seconds", "How long the oldest webhook waits to be delivered.")
	m.webhookDead = m.gauge("webhook_dead_letters", "Webhooks that were given up.")
}
