package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// scenario is a state of the service and the alerts that must fire in it. Every other alert must not.
type scenario struct {
	name   string
	at     string            // when the alerts are looked at
	series map[string]string // values each minute, in promtool's notation
	fires  []firing
}

// firing is an alert with the labels that its expression leaves.
type firing struct{ alert, label, value string }

// healthy is a service with traffic, without trouble.
func healthy() map[string]string {
	s := map[string]string{
		`up{job="millrace",instance="a"}`:                               `1x600`,
		`up{job="other",instance="c"}`:                                  `0x600`, // not ours
		`millrace_build_info{job="millrace",instance="a"}`:              `1x600`,
		`millrace_dependency_up{dependency="database"}`:                 `1x600`,
		`millrace_attempts_total{result="refused"}`:                     `0x600`,
		`millrace_objects_gone_total{kind="result"}`:                    `0x600`,
		`millrace_damaged_reads_total{kind="result"}`:                   `0x600`,
		`millrace_digest_mismatches_total{kind="part"}`:                 `0x600`,
		`millrace_circuit_opens_total{dependency="queue"}`:              `0+0.1x600`,
		`millrace_installation_state{state="owned"}`:                    `1x600`,
		`millrace_installation_state{state="copy"}`:                     `0x600`,
		`millrace_installation_state{state="disputed"}`:                 `0x600`,
		`millrace_installation_state{state="stranger"}`:                 `0x600`,
		`millrace_installation_state{state="unknown"}`:                  `0x600`,
		`millrace_sweep_stopped`:                                        `0x600`,
		`millrace_oldest_queued_seconds`:                                `1x600`,
		`millrace_predictions{status="queued"}`:                         `2x600`,
		`millrace_queue_observed_timestamp_seconds`:                     `0+60x600`,
		`millrace_worker_heartbeat_timestamp_seconds{instance="a"}`:     `0+60x600`,
		`millrace_workers{instance="a"}`:                                `2x600`,
		`millrace_dead_letters`:                                         `0x600`,
		`millrace_webhook_lag_seconds`:                                  `100x600`, // one attempt has failed
		`millrace_webhook_dead_letters`:                                 `0x600`,
		`millrace_lease_lost_total`:                                     `0+0.01x600`,
		`millrace_canary_last_success_timestamp_seconds`:                `0+60x600`,
		`millrace_canary_interval_seconds`:                              `60x600`,
		`millrace_canary_mismatch_total`:                                `0x600`,
		`millrace_accounting_mismatch_total`:                            `0x600`,
		`millrace_leaves_differing_rows_total{model="telecom"}`:         `0x600`,
		`millrace_database_connections_acquired{instance="a"}`:          `16x600`, // full for once, but no request waits
		`millrace_database_connections_max{instance="a"}`:               `16x600`,
		`millrace_database_acquire_waits_total{instance="a"}`:           `0x600`,
		`millrace_disk_free_bytes{instance="a"}`:                        `50x600`,
		`millrace_disk_size_bytes{instance="a"}`:                        `100x600`,
		`millrace_disk_free_bytes{instance="b"}`:                        `0x600`, // not known
		`millrace_disk_size_bytes{instance="b"}`:                        `0x600`,
		`millrace_memory_used_bytes{instance="a"}`:                      `80x600`,
		`millrace_memory_limit_bytes{instance="a"}`:                     `100x600`,
		`millrace_memory_used_bytes{instance="b"}`:                      `99x600`,
		`millrace_memory_limit_bytes{instance="b"}`:                     `1e30x600`,
		`millrace_aws_calls_total{service="s3",result="done"}`:          `0+100x600`,
		`millrace_aws_calls_total{service="s3",result="failed"}`:        `0+1x600`,
		`millrace_bundles_refused{instance="a"}`:                        `0x600`,
		`millrace_model_fetches_total{result="fetched"}`:                `0+1x600`,
		`millrace_model_fetches_total{result="missing"}`:                `0x600`,
		`millrace_latest_score_psi{model="telecom"}`:                    `0.05x600`,
		`millrace_model_score_psi{model="telecom",version="1"}`:         `0.2x600`,
		`millrace_model_calibration_error{model="telecom",version="1"}`: `0.09x600`,
		`millrace_scored_rows_total{model="telecom",band="low"}`:        `0+1000x600`,
	}
	return traffic(s, 1000, 0)
}

// traffic adds so many requests and predictions a minute, of which a share is bad in every way.
func traffic(s map[string]string, perMinute, bad float64) map[string]string {
	count := func(n float64) string { return fmt.Sprintf("0+%gx600", n) }
	good, failed := count(perMinute*(1-bad)), count(perMinute*bad)
	const route = `route="/predictions"`
	s[`millrace_http_requests_total{`+route+`,status="200"}`] = good
	s[`millrace_http_requests_total{`+route+`,status="500"}`] = failed
	s[`millrace_http_requests_total{route="/health",status="500"}`] = count(perMinute) // no objective counts probes
	s[`millrace_http_request_duration_seconds_count{`+route+`}`] = count(perMinute)
	s[`millrace_http_request_duration_seconds_bucket{`+route+`,le="0.05"}`] = good
	s[`millrace_http_request_duration_seconds_bucket{`+route+`,le="0.1"}`] = good
	s[`millrace_http_request_duration_seconds_count{route="/upload"}`] = count(perMinute) // and none the time of a body
	for class, limit := range map[string]string{"10k": "2", "100k": "10.0"} {
		labels := `size_class="` + class + `",result="completed"`
		s[`millrace_prediction_duration_seconds_count{`+labels+`}`] = count(perMinute)
		s[`millrace_prediction_duration_seconds_bucket{`+labels+`,le="`+limit+`"}`] = good
	}
	return s
}

// but changes some series of a state; no values remove one.
func but(s map[string]string, changes ...string) map[string]string {
	for i := 0; i < len(changes); i += 2 {
		if s[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(s, changes[i])
		}
	}
	return s
}

// each is an alert for each objective.
func each(alert string) (list []firing) {
	for _, o := range objectives {
		list = append(list, firing{alert, "objective", o.name})
	}
	return list
}

func scenarios() []scenario {
	allBad := slices.Concat(each("MillraceBudgetBurnsFast"), each("MillraceBudgetBurns"), each("MillraceBudgetWillNotLast"))
	return []scenario{
		{name: "all is well", at: "8h", series: healthy()},
		{name: "everything fails", at: "8h", series: traffic(healthy(), 1000, 0.99), fires: allBad},
		{
			name: "the budget burns nine times too fast: not fast enough for the first page", at: "8h",
			series: traffic(healthy(), 1000, 0.009),
			fires: []firing{
				{"MillraceBudgetBurns", "objective", "availability"},
				{"MillraceBudgetWillNotLast", "objective", "availability"},
			},
		},
		{
			name: "the budget burns twice as fast as it may", at: "8h", series: traffic(healthy(), 1000, 0.002),
			fires: []firing{{"MillraceBudgetWillNotLast", "objective", "availability"}},
		},
		{name: "everything fails, but there is next to nothing", at: "8h", series: traffic(healthy(), 0.008, 1)},
		{
			name: "it has just begun: the short window is bad, the long one is not", at: "8h",
			series: but(healthy(), `millrace_http_requests_total{route="/predictions",status="500"}`, `0x474 500x60`),
		},
		{
			name: "every small file is given up, none is completed", at: "8h",
			series: but(healthy(),
				`millrace_prediction_duration_seconds_count{size_class="10k",result="completed"}`, "",
				`millrace_prediction_duration_seconds_bucket{size_class="10k",result="completed",le="2"}`, "",
				`millrace_prediction_duration_seconds_count{size_class="10k",result="dead"}`, `0+1x600`),
			fires: []firing{
				{"MillraceBudgetBurnsFast", "objective", "freshness-10k"},
				{"MillraceBudgetBurns", "objective", "freshness-10k"},
				{"MillraceBudgetWillNotLast", "objective", "freshness-10k"},
			},
		},
		{name: "nothing is there", at: "10m", fires: []firing{{alert: "MillraceDown"}}},
		trouble("MillraceInstanceDown", "instance", "b", `up{job="apps/millrace",instance="b"}`, `0x600`),
		{
			name: "a process of a job with another name vanishes", at: "1h30m", series: but(healthy(),
				`up{job="pods",instance="b"}`, `1x70 0x600`, `millrace_build_info{job="pods",instance="b"}`, `1x70 stale`),
			fires: []firing{{"MillraceInstanceDown", "instance", "b"}},
		},
		{
			name: "a process is removed from what is scraped", at: "1h30m", series: but(healthy(),
				`up{job="millrace",instance="b"}`, `1x70 stale`,
				`millrace_build_info{job="millrace",instance="b"}`, `1x70 stale`),
		},
		trouble("MillraceDependencyDown", "dependency", "database", `millrace_dependency_up{dependency="database"}`, `0x600`),
		trouble("MillraceProcessCutOff", "instance", "b",
			`millrace_dependency_up{dependency="database",instance="b"}`, `0x600`),
		trouble("MillraceFilesRefused", "", "", `millrace_attempts_total{result="refused"}`, `0x60 1x600`),
		trouble("MillraceFilesGone", "kind", "result", `millrace_objects_gone_total{kind="result"}`, `0x60 1x600`),
		trouble("MillraceFilesDamaged", "kind", "result", `millrace_damaged_reads_total{kind="result"}`, `0x60 1x600`),
		trouble("MillraceBitsFlipped", "kind", "part", `millrace_digest_mismatches_total{kind="part"}`, `0x60 1x600`),
		{
			name: "the queue does not answer: requests are served", at: "1h30m",
			series: but(healthy(), `millrace_dependency_up{dependency="queue"}`, `0x600`),
		},
		trouble("MillraceCircuitOpens", "dependency", "queue",
			`millrace_circuit_opens_total{dependency="queue"}`, `0+3x600`),
		{
			name: "a dependency was unavailable for a minute", at: "1h30m",
			series: but(healthy(), `millrace_circuit_opens_total{dependency="queue"}`, `0x86 40x600`),
		},
		trouble("MillraceStoreNotOwned", "state", "copy", `millrace_installation_state{state="copy"}`, `1x600`),
		trouble("MillraceStoreNotOwned", "state", "disputed", `millrace_installation_state{state="disputed"}`, `1x600`),
		trouble("MillraceStoreNotOwned", "state", "stranger", `millrace_installation_state{state="stranger"}`, `1x600`),
		{
			name: "the object store could not be asked at the start", at: "1h",
			series: but(healthy(), `millrace_installation_state{state="unknown"}`, `1x600`),
		},
		trouble("MillraceSweepStopped", "", "", `millrace_sweep_stopped`, `1x600`),
		trouble("MillraceQueueOld", "", "", `millrace_oldest_queued_seconds`, `31x600`),
		trouble("MillraceQueueUnknown", "", "", `millrace_queue_observed_timestamp_seconds`, `0+60x50 3000x600`),
		{
			name: "no worker", at: "1h", series: but(healthy(),
				`millrace_worker_heartbeat_timestamp_seconds{instance="a"}`, `0+60x50 3000x600`),
			fires: []firing{{alert: "MillraceNoWorker"}, {"MillraceWorkerSilent", "instance", "a"}},
		},
		trouble("MillraceWorkerSilent", "instance", "b",
			`millrace_worker_heartbeat_timestamp_seconds{instance="b"}`, `0+60x50 3000x600`,
			`millrace_workers{instance="b"}`, `2x600`,
			`millrace_worker_heartbeat_timestamp_seconds{instance="api"}`, `0x600`,
			`millrace_workers{instance="api"}`, `0x600`),
		trouble("MillraceDeadLetters", "", "", `millrace_dead_letters`, `1x600`),
		trouble("MillraceWebhooksLate", "", "", `millrace_webhook_lag_seconds`, `901x600`),
		trouble("MillraceWebhooksGivenUp", "", "", `millrace_webhook_dead_letters`, `1x600`),
		trouble("MillraceLeasesLost", "", "", `millrace_lease_lost_total`, `0+0.2x600`),
		trouble("MillraceCanaryFailed", "", "", `millrace_canary_last_success_timestamp_seconds`, `0+60x50 3000x600`),
		{
			name: "canaries are off", at: "1h", series: but(healthy(),
				`millrace_canary_last_success_timestamp_seconds`, `0x600`, `millrace_canary_interval_seconds`, `0x600`),
		},
		trouble("MillraceCanaryMismatch", "", "", `millrace_canary_mismatch_total`, `0x85 1x600`),
		trouble("MillraceAccountingMismatch", "", "", `millrace_accounting_mismatch_total`, `0x85 1x600`),
		trouble("MillracePoolNearFull", "instance", "a", `millrace_database_acquire_waits_total{instance="a"}`, `0+5x600`),
		trouble("MillraceDiskNearFull", "instance", "a", `millrace_disk_free_bytes{instance="a"}`, `9x600`),
		trouble("MillraceMemoryNearLimit", "instance", "a", `millrace_memory_used_bytes{instance="a"}`, `91x600`),
		trouble("MillraceStorageFails", "service", "s3",
			`millrace_aws_calls_total{service="s3",result="failed"}`, `0+10x600`),
		{
			name: "a call fails where there are few", at: "1h", series: but(healthy(),
				`millrace_aws_calls_total{service="sqs",result="done"}`, `0x600`,
				`millrace_aws_calls_total{service="sqs",result="failed"}`, `0+1x600`),
		},
		trouble("MillraceLeavesDisagrees", "model", "telecom",
			`millrace_leaves_differing_rows_total{model="telecom"}`, `0x85 64x600`),
		trouble("MillraceModelRefused", "", "", `millrace_bundles_refused{instance="a"}`, `1x600`),
		trouble("MillraceModelMissing", "result", "missing",
			`millrace_model_fetches_total{result="missing"}`, `0x85 1x600`),
		trouble("MillraceScoresDrift", "model", "telecom", `millrace_latest_score_psi{model="telecom"}`, `0.3x600`),
		trouble("MillraceModelNotRight", "model", "telecom", `millrace_model_score_psi{model="telecom",version="1"}`, `0.3x600`),
		{
			name: "probabilities that do not come true", at: "1h30m", series: but(healthy(),
				`millrace_model_calibration_error{model="telecom",version="1"}`, `0.15x600`),
			fires: []firing{{"MillraceModelNotRight", "model", "telecom"}},
		},
	}
}

// trouble is a healthy service but for one thing, after two hours.
func trouble(alert, label, value string, changes ...string) scenario {
	return scenario{
		name: alert, at: "1h30m", series: but(healthy(), changes...), fires: []firing{{alert, label, value}},
	}
}

func rulesTestText() string {
	var w strings.Builder
	w.WriteString("# Written by make generate from deploy/generate: edit there. Run it: promtool test rules rules_test.yaml\n")
	w.WriteString("rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n")
	for _, s := range scenarios() {
		s.write(&w)
	}
	return w.String()
}

func (s scenario) write(w *strings.Builder) {
	fmt.Fprintf(w, "  - name: %q\n    interval: 1m\n", s.name)
	if len(s.series) > 0 {
		w.WriteString("    input_series:\n")
	}
	for _, name := range slices.Sorted(maps.Keys(s.series)) {
		fmt.Fprintf(w, "      - {series: '%s', values: '%s'}\n", name, s.series[name])
	}
	w.WriteString("    alert_rule_test:\n")
	for _, a := range alerts {
		fmt.Fprintf(w, "      - eval_time: %s\n        alertname: %s\n", s.at, a.name)
		for i, f := range s.firings(a) {
			if i == 0 {
				w.WriteString("        exp_alerts:\n")
			}
			fmt.Fprintf(w, "          - exp_labels: {severity: %s", a.severity)
			if f.label != "" {
				fmt.Fprintf(w, ", %s: %s", f.label, f.value)
			}
			fmt.Fprintf(w, "}\n            exp_annotations:\n              summary: %s\n              runbook_url: %s\n",
				a.summary, runbook+a.anchor())
		}
	}
}

// firings are those of one alert.
func (s scenario) firings(a alert) (list []firing) {
	for _, f := range s.fires {
		if f.alert == a.name {
			list = append(list, f)
		}
	}
	return list
}
