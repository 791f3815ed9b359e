-- Results have an end: the rows and files of old predictions are removed, the prediction itself stays and says so.

-- +goose Up
ALTER TABLE predictions ADD COLUMN results_deleted_at timestamptz;
CREATE INDEX predictions_expiry_idx ON predictions (finished_at) WHERE results_deleted_at IS NULL;

-- Drops months whose predictions have no rows any more, and says how many. The month must be over for some time, so that
-- no new prediction belongs to it. Readers wait for a moment only: if the table is busy, it is left for another time.
-- +goose StatementBegin
CREATE FUNCTION drop_empty_prediction_months(before date) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s' AS $$
DECLARE
    part    record;
    used    boolean;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname AS name, to_date(right(c.relname, 7), 'YYYY_MM') AS month
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'prediction_blocks'::regclass AND c.relname ~ '^prediction_blocks_\d{4}_\d{2}$'
    LOOP
        CONTINUE WHEN part.month >= before;
        SELECT EXISTS (
            SELECT FROM predictions
            WHERE id >= prediction_month_start(part.month) AND id < prediction_month_start(part.month) + 1000000000
              AND results_deleted_at IS NULL) INTO used;
        IF NOT used THEN
            EXECUTE format('DROP TABLE %I', part.name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN 0;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION drop_empty_prediction_months FROM PUBLIC;

-- +goose Down
DROP FUNCTION drop_empty_prediction_months;
DROP INDEX predictions_expiry_idx;
ALTER TABLE predictions DROP COLUMN results_deleted_at;
