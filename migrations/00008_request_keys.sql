-- Requests that may be sent twice but must happen once, and uploads that look like an earlier one.

-- +goose Up
CREATE TABLE request_keys (
    user_id       bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    route         text NOT NULL,
    -- SHA-256 of the key: it is the caller's text and may say anything.
    key_hash      bytea NOT NULL CHECK (length(key_hash) = 32),
    -- Who holds the key. A request that died loses it when its lease runs out.
    claim         uuid NOT NULL,
    claimed_until timestamptz NOT NULL,
    -- What the request was and what it made, written in the transaction that made it; NULL while it runs.
    fingerprint   bytea CHECK (length(fingerprint) = 32),
    prediction_id uuid,
    expires_at    timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (user_id, route, key_hash),
    CHECK ((fingerprint IS NULL) = (prediction_id IS NULL))
);
CREATE INDEX request_keys_expires_at_idx ON request_keys (expires_at);

ALTER TABLE predictions ADD COLUMN possible_duplicate_of uuid;
-- Finds an earlier upload of the same content.
CREATE INDEX uploads_content_idx ON uploads (user_id, sha256);

ALTER TABLE request_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON request_keys USING (user_id = request_user());
-- +goose StatementBegin
DO $$
BEGIN
    GRANT SELECT, INSERT, UPDATE, DELETE ON request_keys TO millrace_api;
EXCEPTION
    WHEN undefined_object THEN
        NULL; -- there is no such role here: no row level security
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE request_keys;
DROP INDEX uploads_content_idx;
ALTER TABLE predictions DROP COLUMN possible_duplicate_of;
