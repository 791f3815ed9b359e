package main

import (
	"fmt"
	"strings"
)

// runbook is the page that every alert links to.
const runbook = "https://github.com/retainwise/millrace/blob/main/docs/operations.md#"

type alert struct {
	name     string
	severity string // page: now; ticket: in working hours
	expr     string
	wait     string // for
	summary  string
	labels   []string // that the expression leaves
}

// burn is an alert on the speed at which the budget of an objective is spent: over a long window, and over a short one so
// that it ends soon after the trouble.
func burn(name, severity, factor, long, short, wait, summary string) alert {
	over := func(window string) string {
		return fmt.Sprintf("millrace:objective_errors:ratio_rate%s > on (objective) %s * millrace:objective_budget:ratio",
			window, factor)
	}
	return alert{
		name: name, severity: severity, wait: wait, summary: summary, labels: []string{"objective"},
		expr: fmt.Sprintf("%s\nand %s\nand on (objective) millrace:objective_events:increase%s >= on (objective) "+
			"millrace:objective_events_least:count", over(long), over(short), long),
	}
}

var alerts = []alert{
	burn("MillraceBudgetBurnsFast", "page", "14.4", "1h", "5m", "2m",
		"At this speed a month's error budget is gone in two days"),
	burn("MillraceBudgetBurns", "page", "6", "6h", "30m", "15m",
		"At this speed a month's error budget is gone in five days"),
	burn("MillraceBudgetWillNotLast", "ticket", "1", "3d", "6h", "1h",
		"At this speed the error budget does not last the month"),
	{
		name: "MillraceDown", severity: "page", wait: "1m", summary: "No millrace is being scraped",
		expr: `absent(millrace_build_info)`,
	},
	{
		// By the job's name where it has ours, else by what the target exported before.
		name: "MillraceInstanceDown", severity: "ticket", wait: "1m", labels: []string{"instance"},
		summary: "One process cannot be scraped",
		expr: "max by (instance) (up{job=~\".*millrace.*\"} == 0\n" +
			"  or up == 0 and on (job, instance) last_over_time(millrace_build_info[1h]))",
	},
	{
		name: "MillraceDependencyDown", severity: "page", wait: "1m", labels: []string{"dependency"},
		summary: "A dependency does not answer any process", // the queue is not needed to serve
		expr:    `max by (dependency) (millrace_dependency_up{dependency!="queue"}) == 0`,
	},
	{
		name: "MillraceProcessCutOff", severity: "ticket", wait: "1m", labels: []string{"instance"},
		summary: "One process does not reach what others reach",
		expr: "min by (instance) (millrace_dependency_up{dependency!=\"queue\"} == 0\n" +
			"  and on (dependency) max by (dependency) (millrace_dependency_up) == 1)",
	},
	{
		name: "MillraceCircuitOpens", severity: "ticket", wait: "10m", labels: []string{"dependency"},
		summary: "A process goes on failing to reach a dependency",
		expr:    `max by (dependency) (increase(millrace_circuit_opens_total[5m])) >= 3`,
	},
	{
		name: "MillraceStoreNotOwned", severity: "page", wait: "2m", labels: []string{"state"},
		summary: "Database and object store disagree, and nothing is deleted",
		expr:    `max by (state) (millrace_installation_state{state=~"copy|disputed|stranger"}) > 0`,
	},
	{
		name: "MillraceSweepStopped", severity: "ticket", wait: "1m",
		summary: "The sweep of the object store found something unusual and waits for an operator",
		expr:    `max(millrace_sweep_stopped) > 0`,
	},
	{
		name: "MillraceQueueOld", severity: "page", wait: "2m", summary: "Predictions wait too long for a worker",
		expr: "max(millrace_oldest_queued_seconds) > 30\nand max(millrace_predictions{status=\"queued\"}) >= 1",
	},
	{
		name: "MillraceQueueUnknown", severity: "page", wait: "1m", summary: "The state of the queue is unknown",
		expr: `time() - max(millrace_queue_observed_timestamp_seconds) > 60`,
	},
	{
		name: "MillraceNoWorker", severity: "page", wait: "1m", summary: "No worker has reached the ledger for a minute",
		expr: `time() - max(millrace_worker_heartbeat_timestamp_seconds) > 60`,
	},
	{
		name: "MillraceWorkerSilent", severity: "ticket", wait: "2m", labels: []string{"instance"},
		summary: "One worker has not reached the ledger for two minutes",
		expr: "time() - max by (instance) (millrace_worker_heartbeat_timestamp_seconds) > 120\n" +
			"and max by (instance) (millrace_workers) > 0",
	},
	{
		name: "MillraceDeadLetters", severity: "ticket", wait: "5m", summary: "Predictions were given up",
		expr: `max(millrace_dead_letters) > 0`,
	},
	{
		name: "MillraceWebhooksLate", severity: "ticket", wait: "5m",
		summary: "A webhook has not been delivered for a quarter of an hour",
		expr:    `max(millrace_webhook_lag_seconds) > 900`,
	},
	{
		name: "MillraceWebhooksGivenUp", severity: "ticket", wait: "5m", summary: "Webhooks were given up",
		expr: `max(millrace_webhook_dead_letters) > 0`,
	},
	{
		name: "MillraceLeasesLost", severity: "ticket", wait: "0s", summary: "Workers lose the parts they work on",
		expr: `sum(increase(millrace_lease_lost_total[30m])) >= 5`,
	},
	{
		name: "MillraceCanaryFailed", severity: "page", wait: "2m", summary: "No canary has come through",
		expr: "time() - max(millrace_canary_last_success_timestamp_seconds) > 5 * max(millrace_canary_interval_seconds)\n" +
			"and max(millrace_canary_interval_seconds) > 0",
	},
	{
		name: "MillraceCanaryMismatch", severity: "page", wait: "0s", summary: "A canary's result has wrong bytes",
		expr: `sum(increase(millrace_canary_mismatch_total[15m])) > 0`,
	},
	{
		name: "MillraceAccountingMismatch", severity: "page", wait: "0s", summary: "Rows did not add up",
		expr: `sum(increase(millrace_accounting_mismatch_total[15m])) > 0`,
	},
	{
		name: "MillraceLeavesDisagrees", severity: "page", wait: "0s", labels: []string{"model"},
		summary: "Leaves scores rows differently than the compiled engine",
		expr:    `sum by (model) (increase(millrace_leaves_differing_rows_total[15m])) > 0`,
	},
	{
		name: "MillracePoolNearFull", severity: "ticket", wait: "5m", labels: []string{"instance"},
		summary: "Callers wait for database connections",
		expr: "max by (instance) (millrace_database_connections_acquired / millrace_database_connections_max) > 0.9\n" +
			"and max by (instance) (increase(millrace_database_acquire_waits_total[5m])) >= 10",
	},
	{
		name: "MillraceDiskNearFull", severity: "page", wait: "10m", labels: []string{"instance"},
		summary: "Less than a tenth of the data directory's disk is free",
		expr:    `max by (instance) (millrace_disk_free_bytes / (millrace_disk_size_bytes > 0)) < 0.1`,
	},
	{
		name: "MillraceMemoryNearLimit", severity: "ticket", wait: "10m", labels: []string{"instance"},
		summary: "The process holds nine tenths of the memory that it may",
		expr:    `max by (instance) (millrace_memory_used_bytes / millrace_memory_limit_bytes) > 0.9`,
	},
	{
		name: "MillraceStorageFails", severity: "page", wait: "5m", labels: []string{"service"},
		summary: "More than one in twenty calls of a service fail, with all their retries",
		expr: "sum by (service) (rate(millrace_aws_calls_total{result=\"failed\"}[5m]))\n" +
			"  / sum by (service) (rate(millrace_aws_calls_total[5m])) > 0.05\n" +
			"and sum by (service) (increase(millrace_aws_calls_total{result=\"failed\"}[5m])) >= 10",
	},
	{
		name: "MillraceFilesRefused", severity: "ticket", wait: "5m",
		summary: "The object store refuses some files and gives others",
		expr:    `sum(increase(millrace_attempts_total{result="refused"}[2h])) >= 1`,
	},
	{
		name: "MillraceFilesGone", severity: "ticket", wait: "0s", labels: []string{"kind"},
		summary: "Files that should be stored are not there",
		expr:    `sum by (kind) (increase(millrace_objects_gone_total[1h])) > 0`,
	},
	{
		name: "MillraceFilesDamaged", severity: "page", wait: "0s", labels: []string{"kind"},
		summary: "Stored bytes are not those that were written, whenever they are read",
		expr:    `sum by (kind) (increase(millrace_damaged_reads_total[1h])) > 0`,
	},
	{
		name: "MillraceBitsFlipped", severity: "ticket", wait: "0s", labels: []string{"kind"},
		summary: "Stored bytes were not those that were written, and some were right when they were read again",
		expr:    `sum by (kind) (increase(millrace_digest_mismatches_total[1h])) > 0`,
	},
	{
		name: "MillraceModelRefused", severity: "ticket", wait: "0s", summary: "A bundle failed its checks",
		expr: `max(millrace_bundles_refused) > 0`,
	},
	{
		name: "MillraceModelMissing", severity: "page", wait: "0s", labels: []string{"result"},
		summary: "Predictions wait for a model that cannot be had",
		expr:    `sum by (result) (increase(millrace_model_fetches_total{result!="fetched"}[10m])) > 0`,
	},
	{
		name: "MillraceScoresDrift", severity: "ticket", wait: "1h", labels: []string{"model"},
		summary: "The scores of a model are far from those of its training",
		expr: "max by (model) (millrace_latest_score_psi) > 0.25\n" +
			"and sum by (model) (increase(millrace_scored_rows_total[6h])) >= 5000",
	},
	{
		name: "MillraceModelNotRight", severity: "ticket", wait: "1h", labels: []string{"model"},
		summary: "Over a month a model's scores are far from its training, or its probabilities from what happened",
		expr: "max by (model) (millrace_model_score_psi) > 0.25\n" +
			"or max by (model) (millrace_model_calibration_error) > 0.1",
	},
}

// anchor is the heading in the runbook, which is the alert's name.
func (a alert) anchor() string { return strings.ToLower(a.name) }

// windows that alerts look at, and the month that the budget is of.
var windows = []string{"5m", "30m", "1h", "6h", "3d", "30d"}

func rulesText() string {
	var w strings.Builder
	w.WriteString("# Written by make generate from deploy/generate: edit there.\ngroups:\n")
	w.WriteString("  - name: millrace-objectives\n    interval: 30s\n    rules:\n")
	for _, o := range objectives {
		record(&w, "millrace:objective_budget:ratio", fmt.Sprintf("vector(%.4g)", o.budget()), o.name)
		record(&w, "millrace:objective_events_least:count", fmt.Sprintf("vector(%d)", o.least), o.name)
		for _, window := range windows {
			record(&w, "millrace:objective_errors:ratio_rate"+window, o.errors(window), o.name)
			record(&w, "millrace:objective_events:increase"+window, o.events(window), o.name)
		}
	}
	w.WriteString("  - name: millrace-pipeline\n    interval: 30s\n    rules:\n")
	record(&w, "millrace:stage_rows_per_busy_second:rate5m", `sum by (stage) (rate(millrace_stage_rows_total`+
		`{outcome="done"}[5m])) / sum by (stage) (rate(millrace_stage_busy_seconds_total[5m]))`, "")
	w.WriteString("  - name: millrace-alerts\n    rules:\n")
	for _, a := range alerts {
		fmt.Fprintf(&w, "      - alert: %s\n        expr: |-\n%s\n", a.name, indent(a.expr, 10))
		fmt.Fprintf(&w, "        for: %s\n        labels: {severity: %s}\n", a.wait, a.severity)
		fmt.Fprintf(&w, "        annotations:\n          summary: %s\n          runbook_url: %s\n",
			a.summary, runbook+a.anchor())
	}
	return w.String()
}

func record(w *strings.Builder, name, expr, objective string) {
	fmt.Fprintf(w, "      - record: %s\n        expr: |-\n%s\n", name, indent(expr, 10))
	if objective != "" {
		fmt.Fprintf(w, "        labels: {objective: %s}\n", objective)
	}
}

func indent(text string, by int) string {
	pad := strings.Repeat(" ", by)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}
