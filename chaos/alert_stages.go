package main

import "context"

// provocation causes alerts. Add one for each new alert, to a stage with which it can go on at the same time, or to a stage
// of its own; a test compares them with the rules.
type provocation struct {
	alerts []alertID
	how    string // as the table of docs/operations.md says
	root   bool   // what only root can do
	// cause causes the alerts and returns what ends the cause, which is nil or may be called after an error too.
	cause func(ctx context.Context, i *installation) (end func(context.Context) error, err error)
}

// one is the alerts of a provocation that differ in nothing but their names.
func one(names ...string) (list []alertID) {
	for _, name := range names {
		list = append(list, alertID{name: name})
	}
	return list
}

func with(label, value string, names ...string) (list []alertID) {
	for _, name := range names {
		list = append(list, alertID{name, label, value})
	}
	return list
}

// stages follow each other; what is in one happens at the same time. Everything is well before each.
var stages = [][]provocation{
	{{ // first, while there are few good requests to make up for
		alerts: with("objective", "control-latency",
			"MillraceBudgetBurnsFast", "MillraceBudgetBurns", "MillraceBudgetWillNotLast"),
		how: "a slow network to PostgreSQL", cause: slowDatabase,
	}},
	{
		{alerts: one("MillracePoolNearFull"), how: "the same, with many requests", cause: fullPool},
		{alerts: one("MillraceFilesRefused"), how: "uploads that may not be read, while the mark may", cause: refuseUploads},
	},
	{
		{
			alerts: one("MillraceProcessCutOff", "MillraceWorkerSilent"), how: "a worker without a way to PostgreSQL",
			cause: cutWorkerOff,
		},
		{alerts: one("MillraceModelRefused"), how: "a damaged bundle among the bundles", cause: refuseModel},
		{alerts: one("MillraceDiskNearFull"), how: "a data directory on a full tmpfs", root: true, cause: fillDisk},
		{alerts: one("MillraceMemoryNearLimit"), how: "a process with GOMEMLIMIT=20MiB", cause: limitMemory},
		{
			alerts: one("MillraceWebhooksLate", "MillraceWebhooksGivenUp"),
			how:    "a receiver that answers 500 (times and attempts set back in the table)", cause: failWebhooks,
		},
		{alerts: one("MillraceDeadLetters"), how: "a file whose rows PostgreSQL refuses at every attempt", cause: refuseRows},
		{
			alerts: one("MillraceScoresDrift", "MillraceModelNotRight"), how: "files of new customers only",
			cause: driftingFiles,
		},
		{
			alerts: with("kind", "result", "MillraceFilesGone"), how: "a result that is deleted in the bucket, and fetched",
			cause: deleteResult,
		},
		{
			alerts: with("kind", "result", "MillraceFilesDamaged", "MillraceBitsFlipped"),
			how:    "a result with a flipped bit in the bucket, and fetched", cause: flipResult,
		},
		{
			alerts: with("result", "missing", "MillraceModelMissing"), how: "a prediction of a model that is nowhere",
			cause: loseModel,
		},
		{alerts: one("MillraceSweepStopped"), how: "25 old objects that no row knows", cause: plantMany},
	},
	{
		{
			alerts: one("MillraceNoWorker", "MillraceInstanceDown", "MillraceQueueOld", "MillraceCanaryFailed"),
			how:    "both workers killed, and not started again", cause: killWorkers,
		},
		{
			alerts: with("state", "copy", "MillraceStoreNotOwned"), how: "a database that is behind the bucket, as a restored dump is",
			cause: fallBehind,
		},
	},
	{{
		alerts: append(with("dependency", "database", "MillraceDependencyDown"), one("MillraceQueueUnknown")...),
		how:    "PostgreSQL stopped", cause: stopDatabase,
	}},
	{
		{
			alerts: with("dependency", "object_store", "MillraceDependencyDown", "MillraceCircuitOpens"), how: "S3 stopped",
			cause: stopLink("S3"),
		},
		{alerts: with("dependency", "queue", "MillraceCircuitOpens"), how: "SQS stopped", cause: stopLink("SQS")},
	},
	{{alerts: with("service", "s3", "MillraceStorageFails"), how: "S3 answers 500", cause: failStorage}},
	{{alerts: one("MillraceLeasesLost"), how: "workers stopped for longer than a lease, again and again", cause: pauseWorkers}},
	{
		{
			alerts: append(one("MillraceCanaryMismatch", "MillraceAccountingMismatch"),
				alertID{"MillraceLeavesDisagrees", "model", "telecom"}),
			how: "workers of a build with a bug", cause: runBroken,
		},
	},
	{{alerts: one("MillraceDown"), how: "all processes killed, and not started again", cause: killAll}},
}
