package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/store"
)

// failPredictions queues predictions and fails each with a code.
func failPredictions(t *testing.T, s *store.Store, code string, n int) (ids []string) {
	t.Helper()
	user, err := s.Accounts.EnsureUser(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		p, err := s.Predictions.CreateUpload(t.Context(), store.NewUpload{
			ID: store.NewID(), UserID: user.ID, ObjectKey: "k", Bytes: 1, Rows: 1, Header: store.Header{Delimiter: ','},
			Parts: []store.Part{{Planned: true, Rows: 1, Bytes: 1}}, Model: store.Model{Name: "telecom"},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Ledger.ClaimPart(t.Context(), "w")
		if err != nil || c == nil {
			t.Fatal(c, err)
		}
		failure := store.Failure{Code: code, Stage: "scoring", Message: "No.", Permanent: true}
		if err := s.Ledger.FailPart(t.Context(), c, failure); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID.String())
	}
	return ids
}

// TestJobsRetryMany checks that the chosen predictions are retried in batches, each once, and none in a dry run.
func TestJobsRetryMany(t *testing.T) {
	s, admin := startAdmin(t)
	old := failPredictions(t, s, "ERR-1102", 3)
	time.Sleep(1100 * time.Millisecond) // a time on the command line has whole seconds
	between := time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	storage := failPredictions(t, s, "ERR-1502", 110)
	young := failPredictions(t, s, "ERR-1102", 2)
	dead := func() int {
		t.Helper()
		out, status := jobs(t, admin, "dead", "--limit", "1000")
		if status != 0 {
			t.Fatal(out)
		}
		return strings.Count(out, "\n")
	}
	for _, step := range []struct {
		args   string
		status int
		ids    []string
		last   string
		left   int
	}{
		{"--code ERR-1502 --dry-run", 0, storage, "110 would be queued, 0 skipped", 115},
		{"--all --dry-run", 0, slices.Concat(old, storage, young), "115 would be queued", 115},
		{"--since " + between + " --code ERR-1102", 0, young, "2 queued, 0 skipped", 113},
		{"--code ERR-1502", 0, storage, "110 queued, 0 skipped", 3},
		{"--code ERR-1502", 0, nil, "0 queued, 0 skipped", 3},
		{"--since 1h --dry-run", 0, old, "3 would be queued", 3},
		{"--since 0s", 0, nil, "0 queued", 3},
		{"", cli.ExitUsage, nil, "say which", 3},
		{"--dry-run", cli.ExitUsage, nil, "say which", 3},
		{old[0] + " --all", cli.ExitUsage, nil, "an id stands alone", 3},
		{"--all --code ERR-1102", cli.ExitUsage, nil, "--all stands alone", 3},
		{"--since yesterday", cli.ExitUsage, nil, "--since yesterday is neither", 3},
		{"--all", 0, old, "3 queued, 0 skipped", 0},
	} {
		out, status := jobs(t, admin, append([]string{"retry"}, strings.Fields(step.args)...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if status != step.status || len(lines) != len(step.ids)+1 || !strings.Contains(lines[len(lines)-1], step.last) {
			t.Errorf("%s: status %d, %d lines, the last: %s", step.args, status, len(lines), lines[len(lines)-1])
		}
		for _, id := range step.ids {
			if strings.Count(out, id+" ") != 1 {
				t.Errorf("%s: %s is listed %d times", step.args, id, strings.Count(out, id+" "))
			}
		}
		if left := dead(); left != step.left {
			t.Fatalf("%s: %d are left, want %d", step.args, left, step.left)
		}
	}
}
