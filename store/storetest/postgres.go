package storetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/schema"
)

var postgres server[*cluster.Cluster]

const template = "millrace_template"

// Postgres returns the URL of a fresh database with the newest schema, which is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return newDatabase(t, template)
}

// EmptyPostgres returns the URL of a fresh database without any schema.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}

// Open returns a store on a database: the one of config.URL, by that login alone, else a fresh one in which requests and
// workers have a login each, with the rights of their roles and no other: see [Logins]. A connection that
// is not released when the test ends fails it.
func Open(t testing.TB, config store.Config) *store.Store {
	t.Helper()
	if config.URL == "" {
		config.URL, config.LoaderURL = Logins(Postgres(t))
	}
	s, err := store.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer s.Close()
		wait := time.Now().Add(5 * time.Second)
		for s.PoolState().Acquired > 0 && time.Now().Before(wait) { // a cancelled call may be on its way out
			time.Sleep(time.Millisecond)
		}
		if n := s.PoolState().Acquired; n > 0 {
			t.Errorf("%d connections of the pool were not given back", n)
		}
	})
	return s
}

// The logins that stand for a deployment's.
const (
	apiLogin    = "millrace_test_api"
	loaderLogin = "millrace_test_loader"
)

// Logins returns the URLs of a database of [Postgres] for a login that is a member of millrace_api and for one that is a
// member of millrace_loader, and of nothing else. The URL of another login, or one without a login, is returned as it
// is, and no second one.
func Logins(database string) (api, loader string) {
	u, err := url.Parse(database)
	if err != nil || u.User == nil || u.User.Username() != "millrace" {
		return database, ""
	}
	password, _ := u.User.Password()
	as := func(login string) string {
		other := *u
		other.User = url.UserPassword(login, password)
		return other.String()
	}
	return as(apiLogin), as(loaderLogin)
}

func newDatabase(t testing.TB, from string) string {
	t.Helper()
	c := postgres.get(t, startPostgres)
	name := sqlName(uniqueName(t))
	if err := execute(c.URL(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from)); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(c.URL(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return databaseURL(c.URL(), name)
}

func databaseURL(clusterURL, name string) string {
	u, err := url.Parse(clusterURL)
	if err != nil {
		panic(err) // made by store/cluster
	}
	u.Path = "/" + name
	return u.String()
}

// startPostgres starts a cluster that forgets what a power cut would cost it, and makes the template.
func startPostgres() (*cluster.Cluster, error) {
	dir, err := makeDir("postgres")
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(background(), cluster.Config{
		Dir: filepath.Join(dir, "cluster"),
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "64MB",
		},
	})
	if err != nil {
		return nil, err
	}
	if err := guardPostgres(c, dir); err != nil {
		return nil, err
	}
	if err := execute(c.URL(), "CREATE DATABASE "+template); err != nil {
		return nil, err
	}
	if err := schema.Migrate(background(), databaseURL(c.URL(), template), migrations.FS); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL())
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	return c, execute(c.URL(), fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE millrace_api;
		CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE millrace_loader`, apiLogin, password, loaderLogin, password))
}

func guardPostgres(c *cluster.Cluster, dir string) error {
	note, err := os.ReadFile(filepath.Join(c.Dir(), "data", "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(note), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	return guard(pid, dir)
}

func execute(url, sql string) error {
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// Exec runs a statement without going through the store.
func Exec(t testing.TB, database, sql string) {
	t.Helper()
	if err := execute(database, sql); err != nil {
		t.Fatal(err)
	}
}

// Hold runs a statement on a connection that stays open until release, or the end of the test: locks of the session are kept.
func Hold(t testing.TB, database, sql string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(background(), database)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = conn.Close(background()) })
	t.Cleanup(release)
	if _, err := conn.Exec(background(), sql); err != nil {
		t.Fatal(err)
	}
	return release
}

// Ask returns the one value of a query as text, without going through the store.
func Ask(t testing.TB, database, sql string) (answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, `SELECT (`+sql+`)::text`).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}
