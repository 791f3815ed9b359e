package storetest_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

func TestPostgresIsPerTest(t *testing.T) {
	for range 2 {
		s := storetest.Open(t, store.Config{})
		u, err := s.Accounts.EnsureUser(t.Context(), "someone")
		if err != nil || u.ID != 1 {
			t.Errorf("user %d: %v", u.ID, err)
		}
	}
	if _, err := schema.Status(t.Context(), storetest.EmptyPostgres(t), nil); err == nil {
		t.Error("no migrations, no error")
	}
}

func TestS3IsPerTest(t *testing.T) {
	for range 2 {
		o, err := objects.OpenS3(t.Context(), storetest.S3(t))
		if err != nil {
			t.Fatal(err)
		}
		for info, err := range o.List(t.Context(), "") {
			t.Errorf("not empty: %v, %v", info, err)
		}
		if _, err := o.Put(t.Context(), "uploads/a/input.csv", bytes.NewReader([]byte("text"))); err != nil {
			t.Fatal(err)
		}
		r, _, err := o.Get(t.Context(), "uploads/a/input.csv", objects.Range{Offset: 1}, "")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); string(b) != "ext" || err != nil {
			t.Errorf("read %q: %v", b, err)
		}
		_ = r.Close()
	}
}

func TestSQSIsPerTest(t *testing.T) {
	for range 2 {
		q, err := queue.Open(t.Context(), storetest.SQS(t).Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAsk(t *testing.T) {
	database := storetest.Postgres(t)
	if got := storetest.Ask(t, database, `SELECT count(*) FROM users`); got != "0" {
		t.Errorf("%q", got)
	}
	api, loader := storetest.Logins(database)
	for url, want := range map[string]string{api: "millrace_test_api", loader: "millrace_test_loader"} {
		if got := storetest.Ask(t, url, `SELECT current_user`); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if again, none := storetest.Logins(api); again != api || none != "" {
		t.Errorf("%q, %q", again, none)
	}
}

func TestSend(t *testing.T) {
	q := storetest.SQS(t)
	q.Send(t, "hello")
	out, err := q.Client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &q.URL, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "hello" {
		t.Errorf("%+v, %v", out, err)
	}
}
