package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// wholePath takes a file from the upload to its rows, has another user look for it, and deletes it.
func wholePath(t *testing.T, b bench) {
	t.Helper()
	var err error
	if b.user, err = b.Accounts.EnsureUser(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Accounts.SetTrainingRate(t.Context(), b.user.ID, 1); err != nil {
		t.Fatal(err)
	}
	p := b.upload(1500, 700)
	b.mustScore(b.claim("w"))
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 400, Order: store.ByProbability})), 2200)
	_, err = b.Predictions.Get(t.Context(), other.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	_, err = b.Predictions.Rows(t.Context(), other.ID, p.ID, store.RowQuery{Limit: 1})
	wantErr(t, err, store.ErrNotFound)
	if b.MayWork() {
		if _, err := b.Outbox.Sweep(t.Context(), 0); err != nil {
			t.Error(err)
		}
		if _, err := b.Upkeep.Expire(t.Context(), 1<<40); err != nil {
			t.Error(err)
		}
	}
	if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "blocks left", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
}

// openAs opens a store on databases of url without looking for other logins.
func openAs(t *testing.T, admin string, config store.Config) bench {
	t.Helper()
	s, err := store.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return bench{TB: t, Store: s, url: admin}
}

// withoutBypass makes the loader what it is where BYPASSRLS cannot be granted.
func withoutBypass(t *testing.T, admin string) {
	b := bench{TB: t, url: admin}
	b.exec(`ALTER ROLE millrace_loader NOBYPASSRLS`)
	t.Cleanup(func() { b.exec(`ALTER ROLE millrace_loader BYPASSRLS`) })
}

// One login for everything: it acts as the two roles and never as itself.
func TestOneLoginActsAsBothRoles(t *testing.T) {
	for _, bypass := range []bool{true, false} {
		t.Run(fmt.Sprintf("bypass %v", bypass), func(t *testing.T) {
			admin := storetest.Postgres(t)
			if !bypass {
				withoutBypass(t, admin)
			}
			b := openAs(t, admin, store.Config{URL: admin, ConnsMax: 2})
			if !b.RowSecurity() || !b.MayWork() {
				t.Errorf("row security %v, may work %v", b.RowSecurity(), b.MayWork())
			}
			wholePath(t, b)
		})
	}
}

// A login that owns its tables and may make roles, but is no superuser.
func TestOpen_OwnerWithCreateRole(t *testing.T) {
	admin := storetest.EmptyPostgres(t)
	withoutBypass(t, storetest.Postgres(t))
	b := openAsOwner(t, admin, "builder", "CREATEROLE")
	if !b.RowSecurity() || !b.MayWork() {
		t.Errorf("row security %v, may work %v", b.RowSecurity(), b.MayWork())
	}
	wholePath(t, b)
}

// openAsOwner makes a login that owns a database, migrates as it and opens a store for it.
func openAsOwner(t *testing.T, admin, login, attributes string) bench {
	t.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	root := bench{TB: t, url: admin}
	root.exec(`CREATE ROLE ` + login + ` LOGIN ` + attributes + ` PASSWORD 'secret'`)
	root.exec(`ALTER DATABASE ` + strings.TrimPrefix(u.Path, "/") + ` OWNER TO ` + login)
	t.Cleanup(func() {
		root.exec(`REASSIGN OWNED BY ` + login + ` TO millrace`)
		root.exec(`DROP OWNED BY ` + login)
		root.exec(`DROP ROLE ` + login)
	})
	u.User = url.UserPassword(login, "secret")
	if err := schema.Migrate(t.Context(), u.String(), migrations.FS); err != nil {
		t.Fatal(err)
	}
	return openAs(t, u.String(), store.Config{URL: u.String()})
}

// Two logins: the whole path works, whether the loader may bypass row level security or not.
func TestTwoLogins(t *testing.T) {
	for _, bypass := range []bool{true, false} {
		t.Run(fmt.Sprintf("bypass %v", bypass), func(t *testing.T) {
			admin := storetest.Postgres(t)
			if !bypass {
				withoutBypass(t, admin)
			}
			api, loader := storetest.Logins(admin)
			b := openAs(t, admin, store.Config{URL: api, LoaderURL: loader, ConnsMax: 3})
			wholePath(t, b)
			if p := b.PoolState(); p.Max != 3 || p.Acquires < 20 || p.Idle < 2 || p.Acquired != 0 {
				t.Errorf("both pools together: %+v", p)
			}
		})
	}
}

// refused reports whether the database refuses a statement of a login for lack of rights.
func refused(t *testing.T, login, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	_, err = conn.Exec(t.Context(), sql)
	if strings.HasPrefix(sql, "COPY") && err == nil {
		t.Errorf("%s: allowed", sql)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42501" && pg.Code != "0A000" { // 0A000: COPY under row level security
		t.Errorf("%s: %v", sql, err)
	}
}

func TestRoles_DeniedStatements(t *testing.T) {
	admin := storetest.Postgres(t)
	api, loader := storetest.Logins(admin)
	b := openAs(t, admin, store.Config{URL: api, LoaderURL: loader})
	var err error
	if b.user, err = b.Accounts.EnsureUser(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	p := b.upload(1500)
	b.mustScore(b.claim("w"))
	partition := ask[string](b, `SELECT tableoid::regclass::text FROM prediction_blocks LIMIT 1`)
	for _, sql := range []string{
		`SELECT FROM ` + partition,
		`INSERT INTO prediction_blocks SELECT * FROM prediction_blocks`,
		`COPY prediction_blocks FROM STDIN`,
		`COPY ml_training_data FROM STDIN`,
		`SELECT FROM prediction_failures`,
		`SELECT secret_hash FROM webhook_events, access_keys`,
		`UPDATE users SET subject = 'x'`,
		`SET ROLE millrace_loader`,
		`SELECT turn_prediction_month('2031-01-01')`,
		`ALTER TABLE predictions DISABLE ROW LEVEL SECURITY`,
		`CREATE TABLE mine ()`,
	} {
		refused(t, api, sql)
	}
	for _, sql := range []string{
		`SELECT FROM ` + partition,
		`DROP TABLE ` + partition,
		`ALTER TABLE predictions ADD COLUMN x int`,
		`CREATE TABLE mine ()`,
		`UPDATE users SET subject = 'x'`,
		`INSERT INTO access_keys (public_id, user_id) SELECT gen_random_uuid(), id FROM users`,
		`SET ROLE millrace_api`,
	} {
		refused(t, loader, sql)
	}
	if err := schema.Migrate(t.Context(), loader, olderAndNewer(t)); err == nil {
		t.Error("the loader migrated")
	}
	// A request that does not set its user sees no rows.
	conn, err := pgx.Connect(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	for _, table := range []string{"users", "uploads", "predictions", "prediction_parts", "prediction_rows", "deletions"} {
		var n int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("a request without a user sees %d rows of %s: %v", n, table, err)
		}
	}
	// A worker that takes a part for another user's stores nothing.
	c := &store.Claim{PredictionID: p.InternalID, Generation: 1, UserID: b.user.ID + 1}
	c.Part.Planned = true
	_, err = b.Ledger.CommitPart(t.Context(), c, store.PartResult{}, nil)
	wantErr(t, err, store.ErrLeaseLost)
}

// A claim whose user is not the upload's owner is refused by the fence.
func TestLoaderReadsTheOwnerFromTheUpload(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	c := b.claim("w")
	c.UserID++
	rows := scoredRows(c.Part, nil)
	_, err := b.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 10},
		strings.NewReader(string(encode(t, c.PredictionID, rows))))
	wantErr(t, err, store.ErrLeaseLost)
	wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
	wantEqual(t, "scored", b.reload(p).Status, store.Running)
	b.exec(`INSERT INTO users (subject) VALUES ('someone else')`)
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO ml_training_data (user_id, prediction_id, row_no, customer_hash, features,
		probability) SELECT max(u.id), max(d.id), 1, '', '{}', 0 FROM users u, predictions d`)
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23503" {
		t.Errorf("a row of another user's: %v", err)
	}
}

// olderAndNewer is the migrations and one more.
func olderAndNewer(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{"99999_next.sql": {Data: []byte("-- +goose Up\nCREATE TABLE next ();\n")}}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

func TestCheckSchema(t *testing.T) {
	admin := storetest.Postgres(t)
	api, loader := storetest.Logins(admin)
	for _, login := range []string{admin, api, loader} {
		if err := schema.Check(t.Context(), login, migrations.FS); err != nil {
			t.Error(err)
		}
		err := schema.Check(t.Context(), login, olderAndNewer(t))
		if err == nil || !strings.Contains(err.Error(), "millrace migrate up") {
			t.Errorf("an old schema: %v", err)
		}
	}
	if err := schema.Check(t.Context(), storetest.EmptyPostgres(t), migrations.FS); err == nil {
		t.Error("no schema is good enough")
	}
	for login, want := range map[string]bool{admin: true, api: false, loader: false, storetest.EmptyPostgres(t): true} {
		if owns, err := schema.Owns(t.Context(), login); owns != want || err != nil {
			t.Errorf("owns %v, not %v: %v", owns, want, err)
		}
	}
}

// Each login alone can do its own work and refuses the other's.
func TestRoles_SingleLogin(t *testing.T) {
	admin := storetest.Postgres(t)
	api, loader := storetest.Logins(admin)
	requests := openAs(t, admin, store.Config{URL: api})
	wantEqual(t, "may work", requests.MayWork(), false)
	work := openAs(t, admin, store.Config{URL: loader})
	wantEqual(t, "may work", work.MayWork(), true)
	user, err := requests.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	requests.user, work.user = user, user
	p := requests.upload(20)
	if _, err := requests.Ledger.ClaimPart(t.Context(), "w"); err == nil {
		t.Error("requests claim parts")
	}
	if err := work.finish(work.mustScore(work.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", requests.reload(p).Status, store.Completed)
	root := bench{TB: t, url: admin}
	root.exec(`CREATE ROLE nobody_at_all LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() { root.exec(`DROP ROLE nobody_at_all`) })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_at_all", "secret")
	for _, config := range []store.Config{
		{URL: u.String()},
		{URL: api, LoaderURL: u.String()},
		{URL: loader, LoaderURL: api},
		{URL: "postgres://[", LoaderURL: api},
		{URL: api, LoaderURL: "postgres://["},
	} {
		if s, err := store.Open(t.Context(), config); err == nil {
			s.Close()
			t.Error("opened")
		} else if strings.HasSuffix(config.URL, "[") || strings.HasSuffix(config.LoaderURL, "[") {
			if strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
		} else {
			wantErr(t, err, database.ErrRole)
		}
	}
}
