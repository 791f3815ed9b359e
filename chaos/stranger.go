package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// The databases of strangers. The first never gets a mark, as it meets no store of its own; the other has one.
const freshDatabase, otherDatabase = "chaos_fresh", "chaos_other"

// strangerWait is how long a process may take to see that it is wrong.
const strangerWait = time.Minute

// statusUsage is the exit status of a mistake in the configuration (docs/commands.md).
const statusUsage = 64

// meetStranger starts a process with another database on the bucket: it must end, name both installations and have
// deleted nothing.
func (d *disturber) meetStranger(ctx context.Context, n int) error {
	name := freshDatabase
	if n%2 > 0 {
		name = otherDatabase
	}
	own, err := d.ownMark(ctx, name)
	if err != nil {
		return err
	}
	mark, err := d.checker.Mark(ctx)
	if err != nil {
		return err
	}
	g, err := newGate(hostOf(d.servers.S3.Endpoint))
	if err != nil {
		return err
	}
	defer g.close()
	database, err := databaseNamed(d.servers.DatabaseURL, name)
	if err != nil {
		return err
	}
	code, text, err := d.command(ctx, way{database: database, objects: g.address}, name,
		"serve", "--role", "all", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sweep-after", "1ms",
		"--data-dir", filepath.Join(d.dir, name))
	d.write("a stranger, %s, ended with %d: %s", name, code, text)
	want := "belongs to installation " + mark.Installation + ", the database to " + own
	switch {
	case err != nil:
		return err
	case code != statusUsage || !strings.Contains(text, want):
		return fmt.Errorf("ended with %d and not with %q: %s", code, want, text)
	case g.deletes.Load() > 0:
		return fmt.Errorf("asked to delete objects %d times", g.deletes.Load())
	}
	return nil
}

// ownMark makes the database of a stranger unless it is there, and says what its mark is, in words.
func (d *disturber) ownMark(ctx context.Context, name string) (mark string, err error) {
	var there bool
	err = d.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil {
		return "", err
	}
	if !there {
		if err := d.createDatabase(ctx, name); err != nil {
			return "", err
		}
	}
	if name == freshDatabase {
		return "no installation", nil
	}
	url, err := databaseNamed(d.servers.DatabaseURL, name)
	if err != nil {
		return "", err
	}
	if !there { // its own store is a directory
		dir := filepath.Join(d.dir, name+"-store")
		if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o755); err != nil {
			return "", err
		}
		command := exec.CommandContext(ctx, d.config.Millrace, "store", "adopt", "--database-url", url, "--data-dir", dir)
		if text, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("adopt a directory: %w: %s", err, text)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, `SELECT 'installation ' || id FROM installation`).Scan(&mark)
	return mark, err
}

func (w *world) createDatabase(ctx context.Context, name string) error {
	_, err := w.db.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE template0")
	return err
}

// command runs millrace to its end, and gives its exit code and what it said on standard error.
func (w *world) command(
	ctx context.Context, servers way, name string, args ...string,
) (code int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, strangerWait)
	defer cancel()
	command := exec.CommandContext(ctx, w.config.Millrace, args...)
	command.Env = append(os.Environ(), w.environment(servers, name)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var text strings.Builder
	command.Stderr = &text
	err = command.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), text.String(), nil
	}
	return 0, text.String(), err
}
