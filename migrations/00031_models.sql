-- The models that have accepted a prediction, by their content, and where each is kept: a swapped bundle is needed until
-- nothing names it any more. A row stays for good, so that an object that is kept no longer is known for what it was.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

CREATE TABLE models (
    -- Of the bundle's manifest, as in predictions.
    sha256        text PRIMARY KEY,
    name          text NOT NULL,
    version       text NOT NULL,
    first_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The archive in the object store; NULL: it is not kept. No two archives ever have the same key.
    object_key    text UNIQUE,
    bytes         bigint,
    object_sha256 bytea CHECK (length(object_sha256) = 32),
    -- Since when the archive is known to be missing or changed: the next process that has the bundle stores it again.
    damaged_at    timestamptz,
    -- Since when a sweep has found nothing that names the model; NULL: something does, or no sweep has looked.
    unnamed_since timestamptz,
    -- When an operator has withdrawn the model: no prediction is scored with it any more.
    withdrawn_at  timestamptz,
    CHECK ((object_key IS NULL) = (bytes IS NULL) AND (object_key IS NULL) = (object_sha256 IS NULL))
);

-- Which predictions name a model: those that have a result, or may have one.
CREATE INDEX predictions_model_idx ON predictions (model_sha256) WHERE results_deleted_at IS NULL;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT SELECT, INSERT, UPDATE (object_key, bytes, object_sha256, damaged_at, unnamed_since) ON models
            TO millrace_api;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        GRANT SELECT, INSERT, UPDATE ON models TO millrace_loader;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX predictions_model_idx;
DROP TABLE models;
