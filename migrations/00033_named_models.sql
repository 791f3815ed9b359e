-- Models that operators have pushed: each version of a name is one content. What uploads may call them is in model_aliases,
-- a ledger: what an alias names is its last row that was not undone. What an upload without a model gets, if its header is
-- not to decide, is in model_defaults.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

ALTER TABLE models
    ADD COLUMN pushed_at  timestamptz, -- NULL: no operator has pushed it; it comes from a directory or the program
    ADD COLUMN retired_at timestamptz; -- no new prediction is made with it; those that are there end
CREATE UNIQUE INDEX models_version_idx ON models (name, version) WHERE pushed_at IS NOT NULL;

CREATE TABLE model_aliases (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alias     text NOT NULL,
    sha256    text REFERENCES models (sha256), -- NULL: the alias was removed
    -- Set by the first push of a model with this name. A bundle with the name, which a process has, comes before it.
    by_push   boolean NOT NULL DEFAULT false,
    set_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    undone_at timestamptz -- by a rollback
);
CREATE INDEX model_aliases_alias_idx ON model_aliases (alias, id DESC);

CREATE TABLE model_defaults (
    user_id bigint REFERENCES users (id) ON DELETE CASCADE, -- NULL: of every user
    dataset text NOT NULL DEFAULT '', -- empty: of every dataset, and of files without one
    alias   text,
    sha256  text REFERENCES models (sha256),
    set_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((alias IS NULL) <> (sha256 IS NULL))
);
CREATE UNIQUE INDEX model_defaults_idx ON model_defaults (coalesce(user_id, 0), dataset);

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT SELECT ON model_aliases, model_defaults TO millrace_api;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        GRANT SELECT, INSERT, UPDATE ON model_aliases TO millrace_loader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON model_defaults TO millrace_loader;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE model_defaults;
DROP TABLE model_aliases;
DROP INDEX models_version_idx;
ALTER TABLE models DROP COLUMN pushed_at, DROP COLUMN retired_at;
