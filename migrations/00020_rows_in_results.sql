-- Where each stored row stands in the result file, so that its explanation is one ranged read of the object away. It
-- is a part of the block: committed with it, and gone with it. (predictions.index_key, meant for an index beside the
-- object, was never written. It stays for now: the version before reads it.)

-- +goose Up
ALTER TABLE prediction_blocks
    -- How many bytes of the result the rows of the block take. NULL in blocks from before this migration.
    ADD COLUMN result_bytes integer,
    -- Where each row begins among those bytes, and where the last one ends: n + 1 numbers of 4 bytes, the most
    -- significant first. Not an array: of bytes the server reads the 8 that it needs.
    ADD COLUMN row_starts bytea;
ALTER TABLE prediction_blocks ALTER COLUMN row_starts SET STORAGE EXTERNAL;

-- +goose Down
ALTER TABLE prediction_blocks DROP COLUMN row_starts, DROP COLUMN result_bytes;
