-- One put of a dropped file is one upload. source_version is the id of its version, where the bucket keeps versions, else
-- its stamp: ETag and time, as HEAD says them. Before, it was the ETag alone where no event had named a version.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

ALTER TABLE uploads
    ADD COLUMN object_version text NOT NULL DEFAULT '', -- names it in every read; empty: the newest
    ADD COLUMN source_stamp   text, -- NULL: recorded by an earlier version, and not listed since
    -- Of the rows that are there now: until when they stand for every put of their ETag.
    ADD COLUMN source_until   timestamptz DEFAULT now();
ALTER TABLE uploads ALTER COLUMN source_until DROP DEFAULT;

-- A file that was dropped again is another one, and is not deleted in place of the first.
ALTER TABLE deletions ADD COLUMN source_stamp text;
CREATE INDEX deletions_source_key_idx ON deletions (source_key) WHERE source_key IS NOT NULL;

-- No put is recorded a second time by a process of another version than the first: a row of an earlier version, which
-- names an ETag only, stands for the puts of its time (five minutes for clocks that differ), and such a row is not added
-- where a put with its ETag is recorded; what that put was, a process of this version finds out.
-- +goose StatementBegin
CREATE FUNCTION skip_recorded_drop() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.source_bucket || '/' || NEW.source_key, 0));
    IF EXISTS (
        SELECT FROM uploads u WHERE u.source_bucket = NEW.source_bucket AND u.source_key = NEW.source_key
        AND CASE WHEN NEW.source_stamp IS NOT NULL THEN
            u.source_version = NEW.object_etag AND
            right(NEW.source_stamp, 20)::timestamptz <= greatest(u.created_at, u.source_until) + interval '5 minutes'
        ELSE
            NEW.source_version = NEW.object_etag AND left(u.source_stamp, -21) = trim(BOTH '"' FROM NEW.object_etag)
        END)
    THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER skip_recorded_drop BEFORE INSERT ON uploads
    FOR EACH ROW WHEN (NEW.source_key IS NOT NULL) EXECUTE FUNCTION skip_recorded_drop();

-- +goose StatementBegin
DO $$
BEGIN
    GRANT UPDATE (source_stamp) ON deletions TO millrace_api;
EXCEPTION
    WHEN undefined_object THEN
        NULL; -- there is no such role here: no row level security
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER skip_recorded_drop ON uploads;
DROP FUNCTION skip_recorded_drop;
DROP INDEX deletions_source_key_idx;
ALTER TABLE deletions DROP COLUMN source_stamp;
ALTER TABLE uploads DROP COLUMN object_version, DROP COLUMN source_stamp, DROP COLUMN source_until;
