-- What waits for room among its user's predictions, and since when the service works: time in an outage is not counted
-- against the deadline of a prediction.

-- +goose Up
-- The bucket said that the file is there while its user had too many predictions waiting.
ALTER TABLE upload_links ADD COLUMN postponed boolean NOT NULL DEFAULT false;
CREATE INDEX upload_links_postponed_idx ON upload_links (expires_at) WHERE postponed;

-- One row, written every minute by a worker that reaches the database and the object store.
CREATE TABLE service_uptime (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    up_since timestamptz NOT NULL, -- the end of the last outage
    seen_at  timestamptz NOT NULL
);

-- +goose StatementBegin
DO $$
BEGIN
    GRANT SELECT, INSERT, UPDATE ON service_uptime TO millrace_loader;
EXCEPTION
    WHEN undefined_object THEN
        NULL; -- there is no such role here: workers run as the owner of the tables
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE service_uptime;
DROP INDEX upload_links_postponed_idx;
ALTER TABLE upload_links DROP COLUMN postponed;
