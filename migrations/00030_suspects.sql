-- A part, or a last step, whose worker process ended while it held it is a suspect: it runs alone in its process from then
-- on, so that it cannot take others with it.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

-- How often a worker vanished with it, which costs no attempt. The first time it had company; 0: no suspect.
ALTER TABLE prediction_parts ADD COLUMN deaths integer NOT NULL DEFAULT 0;
ALTER TABLE predictions ADD COLUMN finish_deaths integer NOT NULL DEFAULT 0;
CREATE INDEX prediction_parts_suspects_idx ON prediction_parts (turn, prediction_id, part_no)
    WHERE status = 'open' AND deaths > 0;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT UPDATE (finish_worker) ON predictions TO millrace_api; -- a cancellation takes the last step from its worker
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        REVOKE UPDATE (finish_worker) ON predictions FROM millrace_api;
    END IF;
END
$$;
-- +goose StatementEnd
DROP INDEX prediction_parts_suspects_idx;
ALTER TABLE predictions DROP COLUMN finish_deaths;
ALTER TABLE prediction_parts DROP COLUMN deaths;
