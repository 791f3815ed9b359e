-- Predictions of our own, such as the canary's, are nobody's news.

-- +goose Up
DROP TRIGGER announce_prediction ON predictions;
CREATE TRIGGER announce_prediction AFTER UPDATE OF status ON predictions FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled', 'dead')
      AND NOT NEW.options ? 'internal')
EXECUTE FUNCTION announce_prediction();

-- +goose Down
DROP TRIGGER announce_prediction ON predictions;
CREATE TRIGGER announce_prediction AFTER UPDATE OF status ON predictions FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled', 'dead'))
EXECUTE FUNCTION announce_prediction();
