-- Three roles instead of two: the owner migrates, millrace_api (see 00003) answers requests, millrace_loader works. None
-- of the statements of a service needs the owner any more. Where the loader may be made with BYPASSRLS (PostgreSQL 15
-- wants a superuser for that) its COPY goes straight into the tables; elsewhere a policy lets it through, COPY is refused,
-- and the program copies by way of a temporary table.
--
-- Row level security is not forced: that would bind the owner alone, in whose name nothing is sent but by the functions
-- below, which look across users for one fact each.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        BEGIN
            CREATE ROLE millrace_loader NOLOGIN BYPASSRLS;
        EXCEPTION
            WHEN insufficient_privilege THEN
                CREATE ROLE millrace_loader NOLOGIN;
        END;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_loader cannot be created: workers run as the owner of the tables';
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server was faster
END
$$;
-- +goose StatementEnd

-- What is kept for retraining belongs to the owner of its prediction, and that one to the owner of its upload.
ALTER TABLE predictions ADD CONSTRAINT predictions_id_user_id_key UNIQUE (id, user_id);
ALTER TABLE ml_training_data DROP CONSTRAINT ml_training_data_prediction_id_fkey;
ALTER TABLE ml_training_data ADD CONSTRAINT ml_training_data_prediction_id_fkey
    FOREIGN KEY (prediction_id, user_id) REFERENCES predictions (id, user_id) ON DELETE CASCADE;

-- Who a token's subject is, added when seen for the first time.
-- +goose StatementBegin
CREATE FUNCTION ensure_user(who text, OUT id bigint, OUT training_rate real, OUT deleted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT u.id, u.training_rate, u.deleted_at IS NOT NULL INTO id, training_rate, deleted
    FROM users u WHERE u.subject = who;
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO users AS u (subject) VALUES (who)
    ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
    RETURNING u.id, u.training_rate, u.deleted_at IS NOT NULL INTO id, training_rate, deleted;
END
$$;
-- +goose StatementEnd

-- Whose access key has this hash, and what it allows; notes to the minute that it was used.
-- +goose StatementBegin
CREATE FUNCTION use_access_key(secret bytea, OUT user_id bigint, OUT subject text, OUT training_rate real,
                               OUT scopes text[], OUT expired boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    key bigint;
    note boolean;
BEGIN
    SELECT u.id, u.subject, u.training_rate, k.scopes, coalesce(k.expires_at <= clock_timestamp(), false), k.id,
           coalesce(k.last_used_at < clock_timestamp() - interval '1 minute', true)
    INTO user_id, subject, training_rate, scopes, expired, key, note
    FROM access_keys k JOIN users u ON u.id = k.user_id
    WHERE k.secret_hash = secret AND u.deleted_at IS NULL;
    IF note AND NOT expired THEN
        UPDATE access_keys SET last_used_at = clock_timestamp() WHERE access_keys.id = key;
    END IF;
END
$$;
-- +goose StatementEnd

-- How much will be scored before a prediction, and how fast its lane went in the last five minutes: sums only.
-- +goose StatementBegin
CREATE FUNCTION prediction_ahead(prediction bigint, OUT predictions bigint, OUT uncounted bigint, OUT row_count bigint,
                                 OUT rows_per_second double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH own AS (SELECT id, small, turn_end FROM predictions WHERE id = prediction),
    waiting AS (
        SELECT count(*) AS predictions, count(*) FILTER (WHERE u.row_count IS NULL) AS uncounted,
               coalesce(sum(u.row_count - coalesce(p.done, 0)), 0)::bigint AS rows
        FROM own
        JOIN predictions d ON d.small = own.small AND (d.turn_end, d.id) < (own.turn_end, own.id)
        JOIN uploads u ON u.id = d.upload_id
        LEFT JOIN LATERAL (
            SELECT sum(n_scored + n_rejected) AS done FROM prediction_parts
            WHERE prediction_id = d.id AND generation = d.generation
        ) p ON d.status = 'running'
        WHERE d.status IN ('queued', 'running')
    ),
    recent AS (
        (SELECT d.started_at AS began, d.finished_at AS ended, d.rows_scored + d.rows_rejected AS n
         FROM predictions d, own
         WHERE d.small = own.small AND d.results_deleted_at IS NULL AND d.status = 'completed'
           AND d.finished_at > statement_timestamp() - interval '5 minutes' AND d.started_at < d.finished_at
         ORDER BY d.finished_at DESC LIMIT 100)
        UNION ALL
        SELECT d.started_at, max(p.done_at), sum(p.n_scored + p.n_rejected)
        FROM own
        JOIN predictions d ON d.small = own.small AND d.status = 'running'
        JOIN prediction_parts p ON p.prediction_id = d.id AND p.generation = d.generation
        WHERE p.status = 'done' AND p.done_at > d.started_at
        GROUP BY d.id
    ),
    busy AS (SELECT unnest(range_agg(tstzrange(began, ended))) AS span FROM recent)
    SELECT predictions, uncounted, rows,
           coalesce((SELECT sum(n) FROM recent)
               / (SELECT sum(extract(epoch FROM upper(span) - lower(span))) FROM busy), 0)::float8
    FROM waiting
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ensure_user, use_access_key, prediction_ahead FROM PUBLIC;

-- Dropping a table is its owner's.
ALTER FUNCTION drop_empty_prediction_months SECURITY DEFINER;

CREATE POLICY owner ON deletions USING (user_id = request_user());

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT EXECUTE ON FUNCTION ensure_user, use_access_key, prediction_ahead TO millrace_api;
        GRANT SELECT, UPDATE (training_rate, deleted_at) ON users TO millrace_api;
        GRANT SELECT, INSERT, UPDATE ON request_budgets TO millrace_api;
        GRANT SELECT, INSERT ON deletions TO millrace_api;
        GRANT DELETE ON predictions, uploads, prediction_blocks TO millrace_api;
        GRANT UPDATE (worker) ON prediction_parts TO millrace_api; -- to lock them before they are deleted
        GRANT SELECT ON goose_db_version TO millrace_api;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_api cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO millrace_loader', current_schema());
    FOREACH name IN ARRAY ARRAY['users', 'uploads', 'predictions', 'prediction_parts', 'prediction_failures',
        'prediction_blocks', 'outbox', 'ml_training_data', 'outcome_reports', 'request_keys', 'upload_links',
        'webhook_switch', 'webhook_events', 'access_keys', 'deletions']
    LOOP
        EXECUTE format('CREATE POLICY loader ON %I TO millrace_loader USING (true) WITH CHECK (true)', name);
    END LOOP;
    GRANT SELECT, INSERT, UPDATE, DELETE ON uploads, predictions, prediction_parts, outbox, upload_links, webhook_events,
        deletions TO millrace_loader;
    GRANT SELECT, INSERT, DELETE ON prediction_blocks, ml_training_data, prediction_failures, webhook_switch
        TO millrace_loader;
    GRANT SELECT, UPDATE (training_rate, deleted_at, erased_at) ON users TO millrace_loader;
    GRANT SELECT, DELETE ON outcome_reports, request_keys, access_keys TO millrace_loader;
    -- With one login for all, what requests ask before their user is known is asked in this role.
    GRANT SELECT, INSERT, UPDATE, DELETE ON request_budgets TO millrace_loader;
    GRANT SELECT ON prediction_rows, goose_db_version TO millrace_loader;
    GRANT SELECT, UPDATE ON small_turns, large_turns TO millrace_loader;
    GRANT EXECUTE ON FUNCTION ensure_user, use_access_key, prediction_ahead, turn_prediction_month,
        drop_empty_prediction_months TO millrace_loader;
    IF NOT pg_has_role(current_user, 'millrace_loader', 'MEMBER') THEN
        EXECUTE format('GRANT millrace_loader TO %I', current_user);
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_loader cannot be used: workers run as the owner of the tables';
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_policies WHERE policyname = 'loader' AND schemaname = current_schema() LOOP
        EXECUTE format('DROP POLICY loader ON %I', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM millrace_loader', current_schema());
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM millrace_loader', current_schema());
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM millrace_loader', current_schema());
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM millrace_loader', current_schema());
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        REVOKE SELECT, UPDATE (training_rate, deleted_at) ON users FROM millrace_api;
        REVOKE ALL ON request_budgets, deletions, goose_db_version FROM millrace_api;
        REVOKE DELETE ON predictions, uploads, prediction_blocks FROM millrace_api;
        REVOKE UPDATE (worker) ON prediction_parts FROM millrace_api;
    END IF;
END
$$;
-- +goose StatementEnd
DROP POLICY owner ON deletions;
ALTER FUNCTION drop_empty_prediction_months SECURITY INVOKER;
DROP FUNCTION ensure_user;
DROP FUNCTION use_access_key;
DROP FUNCTION prediction_ahead;
ALTER TABLE ml_training_data DROP CONSTRAINT ml_training_data_prediction_id_fkey;
ALTER TABLE ml_training_data ADD CONSTRAINT ml_training_data_prediction_id_fkey
    FOREIGN KEY (prediction_id) REFERENCES predictions (id) ON DELETE CASCADE;
ALTER TABLE predictions DROP CONSTRAINT predictions_id_user_id_key;
