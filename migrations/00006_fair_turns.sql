-- Users take turns. Every part has a place in a virtual time that counts bytes: a prediction begins where its user's
-- last unfinished one ends, or now if there is none, and parts are worked on in the order of their places. So a user
-- with much work waits for himself and not for others, and finding the next part is one step into an index.
-- Small files have a lane of their own, with its own time, so that they also pass the large ones of their user.

-- +goose Up
ALTER TABLE predictions
    ADD COLUMN small    boolean NOT NULL DEFAULT true,
    ADD COLUMN turn_end bigint  NOT NULL DEFAULT 0;
ALTER TABLE prediction_parts
    ADD COLUMN small boolean NOT NULL DEFAULT true,
    ADD COLUMN turn  bigint  NOT NULL DEFAULT 0;
CREATE INDEX prediction_parts_turn_idx ON prediction_parts (small, turn, prediction_id, part_no) WHERE status = 'open';

-- What time it is in each lane: the place of the part that was claimed last. A sequence is not locked until the commit.
CREATE SEQUENCE small_turns MINVALUE 0 START 0;
CREATE SEQUENCE large_turns MINVALUE 0 START 0;

-- Where the next prediction of a user begins.
CREATE FUNCTION next_turn(whose bigint, is_small boolean) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT greatest(
        CASE WHEN is_small THEN (SELECT last_value FROM small_turns) ELSE (SELECT last_value FROM large_turns) END,
        (SELECT max(turn_end) FROM predictions
         WHERE user_id = whose AND status IN ('queued', 'running') AND small = is_small))
$$;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT SELECT ON small_turns, large_turns TO millrace_api;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_api cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION next_turn;
DROP SEQUENCE small_turns, large_turns;
DROP INDEX prediction_parts_turn_idx;
ALTER TABLE prediction_parts DROP COLUMN small, DROP COLUMN turn;
ALTER TABLE predictions DROP COLUMN small, DROP COLUMN turn_end;
