package store_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// predecessorTables are as the predecessor's Alembic left them: integer ids, e-mail addresses, statuses as text.
const predecessorTables = `
	CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
	CREATE TABLE users (id serial PRIMARY KEY, email text, clerk_id text UNIQUE);
	CREATE TABLE uploads (id serial PRIMARY KEY, user_id int REFERENCES users, filename text, status text, created_at timestamp);
	CREATE TABLE predictions (id serial PRIMARY KEY, upload_id int REFERENCES uploads, user_id int, status text,
	    rows_processed int, created_at timestamp);
	CREATE TABLE ml_training_data (id serial PRIMARY KEY, user_id int, features json, actual_churn boolean);
	CREATE INDEX idx_predictions_user_id ON predictions (user_id);
	INSERT INTO users (email, clerk_id) VALUES ('a@example.com', 'user_1');
	INSERT INTO uploads (user_id, filename, status) VALUES (1, 'customers.csv', 'completed');
	INSERT INTO predictions (upload_id, user_id, status, rows_processed) VALUES (1, 1, 'completed', 1500)`

// The predecessor's database is not taken over in place: it is refused as it is, by every start, and millrace works in
// a schema of its own beside it.
func TestB24PredecessorsDatabaseIsLeftAlone(t *testing.T) {
	url := storetest.EmptyPostgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), predecessorTables); err != nil {
		t.Fatal(err)
	}
	before := leftovers(t, url)
	for range 2 {
		if err := schema.Migrate(t.Context(), url, migrations.FS); !errors.Is(err, schema.ErrForeignTables) {
			t.Errorf("%v, want a word about another program's tables", err)
		}
	}
	if after := leftovers(t, url); after != before {
		t.Errorf("it has\n%s, had\n%s", after, before)
	}
	var rows int
	err = conn.QueryRow(t.Context(), `SELECT rows_processed FROM predictions`).Scan(&rows)
	if err != nil || rows != 1500 {
		t.Errorf("its prediction has %d rows: %v", rows, err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE SCHEMA millrace`); err != nil {
		t.Fatal(err)
	}
	if err := schema.Migrate(t.Context(), url+"&search_path=millrace", migrations.FS); err != nil {
		t.Errorf("beside it: %v", err)
	}
}
