-- Whether a model is still right: what a prediction's rows looked like, as counts, and what became of its customers, by
-- month. Counts name no customer and hold no value of one.

-- +goose Up
SET LOCAL lock_timeout = '5s'; -- else all writes wait behind a long query; a later start tries again

-- How the counts of a model's predictions are laid out, and the shares of its training that they are compared with.
CREATE TABLE model_profiles (
    model_sha256 text PRIMARY KEY,
    profile      jsonb NOT NULL
);

-- The counts of a completed prediction, which go with it. Of one whose results have expired they stay if they are of
-- enough rows to say nothing about any of them.
CREATE TABLE prediction_counts (
    prediction_id bigint PRIMARY KEY REFERENCES predictions (id) ON DELETE CASCADE,
    user_id       bigint NOT NULL,
    model_name    text NOT NULL,
    model_version text NOT NULL,
    model_sha256  text NOT NULL,
    dataset       text NOT NULL,
    uploaded_at   timestamptz NOT NULL,
    counts        bigint[] NOT NULL
);
CREATE INDEX prediction_counts_user_idx ON prediction_counts (user_id, model_name, uploaded_at DESC);
CREATE INDEX prediction_counts_dataset_idx ON prediction_counts (user_id, model_name, dataset, uploaded_at DESC);
CREATE INDEX prediction_counts_name_idx ON prediction_counts (model_name, uploaded_at DESC);
CREATE INDEX prediction_counts_model_idx ON prediction_counts (model_sha256, uploaded_at DESC);

-- Predictions of a month compared with their outcomes, as sums. figures is NULL after a prediction of the month was
-- deleted, until the upkeep has made them anew of the rows that are left.
CREATE TABLE outcome_months (
    user_id       bigint NOT NULL REFERENCES users (id),
    model_name    text NOT NULL,
    model_version text NOT NULL,
    model_sha256  text NOT NULL,
    dataset       text NOT NULL,
    month         date NOT NULL,
    figures       bigint[],
    PRIMARY KEY (user_id, model_name, model_sha256, dataset, month)
);
CREATE INDEX outcome_months_name_idx ON outcome_months (model_name, month DESC);
CREATE INDEX outcome_months_model_idx ON outcome_months (model_sha256, month DESC);
CREATE INDEX outcome_months_stale_idx ON outcome_months (user_id) WHERE figures IS NULL;

ALTER TABLE prediction_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE outcome_months ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON prediction_counts USING (user_id = request_user());
CREATE POLICY owner ON outcome_months USING (user_id = request_user());

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_api') THEN
        GRANT SELECT ON model_profiles, prediction_counts TO millrace_api;
        GRANT SELECT, INSERT, UPDATE (figures), DELETE ON outcome_months TO millrace_api;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'millrace_loader') THEN
        CREATE POLICY loader ON prediction_counts TO millrace_loader USING (true) WITH CHECK (true);
        CREATE POLICY loader ON outcome_months TO millrace_loader USING (true) WITH CHECK (true);
        GRANT SELECT, INSERT ON model_profiles TO millrace_loader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON prediction_counts, outcome_months TO millrace_loader;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles cannot be used: no row level security';
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE outcome_months;
DROP TABLE prediction_counts;
DROP TABLE model_profiles;
