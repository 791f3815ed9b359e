-- Links to upload a file straight into the bucket, and the outbox of webhooks.

-- +goose Up
-- Whose file it is stands here, never in the key.
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

-- The outbox of webhooks. It fills from the moment that a process was told whom to tell.
CREATE TABLE webhook_switch (enabled boolean PRIMARY KEY CHECK (enabled));
CREATE TABLE webhook_events (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    prediction_id bigint NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    status        text NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL DEFAULT '-infinity',
    dead          boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX webhook_events_next_at_idx ON webhook_events (next_at) WHERE NOT dead;
CREATE INDEX webhook_events_prediction_id_idx ON webhook_events (prediction_id);
ALTER TABLE webhook_switch ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_events ENABLE ROW LEVEL SECURITY;

-- A prediction ends in many places, also in transactions of requests, whose role may not touch the outbox.
-- +goose StatementBegin
CREATE FUNCTION announce_prediction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO webhook_events (prediction_id, status)
    SELECT NEW.id, NEW.status WHERE EXISTS (SELECT FROM webhook_switch);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER announce_prediction AFTER UPDATE OF status ON predictions FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled', 'dead'))
EXECUTE FUNCTION announce_prediction();

-- +goose Down
DROP TRIGGER announce_prediction ON predictions;
DROP FUNCTION announce_prediction;
DROP TABLE webhook_events;
DROP TABLE webhook_switch;
DROP TABLE upload_links;
