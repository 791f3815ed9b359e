package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

const (
	perSecond = "ops"
	seconds   = "s"
	share     = "percentunit"
	bytesUnit = "bytes"
	short     = "short"
	rowsUnit  = "rows/s"
)

func objectivesBoard() *dashboard.DashboardBuilder {
	b := board("millrace-objectives", "Millrace: objectives",
		"Service levels, what is left of the month's error budget, and how fast it is being spent."+coarse)
	return with(
		b,
		panel{
			title: "Error budget left this month", unit: share, width: 12, max: 1, signed: true,
			about: "1: nothing was spent. 0: all of it. Below 0: the objective of the last 30 days is missed.",
			queries: []query{q("1 - millrace:objective_errors:ratio_rate30d / on (objective) millrace:objective_budget:ratio",
				"{{objective}}")},
		},
		panel{
			title: "Speed of spending (1 h)", unit: short, width: 12, limit: 14.4,
			about:   "1 is as fast as the budget allows; 14.4 pages.",
			queries: []query{q("millrace:objective_errors:ratio_rate1h / on (objective) millrace:objective_budget:ratio", "{{objective}}")},
		},
		panel{
			title: "Requests by status", unit: perSecond, width: 8,
			queries: []query{q("sum by (status) (rate(millrace_http_requests_total[5m]))", "{{status}}")},
		},
		panel{
			title: "Errors by code", unit: perSecond, width: 8, about: "docs: /errors/{code}",
			queries: []query{q("sum by (code) (rate(millrace_http_errors_total[5m]))", "{{code}}")},
		},
		panel{
			title: "Requests being answered", unit: short, width: 8,
			queries: []query{q("sum(millrace_http_requests_in_flight)", "requests")},
		},
		panel{
			title: "P95 by route", unit: seconds, width: 12, limit: 0.1,
			about:   "Control routes promise 100 ms, queries 50 ms. Routes with a body or a stream take as long as the client.",
			queries: []query{q(quantile("0.95", "millrace_http_request_duration_seconds", userRoutes, "route"), "{{route}}")},
		},
		panel{
			title: "Requests by route", unit: perSecond, width: 12,
			queries: []query{q("sum by (route) (rate(millrace_http_requests_total[5m]))", "{{route}}")},
		},
		panel{
			title: "Canary", unit: seconds, width: 12, limit: 2,
			about: "A known file of 1,000 rows that goes the way of a customer's: latency at zero traffic.",
			queries: []query{
				q(quantile("0.5", "millrace_canary_duration_seconds", "", ""), "P50"),
				q("time() - max(millrace_canary_last_success_timestamp_seconds)", "since the last good one"),
			},
		},
		panel{
			title: "What must stay 0", unit: short, width: 12,
			queries: []query{
				q("sum(increase(millrace_canary_mismatch_total[1h]))", "canary mismatches"),
				q("sum(increase(millrace_accounting_mismatch_total[1h]))", "rows that do not add up"),
				q(`sum(increase(millrace_canary_runs_total{result="failed"}[1h]))`, "failed canaries"),
			},
		},
	)
}

func pipelineBoard() *dashboard.DashboardBuilder {
	b := board("millrace-pipeline", "Millrace: pipeline",
		"Stages side by side. The bottleneck is the stage whose utilisation is 1; the queue in front of it is full."+coarse)
	return with(
		b,
		panel{
			title: "Utilisation of the cores", unit: share, width: 12, max: 1,
			about: "Share of the cores' time that goes into each stage of a chunk. Together 1: the cores are the bottleneck.",
			queries: []query{
				q(`sum by (stage) (rate(millrace_stage_busy_seconds_total{stage=~"parse|score|explain|encode"}[1m]))`+
					` / on () group_left () sum(millrace_worker_cores)`, "{{stage}}"),
				q(`sum(rate(millrace_stage_busy_seconds_total{stage=~"parse|score|explain|encode"}[1m]))`+
					` / sum(millrace_worker_cores)`, "all of a core's stages"),
			},
		},
		panel{
			title: "Utilisation of what each part has one of", unit: share, width: 12,
			about: "Reader (chunk), writer (put) and commit (copy) over the parts that may be in hand. Near 1: storage is the bottleneck.",
			queries: []query{q(`sum by (stage) (rate(millrace_stage_busy_seconds_total{stage=~"chunk|put|copy"}[1m]))`+
				` / on () group_left () sum(millrace_workers)`, "{{stage}}")},
		},
		panel{
			title: "Queues inside the pipeline", unit: share, width: 12, max: 1,
			about: "How full: parse is what waits for a core, put is what waits for the writer.",
			queries: []query{q("sum by (stage) (millrace_stage_queue_depth) / (sum by (stage) (millrace_stage_queue_capacity) > 0)",
				"in front of {{stage}}")},
		},
		panel{
			title: "In flight", unit: short, width: 12, about: "Chunks that a stage works on; parts in copy.",
			queries: []query{q("sum by (stage) (millrace_stage_in_flight)", "{{stage}}")},
		},
		panel{
			title: "Rows per busy second", unit: rowsUnit, width: 12,
			about:   "How fast a stage is while it works, however idle the service. A fall is a slower stage, not less traffic.",
			queries: []query{q("millrace:stage_rows_per_busy_second:rate5m", "{{stage}}")},
		},
		panel{
			title: "Rows", unit: rowsUnit, width: 12,
			queries: []query{q(`sum by (stage, outcome) (rate(millrace_stage_rows_total{stage=~"parse|copy"}[1m]))`,
				"{{stage}} {{outcome}}")},
		},
		panel{
			title: "A core's time for a chunk", unit: seconds, width: 8,
			queries: []query{
				q(quantile("0.5", "millrace_chunk_duration_seconds", "", ""), "P50"),
				q(quantile("0.95", "millrace_chunk_duration_seconds", "", ""), "P95"),
			},
		},
		panel{
			title: "Workers", unit: short, width: 8,
			queries: []query{
				q("sum(millrace_workers_busy)", "with a part in hand"), q("sum(millrace_workers)", "all"),
			},
		},
		panel{
			title: "Since a stage last succeeded", unit: seconds, width: 8,
			queries: []query{q("time() - max by (stage) (millrace_stage_last_success_timestamp_seconds)", "{{stage}}")},
		},
	)
}

func predictionsBoard() *dashboard.DashboardBuilder {
	b := board("millrace-predictions", "Millrace: predictions",
		"How long files wait and run, and how attempts at their parts end."+coarse)
	return with(
		b,
		panel{
			title: "Unfinished", unit: short, width: 8,
			queries: []query{q("max by (status) (millrace_predictions)", "{{status}}")},
		},
		panel{
			title: "Oldest queued", unit: seconds, width: 8, limit: 5, about: "The promise is 5 s.",
			queries: []query{q("max(millrace_oldest_queued_seconds)", "age")},
		},
		panel{
			title: "Given up and suspects", unit: short, width: 8,
			about:   "The operator's list: /dead-letters of the admin listener. Suspects run alone, as their worker ended.",
			queries: []query{q("max(millrace_dead_letters)", "dead letters"), q("max(millrace_suspects)", "suspects")},
		},
		panel{
			title: "From acceptance to the end, P95 by size", unit: seconds, width: 12, limit: 2,
			about:   "Promised: 2 s up to 10,000 rows, 10 s up to 100,000.",
			queries: []query{q(quantile("0.95", "millrace_prediction_duration_seconds", "", "size_class"), "{{size_class}}")},
		},
		panel{
			title: "Waiting and first result, P95", unit: seconds, width: 12,
			queries: []query{
				q(quantile("0.95", "millrace_prediction_queue_wait_seconds", "", ""), "wait for a worker"),
				q(quantile("0.95", "millrace_time_to_first_result_seconds", "", ""), "first rows readable"),
			},
		},
		panel{
			title: "Finished", unit: perSecond, width: 12,
			queries: []query{q("sum by (size_class, result) (rate(millrace_prediction_duration_seconds_count[5m]))",
				"{{size_class}} {{result}}")},
		},
		panel{
			title: "Attempts at parts", unit: perSecond, width: 12,
			queries: []query{q("sum by (result) (rate(millrace_attempts_total[5m]))", "{{result}}")},
		},
		panel{
			title: "A part, from its claim to its commit", unit: seconds, width: 8,
			queries: []query{
				q(quantile("0.5", "millrace_part_duration_seconds", "", ""), "P50"),
				q(quantile("0.95", "millrace_part_duration_seconds", "", ""), "P95"),
			},
		},
		panel{
			title: "Claims that were lost", unit: short, width: 8,
			queries: []query{
				q("sum(increase(millrace_lease_lost_total[30m]))", "leases lost"),
				q("sum(increase(millrace_epochs_fenced_total[30m]))", "of these: writes refused"),
			},
		},
		panel{
			title: "Since a worker reached the ledger", unit: seconds, width: 8, limit: 60,
			queries: []query{q("time() - (millrace_worker_heartbeat_timestamp_seconds and on (instance) millrace_workers > 0)",
				"{{instance}}")},
		},
		panel{
			title: "Oldest webhook that waits", unit: seconds, width: 8, limit: 900,
			queries: []query{q("max(millrace_webhook_lag_seconds)", "age")},
		},
		panel{
			title: "Attempts to deliver webhooks", unit: perSecond, width: 8,
			queries: []query{q("sum by (result) (rate(millrace_webhook_attempts_total[5m]))", "{{result}}")},
		},
		panel{
			title: "Webhooks given up", unit: short, width: 8, about: "Sent again by POST /webhooks/retry of the admin listener.",
			queries: []query{q("max(millrace_webhook_dead_letters)", "given up")},
		},
	)
}

func dependenciesBoard() *dashboard.DashboardBuilder {
	b := board("millrace-dependencies", "Millrace: dependencies", "PostgreSQL, S3, SQS, memory and disk.")
	return with(
		b,
		panel{
			title: "Up", unit: short, width: 8, max: 1,
			queries: []query{q("min by (dependency) (millrace_dependency_up)", "{{dependency}}")},
		},
		panel{
			title: "Whose the object store is", unit: short, width: 8, max: 1, about: "Objects are deleted as owned only.",
			queries: []query{q("max by (state) (millrace_installation_state)", "{{state}}")},
		},
		panel{
			title: "Waiting to be deleted", unit: short, width: 8, about: "millrace store orphans lists the second.",
			queries: []query{
				q("max(millrace_deletions_waiting)", "deletions"), q("max(millrace_orphan_objects)", "orphans"),
			},
		},
		panel{
			title: "Database connections in use", unit: share, width: 8, max: 1,
			queries: []query{q("millrace_database_connections_acquired / millrace_database_connections_max", "{{instance}}")},
		},
		panel{
			title: "Wait for a connection", unit: seconds, width: 8, about: "Mean over all that were handed out.",
			queries: []query{q("sum by (instance) (rate(millrace_database_acquire_wait_seconds_total[5m]))"+
				" / sum by (instance) (rate(millrace_database_acquires_total[5m]))", "{{instance}}")},
		},
		panel{
			title: "COPY", unit: rowsUnit, width: 8, about: "Rows per second of commit.",
			queries: []query{q(`millrace:stage_rows_per_busy_second:rate5m{stage="copy"}`, "rows")},
		},
		panel{
			title: "Calls of S3 and SQS", unit: perSecond, width: 8,
			queries: []query{q("sum by (service, operation) (rate(millrace_aws_calls_total[5m]))", "{{service}} {{operation}}")},
		},
		panel{
			title: "Retries and failures", unit: perSecond, width: 8,
			queries: []query{
				q("sum by (service) (rate(millrace_aws_retries_total[5m]))", "{{service}} retries"),
				q(`sum by (service, operation) (rate(millrace_aws_calls_total{result="failed"}[5m]))`,
					"{{service}} {{operation}} failed"),
			},
		},
		panel{
			title: "Mean time of a call", unit: seconds, width: 8, about: "ReceiveMessage waits up to 20 s by design.",
			queries: []query{q(`sum by (service, operation) (rate(millrace_aws_call_seconds_total{operation!="ReceiveMessage"}[5m]))`+
				` / sum by (service, operation) (rate(millrace_aws_calls_total{operation!="ReceiveMessage"}[5m]))`,
				"{{service}} {{operation}}")},
		},
		panel{
			title: "Memory", unit: bytesUnit, width: 8,
			queries: []query{
				q("millrace_memory_used_bytes", "{{instance}} used"), q("millrace_memory_limit_bytes < +Inf", "{{instance}} limit"),
			},
		},
		panel{
			title: "Disk of the data directory", unit: share, width: 8, max: 1,
			queries: []query{q("1 - millrace_disk_free_bytes / (millrace_disk_size_bytes > 0)", "{{instance}} used")},
		},
		panel{
			title: "Circuits", unit: short, width: 12, max: 2, about: "0: calls go through. 1: one as a trial. 2: they are refused.",
			queries: []query{q("max by (dependency) (millrace_circuit_state)", "{{dependency}}")},
		},
		panel{
			title: "Calls stopped by a breaker", unit: perSecond, width: 12, about: "After failures in a row, and each failed trial.",
			queries: []query{q("sum by (dependency, instance) (rate(millrace_circuit_opens_total[5m]))", "{{instance}} {{dependency}}")},
		},
		panel{
			title: "Outbox entries not sent to the queue", unit: short, width: 12,
			queries: []query{q("max(millrace_outbox_letters)", "letters")},
		},
		panel{
			title: "Request bodies", unit: "Bps", width: 12,
			queries: []query{q("sum(rate(millrace_http_body_bytes_total[5m]))", "read")},
		},
	)
}

func modelsBoard() *dashboard.DashboardBuilder {
	b := board("millrace-models", "Millrace: models", "What is in use, what it says, and how far the data is from its training.")
	return with(
		b,
		panel{
			title: "In use", unit: short, width: 8,
			queries: []query{q("count by (model, version) (millrace_model_info)", "{{model}} {{version}}")},
		},
		panel{
			title: "Time to load and check", unit: seconds, width: 8,
			queries: []query{q("max by (model) (millrace_model_load_seconds)", "{{model}}")},
		},
		panel{
			title: "Bundles refused", unit: short, width: 8,
			queries: []query{
				q("max(millrace_bundles_refused)", "refused"),
				q("sum by (result) (increase(millrace_model_fetches_total[1h]))", "kept models read: {{result}}"),
				q("sum by (model) (increase(millrace_leaves_differing_rows_total[1h]))", "{{model}}: rows that leaves scores differently"),
			},
		},
		panel{
			title: "Rows by risk band", unit: rowsUnit, width: 12,
			queries: []query{q("sum by (model, band) (rate(millrace_scored_rows_total[5m]))", "{{model}} {{band}}")},
		},
		panel{
			title: "Mean probability of the latest prediction", unit: share, width: 12, max: 1,
			queries: []query{q("max by (model) (millrace_latest_mean_probability)", "{{model}}")},
		},
		panel{
			title: "Distance of the scores from training", unit: short, width: 12, limit: 0.25,
			about:   "Population stability index of the latest prediction of 500 rows or more: above 0.1 moderate, above 0.25 large.",
			queries: []query{q("max by (model) (millrace_latest_score_psi)", "{{model}}")},
		},
		panel{
			title: "Distance of the columns from training", unit: short, width: 12, limit: 0.25,
			queries: []query{q("topk(10, max by (model, feature) (millrace_latest_feature_psi))", "{{model}} {{feature}}")},
		},
		panel{
			title: "Rejected rows by code", unit: rowsUnit, width: 12,
			queries: []query{q("sum by (code) (rate(millrace_rejects_total[5m]))", "{{code}}")},
		},
		panel{
			title: "Share of rows rejected", unit: share, width: 12, max: 1,
			queries: []query{q(`sum(rate(millrace_stage_rows_total{stage="parse",outcome="rejected"}[5m]))`+
				` / sum(rate(millrace_stage_rows_total{stage="parse"}[5m]))`, "rejected")},
		},
	)
}

func modelHealthBoard() *dashboard.DashboardBuilder {
	b := board("millrace-model-health", "Millrace: are the models still right?",
		"Of all users: uploads of the last 30 days, and outcomes of customers scored in this month or the five before. "+
			"A figure of too few rows is not shown; GET /models/{name}/health has the months and columns.")
	each := func(metric string) []query {
		return []query{q("max by (model, version) (millrace_model_"+metric+")", "{{model}} {{version}}")}
	}
	return with(
		b,
		panel{
			title: "Distance of the scores from training", unit: short, width: 12, limit: 0.25, queries: each("score_psi"),
			about: "Population stability index: calm below 0.1, watch up to 0.25, changed above.",
		},
		panel{
			title: "Most distant column", unit: short, width: 12, limit: 0.25, queries: each("column_psi"),
			about: "The same of the column that is farthest from the training.",
		},
		panel{title: "Share of rows rejected", unit: share, width: 12, max: 1, queries: each("rejected_ratio")},
		panel{
			title: "Share of unseen categories", unit: share, width: 12, max: 1, queries: each("unseen_ratio"),
			about: "Of the column with the most.",
		},
		panel{
			title: "AUC", unit: short, width: 8, max: 1, queries: each("auc"),
			about: "1: all who left were above all who stayed. 0.5: no better than chance.",
		},
		panel{
			title: "Calibration error", unit: share, width: 8, limit: 0.1, queries: each("calibration_error"),
			about: "How far probabilities are from what happened, on average.",
		},
		panel{
			title: "Lift of the top tenth", unit: short, width: 8, queries: each("lift"),
			about: "Churn rate of the tenth with the highest probabilities divided by that of all. 1: no better than chance.",
		},
	)
}
