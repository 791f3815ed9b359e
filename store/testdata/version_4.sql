-- What a millrace of schema version 4 leaves behind: a prediction that was completed, one that waits, and one that a
-- worker was in the middle of, whose lease has run out.
INSERT INTO users (subject) VALUES ('user_1');

INSERT INTO uploads (public_id, user_id, status, object_key, object_etag, filename, bytes, sha256, row_count, delimiter,
                     columns, header_bytes, header_lines)
SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, u.id,
       (ARRAY['completed', 'pending', 'processing'])[n],
       'uploads/00000000-0000-7000-8000-00000000000' || n || '/input.csv', '"abc"', 'march.csv', 418,
       decode(repeat('07', 32), 'hex'), 4, ';', ARRAY['customerID', 'tenure'], 18, 1
FROM users u, generate_series(1, 3) n ORDER BY n;

INSERT INTO predictions (public_id, upload_id, user_id, model_name, model_version, model_sha256, engine_version, explain,
                         status, rows_scored, summary, result_key, result_etag, result_bytes, started_at,
                         first_result_at, finished_at)
SELECT ('00000000-0000-7000-9000-00000000000' || row_number() OVER (ORDER BY p.id))::uuid, p.id, p.user_id, 'telecom', '1',
       '5a', 'e1', 'at_risk', s.status, CASE WHEN done THEN 4 ELSE 0 END,
       CASE WHEN done THEN '{"mean": 0.5}'::jsonb END, CASE WHEN done THEN 'results/x/1/result.csv' END,
       CASE WHEN done THEN '"r"' END, CASE WHEN done THEN 20 END,
       CASE WHEN s.status <> 'queued' THEN now() END, CASE WHEN done THEN now() END, CASE WHEN done THEN now() END
FROM uploads p
JOIN (VALUES ('completed', 'completed', true), ('pending', 'queued', false), ('processing', 'running', false))
     AS s (upload_status, status, done) ON s.upload_status = p.status
ORDER BY p.id;

INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, byte_length, first_row, first_line, n_rows,
                              status, epoch, attempts, lease_until, worker, n_scored, n_rejected, done_at)
SELECT id, 1, 0, 18, 400, 1, 2, 4, CASE WHEN status = 'completed' THEN 'done' ELSE 'open' END,
       CASE WHEN status = 'queued' THEN 0 ELSE 1 END, CASE WHEN status = 'queued' THEN 0 ELSE 1 END,
       CASE WHEN status = 'running' THEN now() - interval '1 minute' ELSE '-infinity' END,
       CASE WHEN status <> 'queued' THEN 'old worker' END,
       CASE WHEN status = 'completed' THEN 4 END, CASE WHEN status = 'completed' THEN 0 END,
       CASE WHEN status = 'completed' THEN now() END
FROM predictions;

INSERT INTO prediction_blocks (prediction_id, first_row, n, customer_id, probability, risk_band, band_rows)
SELECT id, 1, 4, ARRAY['c-1', 'c-2', 'c-3', 'c-4'], ARRAY[0.1, 0.2, 0.6, 0.9]::real[], ARRAY[0, 0, 1, 2]::smallint[],
       ARRAY[2, 1, 1]::smallint[]
FROM predictions WHERE status = 'completed';

INSERT INTO outbox (prediction_id, public_id) SELECT id, public_id FROM predictions WHERE status = 'queued';

INSERT INTO ml_training_data (user_id, prediction_id, row_no, customer_hash, features, probability)
SELECT user_id, id, 1, '\x01', '{"tenure": 1}', 0.1 FROM predictions WHERE status = 'completed';
