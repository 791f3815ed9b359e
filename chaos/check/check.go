// Package check says whether a finished prediction is what it should be. It is written apart from millrace, of which it
// imports nothing: it reads the CSV that was sent, the tables by plain SQL and the objects of the bucket.
package check

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Input is a file, and what an undisturbed run of the command line makes of it.
type Input struct {
	CSV, Result, Rejects []byte
}

// Bucket is where the objects are.
type Bucket struct {
	Endpoint, Name, AccessKey, SecretKey string
}

// Checker reads what millrace has stored. It is safe for concurrent use.
type Checker struct {
	db     *pgxpool.Pool
	s3     *s3.Client
	bucket string
}

// New makes a checker, which goes to the servers straight.
func New(db *pgxpool.Pool, b Bucket) *Checker {
	client := s3.New(s3.Options{
		BaseEndpoint: &b.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(b.AccessKey, b.SecretKey, ""),
	})
	return &Checker{db: db, s3: client, bucket: b.Name}
}

// Prediction is a row of predictions with its upload's.
type Prediction struct {
	ID                            int64
	PublicID, Status, Stage, Code string
	Version                       string // of the model
	Generation                    int
	Scored, Rejected, Rows        int64
	SHA256                        string
	UploadKey                     string
	ResultKey, RejectsKey         string
	ResultBytes, RejectsBytes     int64
}

// Done reports whether the prediction is final unless a user asks for more.
func (p *Prediction) Done() bool { return p.Status != "queued" && p.Status != "running" }

// Predictions lists what became of a file that was sent under a name, as often as it arrived.
func (c *Checker) Predictions(ctx context.Context, filename string) ([]Prediction, error) {
	rows, err := c.db.Query(ctx, `
		SELECT d.id, d.public_id::text, d.status, coalesce(d.error->>'stage', ''), coalesce(d.error->>'code', ''),
		       coalesce(d.model_version, ''),
		       d.generation, d.rows_scored, d.rows_rejected, u.row_count, encode(u.sha256, 'hex'), u.object_key,
		       coalesce(d.result_key, ''), coalesce(d.rejects_key, ''),
		       coalesce(d.result_bytes, 0), coalesce(d.rejects_bytes, 0)
		FROM predictions d JOIN uploads u ON u.id = d.upload_id WHERE u.filename = $1 ORDER BY d.id`, filename)
	if err != nil {
		return nil, fmt.Errorf("list predictions: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Prediction])
}

// Print lists the version of every row that belongs to a prediction: any write changes it, even one that writes the
// same values again. Of a generation that was given up, the sweep may close what is open, whenever it comes by; for all
// else that can be written to its parts there are their values.
func (c *Checker) Print(ctx context.Context, id int64) (print []string, err error) {
	rows, err := c.db.Query(ctx, `
		SELECT t FROM (
		    SELECT 'prediction ' || xmin FROM predictions WHERE id = $1
		    UNION ALL
		    SELECT 'upload ' || u.xmin FROM uploads u JOIN predictions d ON d.upload_id = u.id WHERE d.id = $1
		    UNION ALL
		    SELECT concat_ws(' ', 'part', p.generation, p.part_no, CASE WHEN p.generation = d.generation OR p.status = 'done'
		               THEN concat_ws(' ', p.status, p.xmin)
		               ELSE concat_ws(' ', 'given up', p.epoch, p.attempts, p.worker, p.lease_until) END)
		    FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id WHERE d.id = $1
		    UNION ALL
		    SELECT concat_ws(' ', 'block', first_row, xmin) FROM prediction_blocks WHERE prediction_id = $1
		) v (t) ORDER BY t`, id)
	if err != nil {
		return nil, fmt.Errorf("read print: %w", err)
	}
	print, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read print: %w", err)
	}
	return print, nil
}

// report collects what is wrong.
type report []string

func (r *report) add(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

func same[T comparable](r *report, what string, got, want T) {
	if got != want {
		r.add("%s: %v, want %v", what, got, want)
	}
}

// Verify returns what is wrong with a prediction of an input. The error is about the reading, not the prediction.
func (c *Checker) Verify(ctx context.Context, p *Prediction, in *Input) (wrong []string, err error) {
	var r report
	want, err := readExpected(in)
	if err != nil {
		return nil, err
	}
	same(&r, "status", p.Status, "completed")
	sum := sha256.Sum256(in.CSV)
	same(&r, "sha256 of the upload", p.SHA256, hex.EncodeToString(sum[:]))
	same(&r, "rows of the upload", p.Rows, want.rows)
	same(&r, "scored rows", p.Scored, int64(len(want.scored)))
	same(&r, "rejected rows", p.Rejected, want.rows-int64(len(want.scored)))
	for _, o := range []struct {
		name, key string
		bytes     int64
		want      []byte
	}{
		{"result.csv", p.ResultKey, p.ResultBytes, in.Result},
		{"rejects.csv", p.RejectsKey, p.RejectsBytes, in.Rejects},
	} {
		if err := c.verifyObject(ctx, &r, p, o.name, o.key, o.bytes, o.want); err != nil {
			return nil, err
		}
	}
	if err := c.verifyParts(ctx, &r, p, want); err != nil {
		return nil, err
	}
	if err := c.verifyBlocks(ctx, &r, p, want); err != nil {
		return nil, err
	}
	return r, nil
}

// verifyObject compares an object with what it should be: of the generation that is published, to the byte.
func (c *Checker) verifyObject(
	ctx context.Context, r *report, p *Prediction, name, key string, size int64, want []byte,
) error {
	same(r, "key of "+name, key, fmt.Sprintf("results/%s/%d/%s", p.PublicID, p.Generation, name))
	same(r, "bytes of "+name+" by the table", size, int64(len(want)))
	if key == "" {
		return nil
	}
	object, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		r.add("get %s: %v", name, err)
		return nil
	}
	defer func() { _ = object.Body.Close() }()
	text, err := io.ReadAll(object.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if !bytes.Equal(text, want) {
		r.add("%s has %d bytes that differ at %d from the %d of an undisturbed run", name, len(text),
			differAt(text, want), len(want))
	}
	return nil
}

func differAt(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// Leftovers counts the objects of parts that are still there, which only a crash between publishing and cleaning up
// leaves behind.
func (c *Checker) Leftovers(ctx context.Context) (n int, err error) {
	keys, err := c.Objects(ctx, "results/")
	for _, key := range keys {
		if strings.Contains(key, "/parts/") {
			n++
		}
	}
	return n, err
}

// SHA256 is the digest of an object.
func (c *Checker) SHA256(ctx context.Context, key string) (sum [sha256.Size]byte, err error) {
	object, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return sum, fmt.Errorf("get %s: %w", key, err)
	}
	defer func() { _ = object.Body.Close() }()
	digest := sha256.New()
	if _, err := io.Copy(digest, object.Body); err != nil {
		return sum, fmt.Errorf("read %s: %w", key, err)
	}
	digest.Sum(sum[:0])
	return sum, nil
}
