package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// as runs SQL like a request for a user would, and gives the first column of the first row as text.
func (b bench) as(user string, sql string, args ...any) (string, error) {
	b.Helper()
	conn, err := pgx.Connect(ctx(), b.url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	tx, err := conn.Begin(ctx())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tx.Exec(ctx(), `SELECT set_config('role', 'millrace_api', true)`); err != nil {
		b.Fatal(err)
	}
	if user != "" {
		if _, err := tx.Exec(ctx(), `SELECT set_config('app.user_id', $1, true)`, user); err != nil {
			b.Fatal(err)
		}
	}
	var answer string
	err = tx.QueryRow(ctx(), sql, args...).Scan(&answer)
	return answer, err
}

// Whatever a query forgets, the database does not show one user's rows to another.
func TestRowSecurity(t *testing.T) {
	b := newBench(t, store.Config{})
	wantEqual(t, "row security", b.RowSecurity(), true)
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	p := b.upload(1500)
	b.mustScore(b.claim("w"))
	mine, theirs := fmt.Sprint(b.user.ID), fmt.Sprint(other.ID)
	for table, want := range map[string]string{
		"uploads": "1", "predictions": "1", "prediction_parts": "1", "prediction_blocks": "2", "prediction_rows": "1500",
	} {
		for user, want := range map[string]string{mine: want, theirs: "0", "": "0"} {
			got, err := b.as(user, `SELECT count(*)::text FROM `+table)
			if err != nil || got != want {
				t.Errorf("user %q sees %s rows of %s, not %s: %v", user, got, table, want, err)
			}
		}
	}
	for user, want := range map[string]string{mine: "user_1", theirs: "user_2"} {
		if got, err := b.as(user, `SELECT string_agg(subject, ' ') FROM users`); err != nil || got != want {
			t.Errorf("user %s sees the users %s: %v", user, got, err)
		}
	}
	partition := ask[string](b, `SELECT tableoid::regclass::text FROM prediction_blocks LIMIT 1`)
	for name, sql := range map[string]string{
		"a partition":  `SELECT count(*)::text FROM ` + partition,
		"keys":         `SELECT set_config('x.y', secret_hash::text, true) FROM access_keys, webhook_events`,
		"failures":     `SELECT count(*)::text FROM prediction_failures`,
		"failures too": `DELETE FROM prediction_failures RETURNING 'x'`,
		"owner":        `UPDATE predictions SET user_id = 2 RETURNING 'x'`,
		"another's upload": `
			INSERT INTO uploads (public_id, user_id, object_key) SELECT gen_random_uuid(), ` + theirs + `, 'k'
			RETURNING 'x'`,
		"another's partition": `SELECT open_prediction_month('2031-01-01')::text`,
	} {
		if _, err := b.as(mine, sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := b.as(theirs, `UPDATE predictions SET status = 'cancelled' WHERE public_id = $1 RETURNING 'x'`,
		p.ID); err != pgx.ErrNoRows {
		t.Errorf("cancelled another's: %q, %v", got, err)
	}
}

// Nothing of a request's role or user stays on the connection.
func TestRowSecurityEndsWithTheRequest(t *testing.T) {
	admin := storetest.Postgres(t)
	b := openAs(t, admin, store.Config{URL: admin, ConnsMax: 1}) // one login, one connection: the roles take turns on it
	user, err := b.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	b.user = user
	p := b.upload(10)
	for range 3 {
		b.reload(p)
		if _, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{Limit: 5}); err != nil {
			t.Fatal(err)
		}
		_, err := b.Predictions.Get(t.Context(), b.user.ID+1, p.ID)
		wantErr(t, err, store.ErrNotFound)
		if _, err := b.Outbox.Sweep(t.Context(), 0); err != nil { // needs the owner's rights
			t.Fatal(err)
		}
	}
	b.mustScore(b.claim("w"))
}

// A database user that owns its tables but may do nothing else: it works, with a warning in the log.
func TestWithoutRoles(t *testing.T) {
	admin := storetest.EmptyPostgres(t)
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	root, b := bench{TB: t, url: admin}, bench{TB: t}
	root.exec(`CREATE ROLE plain LOGIN PASSWORD 'secret'`)
	root.exec(`ALTER DATABASE ` + strings.TrimPrefix(u.Path, "/") + ` OWNER TO plain`)
	t.Cleanup(func() {
		root.exec(`REASSIGN OWNED BY plain TO millrace`)
		root.exec(`DROP OWNED BY plain`)
		root.exec(`DROP ROLE plain`)
	})
	u.User = url.UserPassword("plain", "secret")
	b.url = u.String()
	if err := schema.Migrate(t.Context(), b.url, migrations.FS); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	b.Store = storetest.Open(t, store.Config{URL: b.url, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if b.RowSecurity() || !strings.Contains(said.String(), "no row level security") {
		t.Errorf("row security %v, said %q", b.RowSecurity(), said.String())
	}
	if b.user, err = b.Accounts.EnsureUser(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	p := b.upload(1500)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 400, Order: store.ByProbability})), 1500)
	stranger, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Predictions.Get(t.Context(), stranger.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	_, err = b.Predictions.Rows(t.Context(), stranger.ID, p.ID, store.RowQuery{Limit: 1})
	wantErr(t, err, store.ErrNotFound)
	_, err = b.Predictions.Cancel(t.Context(), stranger.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	if list, err := b.Predictions.List(t.Context(), stranger.ID, store.ListQuery{Limit: 5}); len(list) != 0 || err != nil {
		t.Errorf("another's list: %+v, %v", list, err)
	}
	if _, err := b.Predictions.RecordOutcomes(t.Context(), b.user.ID, nil, countRows); err != nil {
		t.Error(err)
	}
	b.counted(10, 1)
	none := ""
	for _, dataset := range []*string{nil, &none} { // the query alone keeps users apart
		wantSums(t, "own counts", b.sums(counts.Query{User: b.user.ID, Model: "telecom", Dataset: dataset}), []int64{1})
		wantSums(t, "another's counts", b.sums(counts.Query{User: stranger.ID, Model: "telecom", Dataset: dataset}))
	}
	if _, err := b.Outbox.Sweep(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if err := schema.Down(context.Background(), b.url, migrations.FS, 0); err != nil {
		t.Error(err)
	}
}
