-- 0003: what readers look for is in the row of the run, so that no reader joins or unites tables.
-- A run without an end has a row as well (is_open); the end replaces it.
ALTER TABLE run ADD COLUMN is_open BOOLEAN DEFAULT false;
ALTER TABLE run ADD COLUMN is_void BOOLEAN DEFAULT false;
ALTER TABLE run ADD COLUMN unsound VARCHAR DEFAULT '';

-- Which parameters and metrics there are: home is 'params' or 'metrics'; kind is what a value of a
-- parameter is: 'number', 'truth', 'text', 'null', or 'nested' where it has mappings in it.
CREATE TABLE naming (home VARCHAR, name VARCHAR, kind VARCHAR);

UPDATE run SET is_void = true WHERE run_id IN (SELECT run_id FROM void);
-- The duplicates of a void run show its numbers: they are void with it.
UPDATE run SET is_void = true WHERE duplicate_of IN (SELECT run_id FROM void);

UPDATE run SET unsound = doubt.reason
FROM (SELECT run_id, min(reason) AS reason FROM unsound GROUP BY run_id) AS doubt
WHERE run.run_id = doubt.run_id;

INSERT INTO run BY NAME
SELECT
    open_run.* REPLACE ('running' AS status, NULL::DOUBLE AS seconds),
    MAP {}::MAP(VARCHAR, DOUBLE) AS metrics, '' AS eval_hash, session."commit", session.dirty,
    true AS is_open
FROM open_run LEFT JOIN session USING (session_id);

INSERT INTO naming
SELECT DISTINCT
    'params', entry.key,
    CASE json_type(entry.value)
        WHEN 'BIGINT' THEN 'number' WHEN 'UBIGINT' THEN 'number' WHEN 'HUGEINT' THEN 'number'
        WHEN 'DOUBLE' THEN 'number' WHEN 'BOOLEAN' THEN 'truth' WHEN 'NULL' THEN 'null'
        WHEN 'OBJECT' THEN 'nested'
        WHEN 'ARRAY' THEN CASE WHEN contains(entry.value, '{') THEN 'nested' ELSE 'text' END
        ELSE 'text'
    END
FROM (SELECT unnest(map_entries(params)) AS entry FROM run);

INSERT INTO naming SELECT DISTINCT 'metrics', unnest(map_keys(metrics)), '' FROM run;
