-- What changed since the last upload: a label for each series of uploads, and the snapshots that workers leave beside
-- the results.

-- +goose Up
ALTER TABLE predictions ADD COLUMN dataset text NOT NULL DEFAULT '' CHECK (length(dataset) <= 64);
-- The completed predictions of a series.
CREATE INDEX predictions_series_idx ON predictions (user_id, model_name, dataset, id) WHERE status = 'completed';

-- NULL: the part has left none.
ALTER TABLE prediction_parts ADD COLUMN snapshot_bytes bigint;

-- +goose Down
ALTER TABLE prediction_parts DROP COLUMN snapshot_bytes;
DROP INDEX predictions_series_idx;
ALTER TABLE predictions DROP COLUMN dataset;
