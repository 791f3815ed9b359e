-- Ids: bigint identity inside, uuid v7 (made by the program) outside. Every time is the database's.

-- +goose Up
CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject       text NOT NULL UNIQUE,
    -- Share of scored rows that may be kept for retraining. 0: the user has not opted in.
    training_rate real NOT NULL DEFAULT 0 CHECK (training_rate BETWEEN 0 AND 1),
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE uploads (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id      uuid NOT NULL UNIQUE,
    user_id        bigint NOT NULL REFERENCES users (id),
    status         text NOT NULL DEFAULT 'pending'
                   CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    object_key     text NOT NULL,
    object_etag    text NOT NULL DEFAULT '',
    -- Where a file dropped by others was found: one upload per version of an object.
    source_bucket  text,
    source_key     text,
    source_version text,
    filename       text NOT NULL DEFAULT '' CHECK (length(filename) <= 255),
    bytes          bigint,
    sha256         bytea CHECK (length(sha256) = 32),
    -- The header and the number of rows; NULL until the file has been planned.
    row_count      bigint,
    delimiter      text CHECK (length(delimiter) = 1),
    columns        text[],
    header_bytes   bigint,
    header_lines   bigint,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, user_id),
    UNIQUE (source_bucket, source_key, source_version)
);
CREATE INDEX uploads_user_id_idx ON uploads (user_id);
CREATE INDEX uploads_status_idx ON uploads (status);
CREATE INDEX uploads_created_at_idx ON uploads (created_at DESC);
CREATE INDEX uploads_user_id_status_idx ON uploads (user_id, status);

CREATE TABLE predictions (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id          uuid NOT NULL UNIQUE,
    upload_id          bigint NOT NULL,
    user_id            bigint NOT NULL,
    model_name         text,
    model_version      text,
    model_sha256       text,
    engine_version     text,
    explain            text NOT NULL DEFAULT 'all' CHECK (explain IN ('all', 'none')),
    options            jsonb NOT NULL DEFAULT '{}',
    status             text NOT NULL DEFAULT 'queued'
                       CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'dead')),
    status_reason      text,
    -- Counts the runs from scratch. Result keys carry it, and every write of a worker names it.
    generation         integer NOT NULL DEFAULT 1,
    error              jsonb,
    rows_scored        bigint NOT NULL DEFAULT 0,
    rows_rejected      bigint NOT NULL DEFAULT 0,
    warnings           jsonb,
    summary            jsonb,
    result_key         text,
    result_etag        text,
    result_bytes       bigint,
    rejects_key        text,
    rejects_bytes      bigint,
    index_key          text,
    -- The last step, joining the results of the parts: due, and leased like a part.
    finish_due         boolean NOT NULL DEFAULT false,
    finish_epoch       integer NOT NULL DEFAULT 0,
    finish_attempts    integer NOT NULL DEFAULT 0,
    finish_lease_until timestamptz NOT NULL DEFAULT '-infinity',
    finish_worker      text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    queued_at          timestamptz NOT NULL DEFAULT now(),
    started_at         timestamptz,
    first_result_at    timestamptz,
    finished_at        timestamptz,
    -- A prediction belongs to the owner of its upload; the database sees to it.
    FOREIGN KEY (upload_id, user_id) REFERENCES uploads (id, user_id)
);
CREATE INDEX predictions_user_id_idx ON predictions (user_id);
CREATE INDEX predictions_status_idx ON predictions (status);
CREATE INDEX predictions_created_at_idx ON predictions (created_at DESC);
CREATE INDEX predictions_upload_id_idx ON predictions (upload_id);
CREATE INDEX predictions_user_id_status_idx ON predictions (user_id, status);
-- Pages of a user's list, newest first.
CREATE INDEX predictions_page_idx ON predictions (user_id, created_at DESC, id DESC);
-- What workers look for: few rows, however many predictions are stored.
CREATE INDEX predictions_active_idx ON predictions (id) WHERE status IN ('queued', 'running');
CREATE INDEX predictions_finish_idx ON predictions (id) WHERE finish_due;
CREATE INDEX predictions_dead_idx ON predictions (finished_at DESC, id DESC) WHERE status IN ('failed', 'dead');

-- The ledger: a part is done if and only if its blocks are stored, as both commit together.
CREATE TABLE prediction_parts (
    prediction_id bigint NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    generation    integer NOT NULL,
    part_no       integer NOT NULL,
    byte_offset   bigint NOT NULL,
    byte_length   bigint, -- NULL: nobody has looked into the file yet
    first_row     bigint NOT NULL,
    first_line    bigint NOT NULL,
    n_rows        bigint,
    status        text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done', 'dead')),
    -- Raised by every claim, release and failure: a write that names an older one changes nothing.
    epoch         integer NOT NULL DEFAULT 0,
    attempts      integer NOT NULL DEFAULT 0,
    -- Nobody else may claim the part before this time.
    lease_until   timestamptz NOT NULL DEFAULT '-infinity',
    worker        text,
    n_scored      bigint,
    n_rejected    bigint,
    warnings      jsonb,
    summary       jsonb,
    result_bytes  bigint,
    result_etag   text,
    rejects_bytes bigint,
    rejects_etag  text,
    error         jsonb,
    done_at       timestamptz,
    PRIMARY KEY (prediction_id, generation, part_no),
    CONSTRAINT prediction_parts_accounting CHECK (
        status <> 'done' OR n_rows IS NOT NULL AND n_scored + n_rejected IS NOT DISTINCT FROM n_rows
    )
);

CREATE TABLE prediction_failures (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prediction_id bigint NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    generation    integer NOT NULL,
    part_no       integer, -- NULL: the last step
    attempt       integer NOT NULL,
    worker        text,
    error         jsonb NOT NULL,
    failed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX prediction_failures_prediction_id_idx ON prediction_failures (prediction_id, id);

CREATE TABLE outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prediction_id bigint NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    public_id     uuid NOT NULL,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_prediction_id_idx ON outbox (prediction_id);

CREATE TABLE ml_training_data (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id          bigint NOT NULL REFERENCES users (id),
    prediction_id    bigint NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    row_no           integer NOT NULL,
    -- A keyed hash of the customer's id, never the id.
    customer_hash    bytea NOT NULL,
    features         jsonb NOT NULL,
    probability      real NOT NULL,
    experiment_group text,
    actual_churn     boolean,
    created_at       timestamptz NOT NULL DEFAULT now(),
    outcome_at       timestamptz,
    UNIQUE (prediction_id, row_no)
);
CREATE INDEX ml_training_data_user_id_idx ON ml_training_data (user_id);
CREATE INDEX ml_training_data_experiment_group_idx ON ml_training_data (experiment_group);
CREATE INDEX ml_training_data_actual_churn_idx ON ml_training_data (actual_churn) WHERE actual_churn IS NOT NULL;
CREATE INDEX ml_training_data_created_at_idx ON ml_training_data (created_at DESC);
-- Outcomes are matched by customer.
CREATE INDEX ml_training_data_customer_idx ON ml_training_data (user_id, customer_hash);

-- +goose Down
DROP TABLE ml_training_data;
DROP TABLE outbox;
DROP TABLE prediction_failures;
DROP TABLE prediction_parts;
DROP TABLE predictions;
DROP TABLE uploads;
DROP TABLE users;
