-- Explanations of the rows at risk only.

-- +goose Up
ALTER TABLE predictions DROP CONSTRAINT predictions_explain_check;
ALTER TABLE predictions ADD CONSTRAINT predictions_explain_check CHECK (explain IN ('all', 'at_risk', 'none'));

-- +goose Down
UPDATE predictions SET explain = 'all' WHERE explain = 'at_risk';
ALTER TABLE predictions DROP CONSTRAINT predictions_explain_check;
ALTER TABLE predictions ADD CONSTRAINT predictions_explain_check CHECK (explain IN ('all', 'none'));
