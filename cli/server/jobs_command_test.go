package server

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// startAdmin serves the admin listener on a fresh database.
func startAdmin(t *testing.T) (s *store.Store, address string) {
	t.Helper()
	s = storetest.Open(t, store.Config{})
	return s, servetest.Admin(t, s)
}

// jobs runs a jobs command and returns its output, or its error.
func jobs(t *testing.T, admin string, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	status := Full().Run(t.Context(), append(append([]string{"jobs"}, args...), "--admin", admin), cli.Streams{Out: &out, Err: &out})
	return out.String(), status
}

func TestJobs(t *testing.T) {
	s, admin := startAdmin(t)
	user, err := s.Accounts.EnsureUser(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Predictions.CreateUpload(t.Context(), store.NewUpload{
		ID: store.NewID(), UserID: user.ID, ObjectKey: "k", Bytes: 1, Rows: 1, Header: store.Header{Delimiter: ','},
		Parts: []store.Part{{Planned: true, Rows: 1, Bytes: 1}}, Model: store.Model{Name: "telecom"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, status := jobs(t, admin, "dead"); out != "" || status != 0 {
		t.Errorf("nothing is dead: %d %q", status, out)
	}
	c, err := s.Ledger.ClaimPart(t.Context(), "w")
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	failure := store.Failure{Code: "ERR-1009", Stage: "scoring", Message: "The cell canary-cell is open.", Permanent: true}
	if err := s.Ledger.FailPart(t.Context(), c, failure); err != nil {
		t.Fatal(err)
	}
	id := p.ID.String()
	out, status := jobs(t, admin, "dead", "--limit", "1")
	if status != 0 || !strings.HasPrefix(out, id+"  failed") || !strings.Contains(out, "ERR-1009  scoring  A quotation mark") ||
		strings.Contains(out, "canary-cell") {
		t.Errorf("%d %q", status, out)
	}
	for _, step := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"retry", id}, id + " queued\n", 0},
		{[]string{"retry", id}, "millrace: ERR-", cli.ExitData},
		{[]string{"cancel", id}, id + " cancelled\n", 0},
		{[]string{"cancel", id}, id + " cancelled\n", 0},
		{[]string{"cancel", store.NewID().String()}, "millrace: ERR-1101: ", cli.ExitData},
		{[]string{"retry", "../x"}, "millrace: ERR-1101: ", cli.ExitData},
	} {
		if out, status := jobs(t, admin, step.args...); !strings.HasPrefix(out, step.want) || status != step.status {
			t.Errorf("%v: %d %q", step.args, status, out)
		}
	}
}

func TestJobsWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for admin, want := range map[string]string{
		closed: "no server answers", other.URL: "is not the admin listener", "://": "is not a URL",
	} {
		wanted := cli.ExitUnavailable
		if admin == "://" {
			wanted = cli.ExitUsage
		}
		if out, status := jobs(t, admin, "dead"); status != wanted || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %d %q", admin, status, out)
		}
	}
}

// TestModelWithdraw withdraws a model that a prediction waits for, and one that is not stored.
func TestModelWithdraw(t *testing.T) {
	s, admin := startAdmin(t)
	user, err := s.Accounts.EnsureUser(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.Repeat("5a", 32)
	_, err = s.Predictions.CreateUpload(t.Context(), store.NewUpload{
		ID: store.NewID(), UserID: user.ID, ObjectKey: "k", Bytes: 1, Rows: 1, Header: store.Header{Delimiter: ','},
		Parts: []store.Part{{Planned: true, Rows: 1, Bytes: 1}}, Model: store.Model{Name: "telecom", SHA256: digest},
	})
	if err == nil {
		_, err = s.Models.Note(t.Context(), digest, "telecom", "1")
	}
	if err != nil {
		t.Fatal(err)
	}
	withdraw := func(digest string) (string, int) {
		var out bytes.Buffer
		status := Full().Run(t.Context(), []string{"model", "withdraw", digest, "--admin", admin}, cli.Streams{Out: &out, Err: &out})
		return out.String(), status
	}
	if out, status := withdraw(digest); status != 0 || out != digest+" withdrawn, 1 predictions failed\n" {
		t.Errorf("%d %q", status, out)
	}
	if out, status := withdraw(strings.Repeat("0", 64)); status == 0 || !strings.Contains(out, "ERR-1701") {
		t.Errorf("%d %q", status, out)
	}
}
