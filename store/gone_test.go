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
		call func() error
	}{
		"Ping":                 {"ping database", func() error { return b.Ping(ctx) }},
		"EnsureUser":           {"ensure user", func() error { _, err := b.EnsureUser(ctx, "x"); return err }},
		"SetTrainingRate":      {"set training rate", func() error { return b.SetTrainingRate(ctx, 1, 0) }},
		"TrainingRate":         {"read training rate", func() error { _, err := b.TrainingRate(ctx, 1); return err }},
		"RecordOutcomes":       {"record outcomes", func() error { _, err := b.RecordOutcomes(ctx, 1, nil, countRows); return err }},
		"OutcomeReports":       {"list outcome reports", func() error { _, err := b.OutcomeReports(ctx, 1, "telecom"); return err }},
		"CreateUpload":         {"create upload", func() error { _, err := b.CreateUpload(ctx, newUpload(1, 1)); return err }},
		"EnqueueObject":        {"enqueue object", func() error { _, _, err := b.EnqueueObject(ctx, store.NewObject{}); return err }},
		"Prediction":           {"read prediction", func() error { _, err := b.Prediction(ctx, 1, p.ID); return err }},
		"Predictions":          {"list predictions", func() error { _, err := b.Predictions(ctx, 1, nil, 1); return err }},
		"Ahead":                {"count what is ahead", func() error { _, err := b.Ahead(ctx, p); return err }},
		"Cancel":               {"cancel", func() error { _, err := b.Cancel(ctx, 1, p.ID); return err }},
		"ClaimPart":            {"claim part", func() error { _, err := b.ClaimPart(ctx, "w"); return err }},
		"ClaimFinish":          {"claim finish", func() error { _, err := b.ClaimFinish(ctx, "w"); return err }},
		"RenewLease":           {"renew lease", func() error { return b.RenewLease(ctx, c) }},
		"PlanPart":             {"plan part", func() error { return b.PlanPart(ctx, c, store.Plan{}) }},
		"CommitPart":           {"commit part 0", func() error { _, err := b.score(c, nil); return err }},
		"Parts":                {"list parts", func() error { _, err := b.Parts(ctx, c); return err }},
		"Finish":               {"finish", func() error { return b.finish(c) }},
		"FailPart":             {"fail part", func() error { return b.FailPart(ctx, c, store.Failure{}) }},
		"ReleasePart":          {"release part", func() error { return b.ReleasePart(ctx, c) }},
		"DeadLetters":          {"list dead letters", func() error { _, err := b.DeadLetters(ctx, nil, 1); return err }},
		"Attempts":             {"list attempts", func() error { _, err := b.Attempts(ctx, p.ID); return err }},
		"Retry":                {"retry", func() error { return b.Retry(ctx, p.ID, store.Model{}) }},
		"ClaimLetters":         {"claim letters", func() error { _, err := b.ClaimLetters(ctx, 1); return err }},
		"DiscardLetters":       {"discard letters", func() error { return b.DiscardLetters(ctx, []int64{1}) }},
		"ReturnLetters":        {"return letters", func() error { return b.ReturnLetters(ctx, []int64{1}) }},
		"Sweep":                {"sweep", func() error { _, err := b.Sweep(ctx, 0); return err }},
		"Rows":                 {"read rows", func() error { _, err := b.Rows(ctx, 1, p.ID, store.RowQuery{}); return err }},
		"ClaimSmallPart":       {"claim part", func() error { _, err := b.ClaimSmallPart(ctx, "w"); return err }},
		"CancelAny":            {"cancel", func() error { _, err := b.CancelAny(ctx, p.ID); return err }},
		"AccessKeys":           {"list access keys", func() error { _, err := b.AccessKeys(ctx, 1); return err }},
		"CreateAccessKey":      {"create access key", func() error { _, err := b.CreateAccessKey(ctx, 1, store.AccessKey{}, [32]byte{}, nil); return err }},
		"RevokeAccessKey":      {"revoke access key", func() error { return b.RevokeAccessKey(ctx, 1, p.ID) }},
		"UserOfAccessKey":      {"find access key", func() error { _, _, err := b.UserOfAccessKey(ctx, [32]byte{}); return err }},
		"CreateUploadLink":     {"create upload link", func() error { return b.CreateUploadLink(ctx, &store.UploadLink{}, time.Hour) }},
		"UploadLink":           {"upload link", func() error { _, err := b.UploadLink(ctx, 1, p.ID); return err }},
		"LinkOfObject":         {"upload link", func() error { _, err := b.LinkOfObject(ctx, p.ID); return err }},
		"CompleteUpload":       {"complete upload", func() error { _, err := b.CompleteUpload(ctx, store.UploadLink{}, store.ObjectInfo{}); return err }},
		"SweepUploadLinks":     {"sweep upload links", func() error { _, err := b.SweepUploadLinks(ctx, 0); return err }},
		"EnableAnnouncements":  {"enable announcements", func() error { return b.EnableAnnouncements(ctx) }},
		"ClaimAnnouncements":   {"claim announcements", func() error { _, err := b.ClaimAnnouncements(ctx, 1); return err }},
		"DropAnnouncement":     {"drop announcement", func() error { return b.DropAnnouncement(ctx, 1) }},
		"PostponeAnnouncement": {"postpone announcement", func() error { return b.PostponeAnnouncement(ctx, 1, 0, false) }},
		"ReviveAnnouncements":  {"revive announcements", func() error { _, err := b.ReviveAnnouncements(ctx); return err }},
		"AnnouncementBacklog":  {"announcement backlog", func() error { _, _, err := b.AnnouncementBacklog(ctx); return err }},
		"ClaimKey":             {"claim key", func() error { _, err := b.ClaimKey(ctx, 1, "r", "k"); return err }},
		"RenewKey":             {"renew key", func() error { return b.RenewKey(ctx, key) }},
		"ReleaseKey":           {"release key", func() error { return b.ReleaseKey(ctx, key) }},
		"SweepKeys":            {"sweep keys", func() error { return b.SweepKeys(ctx) }},
		"Spend":                {"spend budget", func() error { _, _, err := b.Spend(ctx, store.Budget{Step: 1, Window: 1}); return err }},
		"SweepBudgets":         {"sweep budgets", func() error { return b.SweepBudgets(ctx) }},
		"CustomerIDs":          {"read customer ids", func() error { _, err := b.CustomerIDs(ctx, c, []int64{1}); return err }},
		"Previous":             {"find previous prediction", func() error { _, err := b.Previous(ctx, c); return err }},
		"ResultRows":           {"find rows in result", func() error { _, _, err := b.ResultRows(ctx, 1, p.ID, []int64{1}); return err }},
		"DeletePrediction":     {"delete prediction", func() error { return b.DeletePrediction(ctx, 1, p.ID) }},
		"DeleteAccount":        {"delete account", func() error { return b.DeleteAccount(ctx, 1) }},
		"SweepDeletions":       {"sweep deletions", func() error { return b.SweepDeletions(ctx, o) }},
		"SweepOrphans":         {"sweep orphans", func() error { _, err := b.SweepOrphans(ctx, o, 0); return err }},
		"Expire":               {"expire results", func() error { _, err := b.Expire(ctx, 0); return err }},
		"Unheard":              {"compare inbox", func() error { _, err := b.Unheard(ctx, "b", []store.ObjectInfo{{Key: "inbox/a"}}); return err }},
		"Alone":                {"upkeep", func() error { _, err := b.Alone(ctx, func(context.Context) error { return nil }); return err }},
		"QueueState":           {"count the queue", func() error { _, err := b.QueueState(ctx); return err }},
		"Times":                {"read times", func() error { _, err := b.Times(ctx, c); return err }},
		"PostponePart":         {"release part", func() error { return b.PostponePart(ctx, c, 0, "waiting") }},
	}
	for name, test := range calls {
		if err := test.call(); err == nil || !strings.HasPrefix(err.Error(), test.says+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	of := reflect.TypeFor[*store.Store]()
	for m := range of.Methods() {
		if n := m.Type.NumOut(); n > 0 && m.Type.Out(n-1) == reflect.TypeFor[error]() && calls[m.Name].call == nil {
			t.Errorf("%s is not tried", m.Name)
		}
	}
}
