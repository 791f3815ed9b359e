-- What became of customers, and what that says about the model that scored them.

-- +goose Up
ALTER TABLE ml_training_data ADD COLUMN risk_band smallint;
-- The day of the outcome; NULL if its file names none. A later day wins.
ALTER TABLE ml_training_data ADD COLUMN outcome_on date;

-- The newest report on each model's predictions for a user, made when outcomes come in.
CREATE TABLE outcome_reports (
    user_id       bigint NOT NULL REFERENCES users (id),
    model_name    text NOT NULL,
    model_sha256  text NOT NULL,
    model_version text NOT NULL,
    report        jsonb NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, model_name, model_sha256)
);
ALTER TABLE outcome_reports ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON outcome_reports USING (user_id = request_user());

-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        RETURN;
    END IF;
    GRANT UPDATE (outcome_on) ON ml_training_data TO millrace_api;
    GRANT SELECT, INSERT, UPDATE ON outcome_reports TO millrace_api;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role millrace_api cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE outcome_reports;
ALTER TABLE ml_training_data DROP COLUMN outcome_on;
ALTER TABLE ml_training_data DROP COLUMN risk_band;
