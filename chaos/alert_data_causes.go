package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// failWebhooks has a receiver fail. Instead of waiting for a quarter of an hour and for twelve attempts, what the table
// says of the time and the attempts is changed.
func failWebhooks(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	i.receiver.fails.Store(true)
	end = func(ctx context.Context) error {
		i.receiver.fails.Store(false)
		c := newClient("", "http://"+i.workers[0].admin, i.issuer, i.notes)
		_, err := i.db.Exec(ctx, `UPDATE webhook_events SET next_at = '-infinity' WHERE NOT dead`) // backoff
		return errors.Join(err, i.until(ctx, time.Minute, "webhooks are queued again", func() (bool, error) {
			status, _, err := c.do(ctx, http.MethodPost, c.admin+"/webhooks/retry", "", "", nil)
			return err == nil && status/100 == 2, nil // the worker may be restarting
		}))
	}
	return end, i.until(ctx, time.Minute, "two webhooks wait", func() (bool, error) {
		tag, err := i.db.Exec(ctx, `
			WITH waiting AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM webhook_events WHERE NOT dead LIMIT 2)
			UPDATE webhook_events e SET created_at = created_at - interval '16 minutes',
			       attempts = CASE WHEN n = 2 THEN 11 ELSE attempts END,
			       next_at = CASE WHEN n = 2 THEN '-infinity' ELSE next_at END
			FROM waiting WHERE waiting.id = e.id AND (SELECT count(*) FROM waiting) = 2`)
		return tag.RowsAffected() == 2, err
	})
}

// refuseRows has PostgreSQL refuse the rows of one file.
func refuseRows(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	const name = "refused.csv"
	err = i.alter(ctx, `
		CREATE FUNCTION refuse_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			IF EXISTS (SELECT FROM public.predictions p JOIN public.uploads u ON u.id = p.upload_id
			           WHERE p.id = NEW.prediction_id AND u.filename = '`+name+`') THEN
				RAISE EXCEPTION 'refused';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER refuse_rows BEFORE INSERT ON prediction_blocks FOR EACH ROW EXECUTE FUNCTION refuse_rows()`)
	if err != nil {
		return nil, err
	}
	file, err := telecomRows(loadRows)
	if err != nil {
		return nil, err
	}
	id, err := i.upload(ctx, name, file, false)
	return func(ctx context.Context) error {
		err := i.alter(ctx, `DROP TRIGGER refuse_rows ON prediction_blocks; DROP FUNCTION refuse_rows`)
		c := newClient("", "http://"+i.workers[0].admin, i.issuer, i.notes)
		return errors.Join(err, i.until(ctx, time.Minute, "a dead letter is queued again", func() (bool, error) {
			status, _, err := c.do(ctx, http.MethodPost, c.admin+"/dead-letters/"+id+"/retry", "", "", nil)
			return err == nil && status/100 == 2, nil
		}))
	}, err
}

// alter changes the schema under load: it gives up a lock sooner than PostgreSQL looks for deadlocks, and tries again.
func (i *installation) alter(ctx context.Context, sql string) error {
	return i.until(ctx, time.Minute, "the schema is changed", func() (bool, error) {
		_, err := i.db.Exec(ctx, "SET lock_timeout = '200ms';"+sql+"; SET lock_timeout = 0")
		var busy *pgconn.PgError
		if errors.As(err, &busy) && busy.Code == "55P03" {
			return false, nil
		}
		return err == nil, err
	})
}

// driftingFiles has all customers send files of customers who have just come. Instead of waiting for a month that has only
// such files, and for one without them, what the table says of the time of earlier uploads is changed.
func driftingFiles(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	usual := i.load.file.Load()
	lines := strings.SplitAfter(string(*usual), "\n")
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for n := range lines {
		fmt.Fprintf(&b, "N-%d,1,%d.5,%d.5,Month-to-month\n", n, 70+n%40, 70+n%40)
	}
	file := []byte(b.String())
	i.load.file.Store(&file)
	monthPasses := func(ctx context.Context) error {
		_, err := i.db.Exec(ctx, `UPDATE prediction_counts SET uploaded_at = uploaded_at - interval '31 days'`)
		return err
	}
	return func(ctx context.Context) error {
		i.load.file.Store(usual)
		return monthPasses(ctx)
	}, monthPasses(ctx)
}

// deleteResult deletes a result that is then fetched.
func deleteResult(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	return nil, i.spoilResult(ctx, "deleted.csv", http.StatusGone, os.Remove)
}

// flipResult flips a bit of a result that is then fetched.
func flipResult(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	return nil, i.spoilResult(ctx, "flipped.csv", http.StatusServiceUnavailable, func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content[0] ^= 1 // in the first block, which is compared before the answer begins
		return os.WriteFile(path, content, 0o600)
	})
}

// spoilResult does something to the stored result of a file and fetches it, which must be answered with status.
func (i *installation) spoilResult(ctx context.Context, name string, status int, spoil func(path string) error) error {
	file, err := telecomRows(loadRows)
	if err != nil {
		return err
	}
	id, err := i.upload(ctx, name, file, true)
	if err != nil {
		return err
	}
	var key string
	if err := i.db.QueryRow(ctx, `SELECT result_key FROM predictions WHERE public_id = $1`, id).Scan(&key); err != nil {
		return err
	}
	if err := spoil(filepath.Join(i.servers.S3Dir, key)); err != nil {
		return err
	}
	api := "http://" + i.apis[0].api
	got, body, err := newClient(api, "", i.issuer, i.notes).
		do(ctx, http.MethodGet, api+"/predictions/"+id+"/download", i.issuer.token(name), "", nil)
	if err == nil && got != status {
		err = fmt.Errorf("download of %s: %d %s", name, got, body)
	}
	return err
}

// loseModel accepts a file for a version of the model that neither a process nor the bucket has.
func loseModel(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	const name, nowhere = "nowhere.csv", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	err = i.alter(ctx, `
		CREATE FUNCTION lose_model() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			IF EXISTS (SELECT FROM public.uploads u WHERE u.id = NEW.upload_id AND u.filename = '`+name+`') THEN
				NEW.model_sha256 := '`+nowhere+`';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER lose_model BEFORE INSERT ON predictions FOR EACH ROW EXECUTE FUNCTION lose_model()`)
	if err != nil {
		return nil, err
	}
	file, err := telecomRows(loadRows)
	if err != nil {
		return nil, err
	}
	id, err := i.upload(ctx, name, file, false)
	return func(ctx context.Context) error {
		err := i.alter(ctx, `DROP TRIGGER lose_model ON predictions; DROP FUNCTION lose_model`)
		_, found := i.db.Exec(ctx, `
			UPDATE predictions SET model_sha256 = (SELECT model_sha256 FROM predictions WHERE model_sha256 <> $2 LIMIT 1)
			WHERE public_id = $1`, id, nowhere)
		return errors.Join(err, found)
	}, err
}

// plantMany leaves more objects that no row knows than a sweep deletes without an operator.
func plantMany(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	old := time.Now().Add(-plantedAge)
	for range 25 {
		var id string
		if err := i.db.QueryRow(ctx, `SELECT gen_random_uuid()::text`).Scan(&id); err != nil {
			return nil, err
		}
		key := "uploads/" + id + "/input.csv"
		if err := i.checker.Put(ctx, key, []byte("left over")); err != nil {
			return nil, err
		}
		if err := os.Chtimes(filepath.Join(i.servers.S3Dir, key), old, old); err != nil {
			return nil, err
		}
	}
	return i.confirmOrphans, nil
}

var confirmCount = regexp.MustCompile(`--confirm (\d+)`)

// confirmOrphans is what an operator does who knows that the objects may go.
func (i *installation) confirmOrphans(ctx context.Context) error {
	_, said, err := i.operate(ctx, "store", "orphans")
	count := confirmCount.FindStringSubmatch(said)
	if err == nil && count == nil {
		err = fmt.Errorf("store orphans: %s", said)
	}
	if err != nil {
		return err
	}
	code, said, err := i.operate(ctx, "store", "orphans", "--confirm", count[1])
	if err == nil && code != 0 {
		err = fmt.Errorf("store orphans --confirm: %d %s", code, said)
	}
	return err
}

// operate runs a command of millrace beside the processes.
func (i *installation) operate(ctx context.Context, args ...string) (code int, said string, err error) {
	servers := way{database: i.servers.DatabaseURL, objects: hostOf(i.servers.S3.Endpoint)}
	return i.command(ctx, servers, "operator", append(args, "--data-dir", filepath.Join(i.dir, "operator"))...)
}

// fallBehind is what a dump that is restored after the bucket was swept looks like. It ends as an operator ends it.
func fallBehind(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	_, err = i.db.Exec(ctx, `UPDATE installation SET sweeps = sweeps - 2`)
	return func(ctx context.Context) error {
		code, said, err := i.operate(ctx, "store", "adopt")
		if err == nil && code != 0 {
			err = fmt.Errorf("adopt: %d %s", code, said)
		}
		return err
	}, err
}
