-- Digests of what lies in the object store, compared whenever it is read again (objects.Digest says what they are). NULL
-- in rows that an older version wrote: their objects are read without. They are random bytes, so not worth compressing.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

ALTER TABLE prediction_parts
    ADD COLUMN input_digest bytea, -- of the part's bytes of the uploaded file, with the header line in the first
    ADD COLUMN result_digest bytea,
    ADD COLUMN result_sha256 bytea,
    ADD COLUMN rejects_digest bytea,
    ADD COLUMN rejects_sha256 bytea,
    ADD COLUMN snapshot_digest bytea,
    ALTER COLUMN input_digest SET STORAGE EXTERNAL,
    ALTER COLUMN result_digest SET STORAGE EXTERNAL,
    ALTER COLUMN rejects_digest SET STORAGE EXTERNAL,
    ALTER COLUMN snapshot_digest SET STORAGE EXTERNAL;

-- The SHA-256 is what customers are told. NULL until the first download of an object that S3 has joined by itself.
ALTER TABLE predictions
    ADD COLUMN result_digest bytea,
    ADD COLUMN result_sha256 bytea,
    ADD COLUMN rejects_digest bytea,
    ADD COLUMN rejects_sha256 bytea,
    ALTER COLUMN result_digest SET STORAGE EXTERNAL,
    ALTER COLUMN rejects_digest SET STORAGE EXTERNAL;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT UPDATE (result_sha256, rejects_sha256) ON predictions TO millrace_api;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE predictions
    DROP COLUMN rejects_sha256, DROP COLUMN rejects_digest, DROP COLUMN result_sha256, DROP COLUMN result_digest;
ALTER TABLE prediction_parts
    DROP COLUMN snapshot_digest, DROP COLUMN rejects_sha256, DROP COLUMN rejects_digest, DROP COLUMN result_sha256,
    DROP COLUMN result_digest, DROP COLUMN input_digest;
