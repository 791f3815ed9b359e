package metrics

import "github.com/prometheus/client_golang/prometheus"

type webhookMetrics struct {
	Webhooks    *prometheus.CounterVec
	WebhookLag  prometheus.Gauge
	WebhookDead prometheus.Gauge
}

func (m *Metrics) makeWebhooks() {
	m.Webhooks = m.counters("webhook_attempts_total", "Attempts to deliver webhooks by result.", "result")
	for _, result := range []string{"delivered", "failed", "dead"} {
		m.Webhooks.WithLabelValues(result)
	}
	m.WebhookLag = m.gauge("webhook_lag_seconds", "How long the oldest webhook waits to be delivered.")
	m.WebhookDead = m.gauge("webhook_dead_letters", "Webhooks that were given up.")
}
