-- Row level security, the second fence between users: every query names its user already. Requests run as the role
-- millrace_api with app.user_id set, both for one transaction only. Workers and operators run as the owner of the
-- tables, whom the policies do not bind: COPY is refused under them.
--
-- Roles belong to the whole server. If we may not make them there is no second fence, and the program says so.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        CREATE ROLE millrace_api NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_api cannot be created: no row level security';
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server was faster
END
$$;
-- +goose StatementEnd

-- The user that the transaction is for; NULL outside of requests. A setting that was set before is '' afterwards.
CREATE FUNCTION request_user() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT nullif(current_setting('app.user_id', true), '')::bigint $$;

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE uploads ENABLE ROW LEVEL SECURITY;
ALTER TABLE predictions ENABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_blocks ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml_training_data ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner ON users USING (id = request_user());
CREATE POLICY owner ON uploads USING (user_id = request_user());
CREATE POLICY owner ON predictions USING (user_id = request_user());
CREATE POLICY owner ON ml_training_data USING (user_id = request_user());
-- These have no owner of their own: it is that of a prediction, which is visible to its owner only.
CREATE POLICY owner ON prediction_parts USING (EXISTS (SELECT FROM predictions d WHERE d.id = prediction_id));
CREATE POLICY owner ON prediction_blocks USING (EXISTS (SELECT FROM predictions d WHERE d.id = prediction_id));
CREATE POLICY owner ON outbox USING (EXISTS (SELECT FROM predictions d WHERE d.id = prediction_id));

-- Only what requests need. Nothing on partitions: the policies of a parent do not hold for them.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO millrace_api', current_schema());
    GRANT SELECT ON uploads, predictions, prediction_parts, prediction_blocks, prediction_rows TO millrace_api;
    GRANT INSERT ON uploads, predictions, prediction_parts, outbox TO millrace_api;
    GRANT UPDATE (status, updated_at) ON uploads TO millrace_api;
    GRANT UPDATE (status, status_reason, finished_at, finish_due, finish_attempts, finish_lease_until)
        ON predictions TO millrace_api;
    GRANT SELECT, UPDATE (actual_churn, outcome_at) ON ml_training_data TO millrace_api;
    IF NOT pg_has_role(current_user, 'millrace_api', 'MEMBER') THEN
        EXECUTE format('GRANT millrace_api TO %I', current_user);
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_api cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP POLICY owner ON users;
DROP POLICY owner ON uploads;
DROP POLICY owner ON predictions;
DROP POLICY owner ON ml_training_data;
DROP POLICY owner ON prediction_parts;
DROP POLICY owner ON prediction_blocks;
DROP POLICY owner ON outbox;
ALTER TABLE users DISABLE ROW LEVEL SECURITY;
ALTER TABLE uploads DISABLE ROW LEVEL SECURITY;
ALTER TABLE predictions DISABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_parts DISABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_failures DISABLE ROW LEVEL SECURITY;
ALTER TABLE prediction_blocks DISABLE ROW LEVEL SECURITY;
ALTER TABLE outbox DISABLE ROW LEVEL SECURITY;
ALTER TABLE ml_training_data DISABLE ROW LEVEL SECURITY;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        REVOKE ALL ON uploads, predictions, prediction_parts, prediction_blocks, prediction_rows, outbox,
            ml_training_data FROM millrace_api;
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM millrace_api', current_schema());
    END IF;
END
$$;
-- +goose StatementEnd
DROP FUNCTION request_user;
