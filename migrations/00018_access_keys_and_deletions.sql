-- Keys of machines, what was deleted and still has files to remove, and what is left of request budgets.

-- +goose Up
CREATE TABLE access_keys (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id    uuid NOT NULL UNIQUE,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- SHA-256 of the secret, which has 256 random bits: nobody can guess it, so no slow hash is needed.
    secret_hash  bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    -- The first characters of the secret, for people to tell keys apart.
    prefix       text NOT NULL,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    last_used_at timestamptz
);
CREATE INDEX access_keys_user_id_idx ON access_keys (user_id, id DESC);

-- Who has left. The row stays, so that tokens issued before are refused; everything else of the user goes.
ALTER TABLE users ADD COLUMN deleted_at timestamptz;
ALTER TABLE users ADD COLUMN erased_at timestamptz;
CREATE INDEX users_leaving_idx ON users (id) WHERE deleted_at IS NOT NULL AND erased_at IS NULL;

-- Predictions whose rows are gone and whose files are being removed: several times, as a worker that has not heard of it
-- may still write one.
CREATE TABLE deletions (
    prediction_id uuid PRIMARY KEY,
    upload_id     uuid NOT NULL,
    user_id       bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source_key    text, -- of a file dropped by others
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    passes        integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX deletions_due_at_idx ON deletions (due_at);
CREATE INDEX deletions_user_id_idx ON deletions (user_id);

-- When each budget of requests will be whole again. Losing it in a crash costs nothing but a fresh start.
CREATE UNLOGGED TABLE request_budgets (
    budget   bytea PRIMARY KEY, -- hash of whose and which budget it is
    whole_at timestamptz NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE access_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE deletions ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON access_keys USING (user_id = request_user());
-- +goose StatementBegin
DO $$
BEGIN
    GRANT SELECT, INSERT, DELETE ON access_keys TO millrace_api;
EXCEPTION
    WHEN undefined_object THEN
        NULL; -- there is no such role here: no row level security
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE request_budgets;
DROP TABLE deletions;
DROP TABLE access_keys;
ALTER TABLE users DROP COLUMN erased_at;
ALTER TABLE users DROP COLUMN deleted_at;
