package store_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// Every method wraps its error with what it did when the database is gone.
func TestDatabaseGone(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	p := b.upload(1)
	c := b.claim("w")
	key, err := b.Accounts.ClaimKey(t.Context(), b.user.ID, "POST /upload", "key")
	if err != nil {
		t.Fatal(err)
	}
	putAll(t, o, objects.InputKey(store.NewID()))
	b.Close()
	ctx := t.Context()
	calls := map[string]struct {
		says string
		got  error
	}{
		"Ping":                 {"ping database", b.Ping(ctx)},
		"EnsureUser":           {"ensure user", second(b.Accounts.EnsureUser(ctx, "x"))},
		"SetTrainingRate":      {"set training rate", b.Accounts.SetTrainingRate(ctx, 1, 0)},
		"TrainingRate":         {"read training rate", second(b.Ledger.TrainingRate(ctx, 1))},
		"RecordOutcomes":       {"record outcomes", second(b.Predictions.RecordOutcomes(ctx, 1, nil, countRows))},
		"OutcomeReports":       {"list outcome reports", second(b.Predictions.OutcomeReports(ctx, 1, "telecom"))},
		"CreateUpload":         {"create upload", second(b.Predictions.CreateUpload(ctx, newUpload(1, 1)))},
		"EnqueueObject":        {"enqueue object", third(b.Predictions.EnqueueObject(ctx, store.NewObject{}))},
		"Prediction":           {"read prediction", second(b.Predictions.Get(ctx, 1, p.ID))},
		"Predictions":          {"list predictions", second(b.Predictions.List(ctx, 1, store.ListQuery{Limit: 1}))},
		"Ahead":                {"count what is ahead", second(b.Predictions.Ahead(ctx, p))},
		"Cancel":               {"cancel", second(b.Predictions.Cancel(ctx, 1, p.ID))},
		"ClaimPart":            {"claim part", second(b.Ledger.ClaimPart(ctx, "w"))},
		"ClaimFinish":          {"claim finish", second(b.Ledger.ClaimFinish(ctx, "w"))},
		"NextDue":              {"find next due", second(b.Ledger.NextDue(ctx))},
		"RenewLease":           {"renew lease", b.Ledger.RenewLease(ctx, c)},
		"PlanPart":             {"plan part", b.Ledger.PlanPart(ctx, c, store.Plan{})},
		"CommitPart":           {"commit part 0", second(b.score(c, nil))},
		"Parts":                {"list parts", second(b.Ledger.Parts(ctx, c))},
		"Finish":               {"finish", b.finish(c)},
		"FailPart":             {"fail part", b.Ledger.FailPart(ctx, c, store.Failure{})},
		"ReleasePart":          {"give part back", b.Ledger.ReleasePart(ctx, c)},
		"DeadLetters":          {"list dead letters", second(b.Upkeep.DeadLetters(ctx, store.DeadFilter{}, nil, 1))},
		"Attempts":             {"list attempts", second(b.Upkeep.Attempts(ctx, p.ID))},
		"Retry":                {"retry", b.Upkeep.Retry(ctx, p.ID, store.Model{})},
		"ClaimOutbox":          {"claim outbox", second(b.Outbox.Claim(ctx, 1))},
		"DiscardOutbox":        {"discard outbox", b.Outbox.Discard(ctx, []int64{1})},
		"ReleaseOutbox":        {"release outbox", b.Outbox.Release(ctx, []int64{1})},
		"Sweep":                {"sweep", second(b.Outbox.Sweep(ctx, 0))},
		"Rows":                 {"read rows", second(b.Predictions.Rows(ctx, 1, p.ID, store.RowQuery{}))},
		"ClaimSmallPart":       {"claim part", second(b.Ledger.ClaimSmallPart(ctx, "w"))},
		"CancelAny":            {"cancel", second(b.Upkeep.CancelAny(ctx, p.ID))},
		"AccessKeys":           {"list access keys", second(b.Accounts.AccessKeys(ctx, 1))},
		"CreateAccessKey":      {"create access key", second(b.Accounts.CreateAccessKey(ctx, 1, store.AccessKey{}, [32]byte{}, nil))},
		"RevokeAccessKey":      {"revoke access key", b.Accounts.RevokeAccessKey(ctx, 1, p.ID)},
		"UserOfAccessKey":      {"find access key", third(b.Accounts.UserOfAccessKey(ctx, [32]byte{}))},
		"CreateUploadLink":     {"create upload link", b.UploadLinks.Create(ctx, &store.UploadLink{}, time.Hour)},
		"UploadLink":           {"upload link", second(b.UploadLinks.Get(ctx, 1, p.ID))},
		"LinkOfObject":         {"upload link", second(b.UploadLinks.OfObject(ctx, p.ID))},
		"CompleteUpload":       {"complete upload", second(b.UploadLinks.Complete(ctx, store.UploadLink{}, objects.Info{}))},
		"SweepUploadLinks":     {"sweep upload links", b.UploadLinks.Sweep(ctx, 0)},
		"PostponeUploadLink":   {"postpone upload link", b.UploadLinks.Postpone(ctx, p.ID, true)},
		"PostponedLinks":       {"list postponed links", second(b.UploadLinks.Postponed(ctx, nil))},
		"Heartbeat":            {"heartbeat", b.Ledger.Heartbeat(ctx)},
		"EndOverdue":           {"end overdue predictions", second(b.Ledger.EndOverdue(ctx, time.Hour, store.Failure{}))},
		"EnableAnnouncements":  {"enable announcements", b.Announcements.Enable(ctx)},
		"ClaimAnnouncements":   {"claim announcements", second(b.Announcements.Claim(ctx, 1))},
		"DropAnnouncement":     {"drop announcement", b.Announcements.Drop(ctx, 1)},
		"PostponeAnnouncement": {"postpone announcement", b.Announcements.Postpone(ctx, 1, 0, false)},
		"ReviveAnnouncements":  {"revive announcements", second(b.Announcements.Revive(ctx))},
		"AnnouncementBacklog":  {"announcement backlog", third(b.Announcements.Backlog(ctx))},
		"ClaimKey":             {"claim key", second(b.Accounts.ClaimKey(ctx, 1, "r", "k"))},
		"RenewKey":             {"renew key", b.Accounts.RenewKey(ctx, key)},
		"ReleaseKey":           {"release key", b.Accounts.ReleaseKey(ctx, key)},
		"SweepKeys":            {"sweep keys", b.Upkeep.SweepKeys(ctx)},
		"Spend":                {"spend budget", third(b.Accounts.Spend(ctx, store.Budget{Step: 1, Window: 1}))},
		"SweepBudgets":         {"sweep budgets", b.Upkeep.SweepBudgets(ctx)},
		"CustomerIDs":          {"read customer ids", second(b.Ledger.CustomerIDs(ctx, c, []int64{1}))},
		"Previous":             {"find previous prediction", second(b.Ledger.Previous(ctx, c))},
		"ResultRows":           {"find rows in result", third(b.Predictions.ResultRows(ctx, 1, p.ID, []int64{1}))},
		"DeletePrediction":     {"delete prediction", b.Predictions.Delete(ctx, 1, p.ID)},
		"DeleteAccount":        {"delete account", b.Accounts.Delete(ctx, 1)},
		"SweepDeletions":       {"sweep deletions", b.Upkeep.SweepDeletions(ctx, o)},
		"DeleteLater":          {"delete later", b.Predictions.DeleteLater(ctx, 1, p.ID)},
		"Mark":                 {"read the database's mark", second(b.Upkeep.Mark(ctx))},
		"Orphans":              {"list orphans", second(b.Upkeep.Orphans(ctx))},
		"ConfirmOrphans":       {"confirm orphans", b.Upkeep.ConfirmOrphans(ctx, 0)},
		"CheckObjects":         {"check objects", second(b.Upkeep.CheckObjects(ctx, o, false, nil))},
		"Housekeeping":         {"count what is to be deleted", second(b.Upkeep.Housekeeping(ctx))},
		"Expire":               {"expire results", second(b.Upkeep.Expire(ctx, 0))},
		"Unheard":              {"compare inbox", second(b.Upkeep.UnrecordedObjects(ctx, "b", []objects.Info{{Key: "inbox/a"}}))},
		"Alone":                {"upkeep", second(b.Upkeep.WithLock(ctx, func(context.Context) error { return nil }))},
		"QueueState":           {"count the queue", second(b.Upkeep.QueueState(ctx))},
		"Times":                {"read times", second(b.Ledger.Times(ctx, c))},
		"Restart":              {"restart", b.Ledger.Restart(ctx, c, store.Failure{})},
		"Ready":                {"ask database", b.Ready(ctx)},
		"PostponePart":         {"give part back", b.Ledger.PostponePart(ctx, c, store.Postponement{Wait: 0, Reason: "waiting"})},
	}
	for name, test := range calls {
		if test.got == nil || !strings.HasPrefix(test.got.Error(), test.says+": ") {
			t.Errorf("%s: %v", name, test.got)
		}
	}
	of := reflect.TypeFor[*store.Store]()
	for m := range of.Methods() {
		if n := m.Type.NumOut(); n > 0 && m.Type.Out(n-1) == reflect.TypeFor[error]() && calls[m.Name].says == "" {
			t.Errorf("%s is not tried", m.Name)
		}
	}
}

// second and third take the error of a call that gives more.
func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }
