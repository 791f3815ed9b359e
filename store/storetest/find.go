package storetest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Find returns the columns of a database, as table.column, that have a word in any row, also inside JSON, arrays and
// bytes. Where pg_dump is installed, its output is searched too, and counts as "dump".
func Find(t testing.TB, database, word string) (places []string) {
	t.Helper()
	conn, err := pgx.Connect(background(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(background()) }()
	rows, err := conn.Query(background(), `
		SELECT table_name, column_name, data_type = 'bytea'
		FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct {
		Table, Name string
		Bytes       bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil || len(columns) < 100 {
		t.Fatalf("%d columns to search, %v", len(columns), err)
	}
	for _, c := range columns {
		name, where := pgx.Identifier{c.Name}.Sanitize(), `strpos(%::text, $1) > 0`
		if c.Bytes {
			where = `position(convert_to($1, 'UTF8') IN %) > 0`
		}
		var found bool
		err := conn.QueryRow(background(), `SELECT EXISTS (SELECT FROM `+pgx.Identifier{c.Table}.Sanitize()+
			` WHERE `+strings.ReplaceAll(where, "%", name)+`)`, word).Scan(&found)
		if err != nil {
			t.Fatalf("search %s.%s: %v", c.Table, c.Name, err)
		}
		if found {
			places = append(places, c.Table+"."+c.Name)
		}
	}
	if dump, err := exec.LookPath("pg_dump"); err == nil {
		text, err := exec.Command(dump, "--dbname", database).Output()
		if err != nil {
			t.Fatalf("pg_dump: %v", err)
		}
		if strings.Contains(string(text), word) {
			places = append(places, "dump")
		}
	}
	slices.Sort(places)
	return places
}
