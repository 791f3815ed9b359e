package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/schema"
)

const (
	// schemaBefore is the newest migration of the release before, from which an upgrade begins.
	schemaBefore = "00023"
	upgradeMax   = 60_000.0 // milliseconds without service
	upgradeUsers = 4        // connections of the version before, each of which reads and writes without a pause
)

// runUpgrade measures what an upgrade costs those who go on: the statements of the version before while the schema is
// migrated under them, and the requests to a single process while it is replaced by the next one.
func runUpgrade(ctx context.Context, o Options, r *Report) error {
	if err := r.upgradeSchema(ctx, o); err != nil {
		return err
	}
	return r.replaceProcess(ctx, o)
}

// schemaUntil is the migrations up to one.
type schemaUntil struct {
	fs.ReadDirFS
	last string
}

// ReadDir implements [fs.ReadDirFS].
func (u schemaUntil) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := u.ReadDirFS.ReadDir(name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return e.Name()[:len(u.last)] > u.last }), err
}

// oldStatements are of the version before, for a user: an upload with its prediction and its end, and a page.
var oldStatements = []string{
	`WITH u AS (INSERT INTO uploads (public_id, user_id, object_key, status, filename)
	            VALUES (gen_random_uuid(), $1, 'uploads/' || gen_random_uuid(), 'pending', 'a.csv') RETURNING id, user_id)
	 INSERT INTO predictions (public_id, upload_id, user_id) SELECT gen_random_uuid(), id, user_id FROM u`,
	`UPDATE predictions SET status = 'completed', finished_at = clock_timestamp()
	 WHERE id = (SELECT max(id) FROM predictions WHERE user_id = $1)`,
	`SELECT count(*) FROM (SELECT id FROM predictions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 100) p`,
	`SELECT count(*) FROM uploads WHERE user_id = $1 AND status = 'pending'`,
	`SELECT count(*) FROM ml_training_data WHERE user_id = $1`,
}

func (r *Report) upgradeSchema(ctx context.Context, o Options) (err error) {
	d, err := openDatabase(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	f := o.filling()
	if !o.Quick {
		f.training = 1_000_000
	}
	if err := schema.Migrate(ctx, d.schemaURL(), schemaUntil{migrations.FS, schemaBefore}); err != nil {
		return err
	}
	if err := d.fill(ctx, f); err != nil {
		return err
	}
	r.Note = fmt.Sprintf("With %s, and %d connections that read and write without a pause.", f.String(), upgradeUsers)
	var took time.Duration
	samples, err := d.work(ctx, o, func() error {
		begin := time.Now()
		err := schema.Migrate(ctx, d.schemaURL(), migrations.FS)
		took = time.Since(begin)
		return err
	})
	if err != nil {
		return err
	}
	l := latency{Name: "statements while the schema is migrated"}
	if err := r.addLatency(l, 0, samples); err != nil {
		return err
	}
	r.atMost("migration", upgradeMax, "ms", took.Seconds()*1e3)
	r.atMost("longest statement of the version before meanwhile", upgradeMax, "ms", r.Latencies[0].Max)
	return nil
}

// work runs the statements of the version before: for a while, while do runs, and for a while.
func (d *database) work(ctx context.Context, o Options, do func() error) ([]sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	all, errs := make([][]sample, upgradeUsers), make([]error, upgradeUsers)
	var group sync.WaitGroup
	for i := range upgradeUsers {
		group.Go(func() { all[i], errs[i] = d.oldVersion(ctx, 1+i, stop) })
	}
	pause := time.Duration(o.Seconds * float64(time.Second))
	if o.Quick {
		pause = 50 * time.Millisecond
	}
	time.Sleep(pause)
	err := do()
	time.Sleep(pause)
	close(stop)
	group.Wait()
	return slices.Concat(all...), errors.Join(append(errs, err)...)
}

// oldVersion works for a user until stop is closed.
func (d *database) oldVersion(ctx context.Context, user int, stop <-chan struct{}) (samples []sample, err error) {
	conn, err := pgx.Connect(ctx, d.schemaURL())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for {
		for _, statement := range oldStatements {
			select {
			case <-stop:
				return samples, nil
			default:
			}
			begin := time.Now()
			if _, err := conn.Exec(ctx, statement, user); err != nil {
				return samples, fmt.Errorf("while the schema is migrated: %w", err)
			}
			samples = append(samples, sample{took: time.Since(begin)})
		}
	}
}

// replaceProcess stops the only process and starts it again, private PostgreSQL and all, and says for how long neither
// a page nor an upload was answered.
func (r *Report) replaceProcess(ctx context.Context, o Options) (err error) {
	s, err := startServer(ctx, []string{"DATABASE_URL="})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	upload := customersOf(o.Sample, 10).uploadCall()
	if err := s.send(ctx, upload); err != nil {
		return err
	}
	begin := time.Now()
	if err := s.restart(ctx); err != nil {
		return err
	}
	page := call{name: "page", method: http.MethodGet, path: "/predictions?limit=20", status: http.StatusOK}
	if err := errors.Join(s.send(ctx, page), s.send(ctx, upload)); err != nil {
		return err
	}
	r.atMost("one process replaced, from SIGTERM to the next page and upload", upgradeMax, "ms",
		time.Since(begin).Seconds()*1e3)
	return nil
}
