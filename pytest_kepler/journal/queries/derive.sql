-- derive: what readers look for, made from the other tables where rows came in bulk: runs' marks, a
-- row for each run without an end, and the names. Doing it again changes nothing.

UPDATE run SET is_void = true FROM void WHERE run.run_id = void.run_id AND NOT run.is_void;
UPDATE run SET is_void = true
FROM void
WHERE run.duplicate_of = void.run_id AND run.duplicate_of <> '' AND NOT run.is_void;

UPDATE run SET unsound = doubt.reason
FROM (SELECT run_id, min(reason) AS reason FROM unsound GROUP BY run_id) AS doubt
WHERE run.run_id = doubt.run_id;

DELETE FROM run WHERE is_open;
INSERT INTO run BY NAME
SELECT
    open_run.* REPLACE ('running' AS status, NULL::DOUBLE AS seconds),
    MAP {}::MAP(VARCHAR, DOUBLE) AS metrics, '' AS eval_hash, session."commit", session.dirty,
    true AS is_open
FROM open_run LEFT JOIN session USING (session_id);

DELETE FROM naming;
INSERT INTO naming SELECT DISTINCT home, name, kind FROM name_use;
