-- When the next lease ends is known by a look at the parts that somebody has begun, however many wait. A renewal changes
-- no column of this index.

-- +goose Up
CREATE INDEX prediction_parts_begun_idx ON prediction_parts (prediction_id) WHERE status = 'open' AND epoch > 0;

-- +goose Down
DROP INDEX prediction_parts_begun_idx;
