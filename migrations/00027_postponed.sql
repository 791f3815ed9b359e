-- Since when a part, or a last step, has been given back again and again without an attempt: because everything it needs
-- is away, or because the store refuses its own objects. The pauses grow with that time, and the second has an end.

-- +goose Up
ALTER TABLE prediction_parts
    ADD COLUMN postponed_since timestamptz,
    ADD COLUMN refused boolean NOT NULL DEFAULT false;
ALTER TABLE predictions
    ADD COLUMN finish_postponed_since timestamptz,
    ADD COLUMN finish_refused boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE predictions DROP COLUMN finish_postponed_since, DROP COLUMN finish_refused;
ALTER TABLE prediction_parts DROP COLUMN postponed_since, DROP COLUMN refused;
