-- Links to upload a file straight into the bucket. Whose file it is stands here, never in the key.

-- +goose Up
CREATE TABLE upload_links (
    -- The upload that the file will be.
    public_id     uuid PRIMARY KEY,
    user_id       bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    filename      text NOT NULL CHECK (length(filename) <= 255),
    bytes         bigint NOT NULL CHECK (bytes > 0),
    model_name    text NOT NULL,
    explain       text NOT NULL,
    options       jsonb NOT NULL,
    expires_at    timestamptz NOT NULL,
    -- Set in the transaction that makes the upload.
    prediction_id uuid
);
CREATE INDEX upload_links_expires_at_idx ON upload_links (expires_at);

ALTER TABLE upload_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON upload_links USING (user_id = request_user());
-- +goose StatementBegin
DO $$
BEGIN
    GRANT SELECT, INSERT, UPDATE ON upload_links TO millrace_api;
EXCEPTION
    WHEN undefined_object THEN
        NULL; -- there is no such role here: no row level security
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE upload_links;
