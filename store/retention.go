package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// expireAtOnce bounds the transactions that expire predictions.
const expireAtOnce = 100

// Expire takes the results of predictions that ended longer ago than age: their rows at once, their files by
// [Store.SweepDeletions], and months without any row left. The predictions stay, with the time in ResultsDeletedAt, and
// so do files in the inbox, which belong to whoever dropped them. Several processes may do it at the same time.
func (s *Store) Expire(ctx context.Context, age time.Duration) (expired int, err error) {
	for {
		tag, err := s.pool.Exec(ctx, `
			WITH gone AS (
			    UPDATE predictions d SET results_deleted_at = clock_timestamp(), summary = NULL
			    FROM uploads u
			    WHERE u.id = d.upload_id AND d.id IN (
			        SELECT id FROM predictions
			        WHERE results_deleted_at IS NULL AND status NOT IN ('queued', 'running') AND NOT finish_due
			          AND finished_at < statement_timestamp() - $1::bigint * interval '1 microsecond'
			        ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			    RETURNING d.id, d.public_id, u.public_id AS upload_id, d.user_id
			), blocks AS (
			    DELETE FROM prediction_blocks WHERE prediction_id = ANY (ARRAY(SELECT id FROM gone))
			)
			INSERT INTO deletions (prediction_id, upload_id, user_id)
			SELECT public_id, upload_id, user_id FROM gone ON CONFLICT (prediction_id) DO NOTHING`,
			age.Microseconds(), expireAtOnce)
		if err != nil {
			return expired, fmt.Errorf("expire results: %w", err)
		}
		expired += int(tag.RowsAffected())
		if tag.RowsAffected() < expireAtOnce {
			break
		}
	}
	// Ids of a month may still be handed out when it ends.
	_, err = s.pool.Exec(ctx, `SELECT drop_empty_prediction_months(
		(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') - interval '1 month')::date)`)
	if err != nil {
		return expired, fmt.Errorf("expire results: %w", err)
	}
	return expired, nil
}

// SweepOrphans removes objects of our own that nothing in the database speaks of and that are older than age: uploads
// that broke between object and row, results of runs from before a retry, files that were put through a link and then
// neither completed nor taken over, and the parts of predictions that ended longer ago than age and whose worker broke
// before it dropped them. Only a finisher reads parts. One that still does after another has published publishes
// nothing, and joins either all parts, to the same bytes, or fails on the first that is gone and leaves the result.
func (s *Store) SweepOrphans(ctx context.Context, o Objects, age time.Duration) (swept int, err error) {
	for _, prefix := range []string{"uploads/", "results/", DirectPrefix} {
		var batch []string
		for info, err := range o.List(ctx, prefix) {
			if err != nil {
				return swept, fmt.Errorf("sweep orphans: %w", err)
			}
			if time.Since(info.Modified) < age {
				continue
			}
			if batch = append(batch, info.Key); len(batch) == orphansAtOnce {
				n, err := s.sweepOrphans(ctx, o, batch, age)
				if swept += n; err != nil {
					return swept, err
				}
				batch = batch[:0]
			}
		}
		n, err := s.sweepOrphans(ctx, o, batch, age)
		if swept += n; err != nil {
			return swept, err
		}
	}
	return swept, nil
}

const orphansAtOnce = 500

// sweepOrphans deletes those of the keys whose owner is not in the database. A prediction owns its generation's
// objects, but the parts only until it has been over for age.
func (s *Store) sweepOrphans(ctx context.Context, o Objects, keys []string, age time.Duration) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	ids, generations := make([]*uuid.UUID, len(keys)), make([]int, len(keys))
	for i, key := range keys {
		ids[i], generations[i] = ownerOf(key)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT k.key FROM unnest($1::text[], $2::uuid[], $3::int[]) AS k (key, id, generation)
		WHERE k.id IS NOT NULL
		  AND NOT EXISTS (SELECT FROM uploads u
		      WHERE u.public_id = k.id AND (k.generation = 0 OR k.generation = -1 AND u.object_key = k.key))
		  AND NOT EXISTS (SELECT FROM upload_links l
		      WHERE l.public_id = k.id AND k.generation = -1 AND l.prediction_id IS NULL)
		  AND NOT EXISTS (SELECT FROM predictions d WHERE d.public_id = k.id AND d.generation = k.generation
		      AND NOT (split_part(k.key, '/', 4) = 'parts' AND d.status NOT IN ('queued', 'running')
		               AND NOT d.finish_due AND d.finished_at < clock_timestamp() - $4::bigint * interval '1 microsecond'))`,
		keys, ids, generations, age.Microseconds())
	if err != nil {
		return 0, fmt.Errorf("sweep orphans: %w", err)
	}
	orphans, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(orphans) > 0 {
		err = o.Delete(ctx, orphans...)
	}
	if err != nil {
		return 0, fmt.Errorf("sweep orphans: %w", err)
	}
	return len(orphans), nil
}

// ownerOf gives the upload (generation 0), its link (-1) or the prediction that a key was made for; nil if we have not
// made it.
func ownerOf(key string) (*uuid.UUID, int) {
	if id, ok := DirectUpload(key); ok {
		return &id, -1
	}
	segments := strings.Split(key, "/")
	if len(segments) < 3 {
		return nil, 0
	}
	id, err := uuid.Parse(segments[1])
	if err != nil {
		return nil, 0
	}
	if segments[0] == "uploads" {
		return &id, 0
	}
	generation, err := strconv.Atoi(segments[2])
	if err != nil || generation < 1 {
		return nil, 0
	}
	return &id, generation
}

// Unheard says which of the dropped objects no upload speaks of. An object that was there when its key was last
// recorded is known, whatever version the record names: an event tells another than a list does.
func (s *Store) Unheard(ctx context.Context, bucket string, objects []ObjectInfo) ([]ObjectInfo, error) {
	keys, times := make([]string, len(objects)), make([]time.Time, len(objects))
	for i, o := range objects {
		keys[i], times[i] = o.Key, o.Modified
	}
	rows, err := s.pool.Query(ctx, `
		SELECT k.i - 1 FROM unnest($2::text[], $3::timestamptz[]) WITH ORDINALITY AS k (key, modified, i)
		WHERE NOT EXISTS (SELECT FROM uploads u WHERE u.source_bucket = $1 AND u.source_key = k.key
		                  AND u.created_at >= k.modified - interval '5 minutes')
		  AND NOT EXISTS (SELECT FROM deletions x WHERE x.source_key = k.key)`, bucket, keys, times)
	if err != nil {
		return nil, fmt.Errorf("compare inbox: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("compare inbox: %w", err)
	}
	unheard := make([]ObjectInfo, len(list))
	for i, index := range list {
		unheard[i] = objects[index]
	}
	return unheard, nil
}

// Alone runs f unless another process is running it, and says whether it did. The lock is that of a connection which is
// taken out of the pool, and whose end lets others have their turn: f needs the pool's, and could wait for itself.
func (s *Store) Alone(ctx context.Context, f func(context.Context) error) (ran bool, err error) {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("upkeep: %w", hideURL(err))
	}
	conn := pooled.Hijack()
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Close(after)
	}()
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('millrace upkeep'))`).Scan(&ran)
	if err == nil && ran {
		err = f(ctx)
	}
	if err != nil {
		return ran, fmt.Errorf("upkeep: %w", err)
	}
	return ran, nil
}
