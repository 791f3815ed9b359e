-- Which object store belongs to this database, and what a sweep of it has found.

-- +goose Up
-- The store keeps the same mark. It is made by the first process that works with both.
CREATE TABLE installation (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    id             uuid NOT NULL,
    -- Raised before each sweep, here first and then in the store: a restored copy is behind.
    sweeps         bigint NOT NULL DEFAULT 0 CHECK (sweeps >= 0),
    -- Made anew with every raise: two databases that have counted to the same number differ in it.
    sweep          uuid NOT NULL,
    -- Since when sweeps wait for an operator, and why.
    stopped_at     timestamptz,
    stopped_reason text
);

-- Objects that the last sweep found to be nobody's, or no longer needed.
CREATE TABLE orphans (
    object_key  text PRIMARY KEY,
    bytes       bigint NOT NULL,
    modified    timestamptz NOT NULL,
    -- Nothing in the database knows the id in its key; else it is housekeeping.
    unknown     boolean NOT NULL,
    first_sweep bigint NOT NULL,
    last_sweep  bigint NOT NULL,
    -- An operator has looked at it.
    confirmed   boolean NOT NULL DEFAULT false
);

-- Customers' ids, values and reasons in the parts of predictions that are over: only the summary's making reads them.
UPDATE prediction_parts p SET summary = NULL, warnings = NULL
FROM predictions d
WHERE d.id = p.prediction_id AND (p.summary IS NOT NULL OR p.warnings IS NOT NULL)
  AND (d.generation <> p.generation OR d.status NOT IN ('queued', 'running') AND NOT d.finish_due);

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT SELECT ON installation TO millrace_api;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        GRANT SELECT, INSERT, UPDATE ON installation TO millrace_loader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON orphans TO millrace_loader;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE orphans;
DROP TABLE installation;
