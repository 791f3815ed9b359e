-- The thirteen indexes that were promised get the names that were promised: scripts and plans of the service before name
-- them. A rename blocks neither reads nor writes, and no statement of any version names an index.
--
-- A database may have indexes of these names already: made by hand, or by the service before. One that is the same
-- replaces ours, another is renamed and stays, and what is missing is made.

-- +goose Up
-- Dropping ours waits for the table's readers, and everybody behind it: not for long. A later start tries again.
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
DO $$
DECLARE
    i record;
    ours regclass;
    named regclass;
BEGIN
    FOR i IN SELECT * FROM (VALUES
        ('predictions', 'predictions_user_id_idx', 'idx_predictions_user_id', '(user_id)'),
        ('predictions', 'predictions_status_idx', 'idx_predictions_status', '(status)'),
        ('predictions', 'predictions_created_at_idx', 'idx_predictions_created_at', '(created_at DESC)'),
        ('predictions', 'predictions_upload_id_idx', 'idx_predictions_upload_id', '(upload_id)'),
        ('predictions', 'predictions_user_id_status_idx', 'idx_predictions_user_status', '(user_id, status)'),
        ('uploads', 'uploads_user_id_idx', 'idx_uploads_user_id', '(user_id)'),
        ('uploads', 'uploads_status_idx', 'idx_uploads_status', '(status)'),
        ('uploads', 'uploads_created_at_idx', 'idx_uploads_created_at', '(created_at DESC)'),
        ('uploads', 'uploads_user_id_status_idx', 'idx_uploads_user_status', '(user_id, status)'),
        ('ml_training_data', 'ml_training_data_user_id_idx', 'idx_ml_training_user_id', '(user_id)'),
        ('ml_training_data', 'ml_training_data_experiment_group_idx', 'idx_ml_training_experiment_group',
            '(experiment_group)'),
        ('ml_training_data', 'ml_training_data_actual_churn_idx', 'idx_ml_training_actual_churn',
            '(actual_churn) WHERE (actual_churn IS NOT NULL)'),
        ('ml_training_data', 'ml_training_data_created_at_idx', 'idx_ml_training_created_at', '(created_at DESC)')
    ) AS promised (relation, former, name, definition) LOOP
        ours := to_regclass(format('%I.%I', current_schema(), i.former));
        named := to_regclass(format('%I.%I', current_schema(), i.name));
        IF named IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_index x WHERE x.indexrelid = named AND x.indrelid = i.relation::regclass
            AND x.indisvalid AND NOT x.indisunique
            AND right(pg_get_indexdef(named), length(i.definition) + 13) = ' USING btree ' || i.definition
        ) THEN
            EXECUTE format('ALTER INDEX %s RENAME TO %I', named, i.name || '_' || named::oid);
            named := NULL;
        END IF;
        IF ours IS NOT NULL AND named IS NOT NULL THEN
            EXECUTE format('DROP INDEX %s', ours);
        ELSIF ours IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s RENAME TO %I', ours, i.name);
        ELSIF named IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %I USING btree %s', i.name, i.relation, i.definition);
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER INDEX idx_predictions_user_id RENAME TO predictions_user_id_idx;
ALTER INDEX idx_predictions_status RENAME TO predictions_status_idx;
ALTER INDEX idx_predictions_created_at RENAME TO predictions_created_at_idx;
ALTER INDEX idx_predictions_upload_id RENAME TO predictions_upload_id_idx;
ALTER INDEX idx_predictions_user_status RENAME TO predictions_user_id_status_idx;
ALTER INDEX idx_uploads_user_id RENAME TO uploads_user_id_idx;
ALTER INDEX idx_uploads_status RENAME TO uploads_status_idx;
ALTER INDEX idx_uploads_created_at RENAME TO uploads_created_at_idx;
ALTER INDEX idx_uploads_user_status RENAME TO uploads_user_id_status_idx;
ALTER INDEX idx_ml_training_user_id RENAME TO ml_training_data_user_id_idx;
ALTER INDEX idx_ml_training_experiment_group RENAME TO ml_training_data_experiment_group_idx;
ALTER INDEX idx_ml_training_actual_churn RENAME TO ml_training_data_actual_churn_idx;
ALTER INDEX idx_ml_training_created_at RENAME TO ml_training_data_created_at_idx;
