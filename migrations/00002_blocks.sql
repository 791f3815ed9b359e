-- Scored rows, 1,000 to a tuple. Partitions are months: each month owns a thousand million prediction ids, so the key
-- of a block says which partition holds it, and an old month is dropped without looking at its rows.

-- +goose Up
CREATE TABLE prediction_blocks (
    prediction_id bigint NOT NULL,
    first_row     integer NOT NULL,
    n             smallint NOT NULL,
    -- row number - first_row of each row; NULL when no row is missing between the first and the last.
    row_offset    integer[],
    customer_id   text[] NOT NULL,
    probability   real[] NOT NULL,
    risk_band     smallint[] NOT NULL,
    -- How many rows each band has; element 1 is band 0. A filter by band skips blocks without a hit.
    band_rows     smallint[] NOT NULL,
    PRIMARY KEY (prediction_id, first_row)
) PARTITION BY RANGE (prediction_id);
-- Compressing costs more time than the bytes are worth.
ALTER TABLE prediction_blocks ALTER COLUMN row_offset SET STORAGE EXTERNAL;
ALTER TABLE prediction_blocks ALTER COLUMN customer_id SET STORAGE EXTERNAL;
ALTER TABLE prediction_blocks ALTER COLUMN probability SET STORAGE EXTERNAL;
ALTER TABLE prediction_blocks ALTER COLUMN risk_band SET STORAGE EXTERNAL;

-- For people: it reads a whole prediction, and the whole table without one. first_row is shown to narrow it.
CREATE VIEW prediction_rows WITH (security_invoker = true) AS
SELECT b.prediction_id,
       b.first_row,
       b.first_row + coalesce(u.row_offset, (u.position - 1)::integer) AS row_no,
       u.customer_id,
       u.probability,
       u.risk_band
FROM prediction_blocks b,
     unnest(b.customer_id, b.probability, b.risk_band, b.row_offset)
     WITH ORDINALITY AS u (customer_id, probability, risk_band, row_offset, position);

-- The first prediction id of a month.
-- +goose StatementBegin
CREATE FUNCTION prediction_month_start(month date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (extract(year FROM month)::bigint * 12 + extract(month FROM month)::bigint - 1) * 1000000000
$$;
-- +goose StatementEnd

-- Makes the partition of a month unless it is there. LIKE and ATTACH: CREATE … PARTITION OF would stop all readers.
-- +goose StatementBegin
CREATE FUNCTION open_prediction_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    name  text := 'prediction_blocks_' || to_char(month, 'YYYY_MM');
    start bigint := prediction_month_start(month);
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE prediction_blocks INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE prediction_blocks ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
        name, start, start + 1000000000);
END
$$;
-- +goose StatementEnd

-- Opens the given month and the one after it, and lets new predictions take the month's ids. Safe to call at any time.
-- +goose StatementBegin
CREATE FUNCTION turn_prediction_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ids text := pg_get_serial_sequence('predictions', 'id');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('turn_prediction_month'));
    PERFORM open_prediction_month(month);
    PERFORM open_prediction_month((month + interval '1 month')::date);
    IF coalesce(pg_sequence_last_value(ids::regclass), 0) < prediction_month_start(month) THEN
        PERFORM setval(ids, prediction_month_start(month));
    END IF;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION open_prediction_month, turn_prediction_month FROM PUBLIC;

SELECT turn_prediction_month((clock_timestamp() AT TIME ZONE 'UTC')::date);

-- +goose Down
DROP VIEW prediction_rows;
DROP TABLE prediction_blocks;
DROP FUNCTION turn_prediction_month;
DROP FUNCTION open_prediction_month;
DROP FUNCTION prediction_month_start;
