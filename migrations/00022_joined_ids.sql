-- Ids of a block as one text, bands as bytes. The server reads and writes an array element by element, which was most
-- of a COPY and most of a page. Blocks from before this migration keep their arrays.

-- +goose Up
ALTER TABLE prediction_blocks
    -- The rows' ids with U+001F between them; nothing stands for an id that a row lacks. NULL in a block with an id
    -- that is empty or holds U+001F: those ids are in customer_id.
    ADD COLUMN customer_ids text,
    -- A byte for each row.
    ADD COLUMN risk_bands bytea,
    ALTER COLUMN customer_id DROP NOT NULL,
    ALTER COLUMN risk_band DROP NOT NULL,
    ADD CONSTRAINT prediction_blocks_ids_once CHECK (num_nulls(customer_id, customer_ids) = 1) NOT VALID,
    ADD CONSTRAINT prediction_blocks_bands_once CHECK (num_nulls(risk_band, risk_bands) = 1) NOT VALID;
ALTER TABLE prediction_blocks
    ALTER COLUMN customer_ids SET STORAGE EXTERNAL,
    ALTER COLUMN risk_bands SET STORAGE EXTERNAL;
-- NOT VALID looks at no block: those so far have both arrays.

-- Replacing a view takes its options away unless they are given again.
CREATE OR REPLACE VIEW prediction_rows WITH (security_invoker = true) AS
SELECT b.prediction_id,
       b.first_row,
       b.first_row + coalesce(u.row_offset, (u.position - 1)::integer) AS row_no,
       u.customer_id,
       u.probability,
       CASE WHEN b.risk_bands IS NULL THEN u.risk_band
            ELSE get_byte(b.risk_bands, (u.position - 1)::integer)::smallint END AS risk_band
FROM prediction_blocks b,
     unnest(coalesce(b.customer_id, string_to_array(b.customer_ids, E'\x1f', '')), b.probability, b.risk_band,
            b.row_offset)
     WITH ORDINALITY AS u (customer_id, probability, risk_band, row_offset, position);

-- A subquery for one value is looked up for each block. EXISTS may be answered by reading all predictions of the user
-- first, which was most of the time of a page for who has a thousand.
ALTER POLICY owner ON prediction_blocks USING ((SELECT true FROM predictions d WHERE d.id = prediction_id));

-- +goose Down
ALTER POLICY owner ON prediction_blocks USING (EXISTS (SELECT FROM predictions d WHERE d.id = prediction_id));
UPDATE prediction_blocks
SET customer_id = CASE WHEN customer_ids = '' THEN ARRAY[NULL::text]
                       ELSE coalesce(customer_id, string_to_array(customer_ids, E'\x1f', '')) END,
    customer_ids = NULL,
    risk_band = coalesce(risk_band, ARRAY(SELECT get_byte(risk_bands, i - 1) FROM generate_series(1, n) i)),
    risk_bands = NULL
WHERE customer_ids IS NOT NULL OR risk_bands IS NOT NULL;
CREATE OR REPLACE VIEW prediction_rows WITH (security_invoker = true) AS
SELECT b.prediction_id,
       b.first_row,
       b.first_row + coalesce(u.row_offset, (u.position - 1)::integer) AS row_no,
       u.customer_id,
       u.probability,
       u.risk_band
FROM prediction_blocks b,
     unnest(b.customer_id, b.probability, b.risk_band, b.row_offset)
     WITH ORDINALITY AS u (customer_id, probability, risk_band, row_offset, position);
ALTER TABLE prediction_blocks
    DROP COLUMN customer_ids,
    DROP COLUMN risk_bands,
    ALTER COLUMN customer_id SET NOT NULL,
    ALTER COLUMN risk_band SET NOT NULL;
