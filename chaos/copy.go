package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// databaseCopy is a database that was restored from a dump, with a process that serves it on the same bucket.
type databaseCopy struct {
	*disturber
	url    string
	conn   *pgx.Conn
	gate   *gate // all that it asks of S3
	client *client
	child  *process
}

// restoreCopy dumps the database, restores it beside, and starts a process with it on the same bucket when the original
// has swept again. The copy must serve and delete nothing, not even what its customers delete; what the original's
// customers delete waits until an operator adopts the bucket with the original.
func (d *disturber) restoreCopy(ctx context.Context, n int) (err error) {
	c := &databaseCopy{disturber: d}
	defer c.close()
	kept := d.rounds.last() // the dump has it as complete
	name := fmt.Sprint("chaos_copy_", n)
	if err := c.restore(ctx, name); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() {
		_, dropped := d.db.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		err = errors.Join(err, dropped)
	}()
	if err := c.fallBehind(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	if err := c.prepare(name); err != nil {
		return err
	}
	group.Go(func() { c.child.supervise(running) })
	if err := c.serves(ctx, kept); err != nil {
		return err
	}
	if err := c.keepsFiles(ctx, kept); err != nil {
		return fmt.Errorf("a deletion of the copy: %w", err)
	}
	if err := d.adoptInDispute(ctx); err != nil {
		return err
	}
	if n := c.gate.deletes.Load(); n > 0 {
		return fmt.Errorf("the copy asked to delete objects %d times", n)
	}
	return nil
}

// restore makes the copy from a dump that is taken while everything works.
func (c *databaseCopy) restore(ctx context.Context, name string) (err error) {
	if err := c.createDatabase(ctx, name); err != nil {
		return err
	}
	if c.url, err = databaseNamed(c.servers.DatabaseURL, name); err != nil {
		return err
	}
	dump := exec.CommandContext(ctx, "pg_dump", "--dbname", c.servers.DatabaseURL)
	restore := exec.CommandContext(ctx, "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", c.url)
	var dumpSaid, restoreSaid bytes.Buffer
	dump.Stderr, restore.Stderr = &dumpSaid, &restoreSaid
	if restore.Stdin, err = dump.StdoutPipe(); err != nil {
		return err
	}
	if err := dump.Start(); err != nil {
		return err
	}
	err = restore.Run()
	if err = errors.Join(err, dump.Wait()); err != nil {
		return fmt.Errorf("%w: %s%s", err, dumpSaid.String(), restoreSaid.String())
	}
	c.conn, err = pgx.Connect(ctx, c.url)
	return err
}

// fallBehind waits until the original has swept.
func (c *databaseCopy) fallBehind(ctx context.Context) error {
	var sweeps int64
	if err := c.conn.QueryRow(ctx, `SELECT sweeps FROM installation`).Scan(&sweeps); err != nil {
		return err
	}
	return c.until(ctx, "the original sweeps again", func() (bool, error) {
		m, err := c.checker.Mark(ctx)
		return m.Sweeps > sweeps, err
	})
}

// prepare makes the process that works with the copy. Nothing is in its way to the servers.
func (c *databaseCopy) prepare(name string) (err error) {
	if c.gate, err = newGate(hostOf(c.servers.S3.Endpoint)); err != nil {
		return err
	}
	api, err := freeAddress()
	if err != nil {
		return err
	}
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	c.client = newClient("http://"+api, "http://"+admin, c.issuer, c.notes)
	c.child = c.newProcessOn(way{database: c.url, objects: c.gate.address}, name,
		"--role", "all", "--listen", api, "--admin-listen", admin, "--sweep-after", "1ms")
	c.child.aside = true
	return nil
}

// serves waits until the copy serves, says what it is, and gives a result.
func (c *databaseCopy) serves(ctx context.Context, s settled) error {
	err := c.until(ctx, "the copy says that it is one", func() (bool, error) {
		status, body, err := c.client.do(ctx, http.MethodGet, c.client.api+"/ready", "", "", nil)
		return err == nil && status == http.StatusOK && bytes.Contains(body, []byte(`"installation":"copy"`)), nil
	})
	if err != nil {
		return err
	}
	status, body, err := c.client.do(ctx, http.MethodGet, c.client.api+"/predictions/"+s.PublicID+"/download",
		c.issuer.token(s.name), s.name, nil)
	if err == nil && (status != http.StatusOK || !bytes.Equal(body, s.want().Result)) {
		err = fmt.Errorf("the copy gave no result of %s but %d and %d bytes", s.name, status, len(body))
	}
	return err
}

// keepsFiles deletes a prediction as a customer of the copy, and starts the process again, which looks for deletions
// first.
func (c *databaseCopy) keepsFiles(ctx context.Context, s settled) error {
	status, err := c.client.remove(ctx, s.name, s.PublicID)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("answered with %d", status)
	}
	if err != nil {
		return err
	}
	c.child.signal(syscall.SIGKILL)
	err = c.until(ctx, "the copy has tried", func() (bool, error) { return tried(ctx, c.conn, s.PublicID) })
	if err != nil {
		return err
	}
	in := s.want()
	wrong, err := c.checker.Verify(ctx, &s.Prediction, &in)
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "; "))
	}
	return err
}

// close ends what the copy had for itself.
func (c *databaseCopy) close() {
	if c.gate != nil {
		c.gate.close()
	}
	if c.conn != nil {
		_ = c.conn.Close(context.Background()) // the database may be gone
	}
}
