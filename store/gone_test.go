package store_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

// Every method says what it was about when the database is gone.
func TestDatabaseGone(t *testing.T) {
	b, o := newBench(t, store.Config{}), objects(t)
	p := b.upload(1)
	c := b.claim("w")
	key, err := b.ClaimKey(t.Context(), b.user.ID, "POST /upload", "key")
	if err != nil {
		t.Fatal(err)
	}
	putAll(t, o, store.InputKey(store.NewID()))
	b.Close()
	ctx := t.Context()
	calls := map[string]struct {
		says string
		got  error
	}{
		"Ping":                 {"ping database", b.Ping(ctx)},
		"EnsureUser":           {"ensure user", second(b.EnsureUser(ctx, "x"))},
		"SetTrainingRate":      {"set training rate", b.SetTrainingRate(ctx, 1, 0)},
		"TrainingRate":         {"read training rate", second(b.TrainingRate(ctx, 1))},
		"RecordOutcomes":       {"record outcomes", second(b.RecordOutcomes(ctx, 1, nil, countRows))},
		"OutcomeReports":       {"list outcome reports", second(b.OutcomeReports(ctx, 1, "telecom"))},
		"CreateUpload":         {"create upload", second(b.CreateUpload(ctx, newUpload(1, 1)))},
		"EnqueueObject":        {"enqueue object", third(b.EnqueueObject(ctx, store.NewObject{}))},
		"Prediction":           {"read prediction", second(b.Prediction(ctx, 1, p.ID))},
		"Predictions":          {"list predictions", second(b.Predictions(ctx, 1, store.ListQuery{Limit: 1}))},
		"Ahead":                {"count what is ahead", second(b.Ahead(ctx, p))},
		"Cancel":               {"cancel", second(b.Cancel(ctx, 1, p.ID))},
		"ClaimPart":            {"claim part", second(b.ClaimPart(ctx, "w"))},
		"ClaimFinish":          {"claim finish", second(b.ClaimFinish(ctx, "w"))},
		"NextDue":              {"find next due", second(b.NextDue(ctx))},
		"RenewLease":           {"renew lease", b.RenewLease(ctx, c)},
		"PlanPart":             {"plan part", b.PlanPart(ctx, c, store.Plan{})},
		"CommitPart":           {"commit part 0", second(b.score(c, nil))},
		"Parts":                {"list parts", second(b.Parts(ctx, c))},
		"Finish":               {"finish", b.finish(c)},
		"FailPart":             {"fail part", b.FailPart(ctx, c, store.Failure{})},
		"ReleasePart":          {"give part back", b.ReleasePart(ctx, c)},
		"DeadLetters":          {"list dead letters", second(b.DeadLetters(ctx, store.DeadFilter{}, nil, 1))},
		"Attempts":             {"list attempts", second(b.Attempts(ctx, p.ID))},
		"Retry":                {"retry", b.Retry(ctx, p.ID, store.Model{})},
		"ClaimLetters":         {"claim letters", second(b.ClaimLetters(ctx, 1))},
		"DiscardLetters":       {"discard letters", b.DiscardLetters(ctx, []int64{1})},
		"ReturnLetters":        {"return letters", b.ReturnLetters(ctx, []int64{1})},
		"Sweep":                {"sweep", second(b.Sweep(ctx, 0))},
		"Rows":                 {"read rows", second(b.Rows(ctx, 1, p.ID, store.RowQuery{}))},
		"ClaimSmallPart":       {"claim part", second(b.ClaimSmallPart(ctx, "w"))},
		"CancelAny":            {"cancel", second(b.CancelAny(ctx, p.ID))},
		"AccessKeys":           {"list access keys", second(b.AccessKeys(ctx, 1))},
		"CreateAccessKey":      {"create access key", second(b.CreateAccessKey(ctx, 1, store.AccessKey{}, [32]byte{}, nil))},
		"RevokeAccessKey":      {"revoke access key", b.RevokeAccessKey(ctx, 1, p.ID)},
		"UserOfAccessKey":      {"find access key", third(b.UserOfAccessKey(ctx, [32]byte{}))},
		"CreateUploadLink":     {"create upload link", b.CreateUploadLink(ctx, &store.UploadLink{}, time.Hour)},
		"UploadLink":           {"upload link", second(b.UploadLink(ctx, 1, p.ID))},
		"LinkOfObject":         {"upload link", second(b.LinkOfObject(ctx, p.ID))},
		"CompleteUpload":       {"complete upload", second(b.CompleteUpload(ctx, store.UploadLink{}, store.ObjectInfo{}))},
		"SweepUploadLinks":     {"sweep upload links", b.SweepUploadLinks(ctx, 0)},
		"PostponeUploadLink":   {"postpone upload link", b.PostponeUploadLink(ctx, p.ID, true)},
		"PostponedLinks":       {"list postponed links", second(b.PostponedLinks(ctx, nil))},
		"Heartbeat":            {"heartbeat", b.Heartbeat(ctx)},
		"EndOverdue":           {"end overdue predictions", second(b.EndOverdue(ctx, time.Hour, store.Failure{}))},
		"EnableAnnouncements":  {"enable announcements", b.EnableAnnouncements(ctx)},
		"ClaimAnnouncements":   {"claim announcements", second(b.ClaimAnnouncements(ctx, 1))},
		"DropAnnouncement":     {"drop announcement", b.DropAnnouncement(ctx, 1)},
		"PostponeAnnouncement": {"postpone announcement", b.PostponeAnnouncement(ctx, 1, 0, false)},
		"ReviveAnnouncements":  {"revive announcements", second(b.ReviveAnnouncements(ctx))},
		"AnnouncementBacklog":  {"announcement backlog", third(b.AnnouncementBacklog(ctx))},
		"ClaimKey":             {"claim key", second(b.ClaimKey(ctx, 1, "r", "k"))},
		"RenewKey":             {"renew key", b.RenewKey(ctx, key)},
		"ReleaseKey":           {"release key", b.ReleaseKey(ctx, key)},
		"SweepKeys":            {"sweep keys", b.SweepKeys(ctx)},
		"Spend":                {"spend budget", third(b.Spend(ctx, store.Budget{Step: 1, Window: 1}))},
		"SweepBudgets":         {"sweep budgets", b.SweepBudgets(ctx)},
		"CustomerIDs":          {"read customer ids", second(b.CustomerIDs(ctx, c, []int64{1}))},
		"Previous":             {"find previous prediction", second(b.Previous(ctx, c))},
		"ResultRows":           {"find rows in result", third(b.ResultRows(ctx, 1, p.ID, []int64{1}))},
		"DeletePrediction":     {"delete prediction", b.DeletePrediction(ctx, 1, p.ID)},
		"DeleteAccount":        {"delete account", b.DeleteAccount(ctx, 1)},
		"SweepDeletions":       {"sweep deletions", b.SweepDeletions(ctx, o)},
		"DeleteLater":          {"delete later", b.DeleteLater(ctx, 1, p.ID)},
		"Mark":                 {"read the database's mark", second(b.Mark(ctx))},
		"Orphans":              {"list orphans", second(b.Orphans(ctx))},
		"ConfirmOrphans":       {"confirm orphans", b.ConfirmOrphans(ctx, 0)},
		"CheckObjects":         {"check objects", second(b.CheckObjects(ctx, o, false, nil))},
		"Housekeeping":         {"count what is to be deleted", second(b.Housekeeping(ctx))},
		"Expire":               {"expire results", second(b.Expire(ctx, 0))},
		"Unheard":              {"compare inbox", second(b.Unheard(ctx, "b", []store.ObjectInfo{{Key: "inbox/a"}}))},
		"Alone":                {"upkeep", second(b.Alone(ctx, func(context.Context) error { return nil }))},
		"QueueState":           {"count the queue", second(b.QueueState(ctx))},
		"Times":                {"read times", second(b.Times(ctx, c))},
		"Restart":              {"restart", b.Restart(ctx, c, store.Failure{})},
		"Ready":                {"ask database", b.Ready(ctx)},
		"PostponePart":         {"give part back", b.PostponePart(ctx, c, store.Postponement{Wait: 0, Reason: "waiting"})},
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
