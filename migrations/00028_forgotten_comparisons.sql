-- What is deleted or expired is found wherever it still is: in parts of predictions that have ended, and in the summary of
-- the prediction that was compared with it.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

-- The prediction that the summary's comparison quotes: its file's name, customers' probabilities, sentences about them.
-- A trigger keeps it, so that a process of an older version does too.
ALTER TABLE predictions ADD COLUMN compared_with uuid;
CREATE INDEX predictions_compared_with_idx ON predictions (compared_with) WHERE compared_with IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION note_comparison() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.compared_with := (NEW.summary #>> '{changes,previous,prediction_id}')::uuid;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER note_comparison BEFORE UPDATE OF summary ON predictions FOR EACH ROW EXECUTE FUNCTION note_comparison();

-- Parts of running predictions, and few others: those that the upkeep has to clear.
CREATE INDEX prediction_parts_summary_idx ON prediction_parts (prediction_id)
    WHERE summary IS NOT NULL OR warnings IS NOT NULL;

-- From where on the upkeep has yet to go through the predictions of earlier versions; no row: it is done.
CREATE TABLE cleanup (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    next_id bigint NOT NULL
);
INSERT INTO cleanup (next_id) SELECT min(id) FROM predictions HAVING min(id) IS NOT NULL;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT DELETE ON upload_links TO millrace_api; -- with their prediction
        GRANT UPDATE (source_key, passes, due_at) ON deletions TO millrace_api; -- of what had expired
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        GRANT SELECT, UPDATE, DELETE ON cleanup TO millrace_loader;
        GRANT UPDATE (error) ON prediction_failures TO millrace_loader; -- a message may quote a cell
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
        REVOKE DELETE ON upload_links FROM millrace_api;
        REVOKE UPDATE (source_key, passes, due_at) ON deletions FROM millrace_api;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        REVOKE UPDATE (error) ON prediction_failures FROM millrace_loader;
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE cleanup;
DROP INDEX prediction_parts_summary_idx;
DROP TRIGGER note_comparison ON predictions;
DROP FUNCTION note_comparison;
ALTER TABLE predictions DROP COLUMN compared_with;
