-- merge: what follows when the keyed tables and the sets of another journal, attached as source,
-- have been brought in. touched(run_id): the runs that are new here, or another row than before.

-- Logged values --------------------------------------------------------------------------------

-- Behind all batches that are here, so that what is logged later comes behind these.
CREATE OR REPLACE TEMP TABLE base AS
SELECT
    (SELECT coalesce(max(batch), 0) FROM ledger) AS ours,
    (SELECT greatest(coalesce(max(batch), 0), 1) FROM source.point) AS theirs;

-- Of one metric of one run, each journal has what its process had logged when it was looked at:
-- the longer one has it all.
CREATE OR REPLACE TEMP TABLE shared AS
SELECT run_id, name FROM (SELECT DISTINCT run_id, name FROM point)
    SEMI JOIN source.point USING (run_id, name);

CREATE OR REPLACE TEMP TABLE longer AS
WITH
mine AS (
    SELECT
        run_id, name, flatten(list(steps ORDER BY batch)) AS steps,
        flatten(list(vals ORDER BY batch)) AS vals, flatten(list(times ORDER BY batch)) AS times
    FROM point SEMI JOIN shared USING (run_id, name) GROUP BY run_id, name
),
other AS (
    SELECT
        run_id, name, flatten(list(steps ORDER BY batch)) AS steps,
        flatten(list(vals ORDER BY batch)) AS vals, flatten(list(times ORDER BY batch)) AS times
    FROM source.point SEMI JOIN shared USING (run_id, name) GROUP BY run_id, name
)
SELECT other.*
FROM mine JOIN other ON mine.run_id = other.run_id AND mine.name = other.name
WHERE len(other.vals) > len(mine.vals)
    OR (len(other.vals) = len(mine.vals) AND md5(other::VARCHAR) < md5(mine::VARCHAR));

CREATE OR REPLACE TEMP TABLE fresh AS
SELECT run_id, name, base.ours + point.batch AS batch, steps, vals, times
FROM (SELECT * FROM source.point ANTI JOIN shared USING (run_id, name)) AS point, base;

DELETE FROM point WHERE (run_id, name) IN (SELECT (run_id, name) FROM longer);
INSERT INTO point BY NAME SELECT * FROM fresh;
INSERT INTO point BY NAME SELECT longer.*, base.ours + base.theirs AS batch FROM longer, base;

-- Which bytes of which spool came with them; and a batch of its own, if only of values.
INSERT INTO ledger
SELECT spool, taken, base.ours + base.theirs, now() AT TIME ZONE 'UTC'
FROM (
    SELECT spool, max(taken) AS taken FROM source.ledger WHERE spool <> '' GROUP BY spool
    UNION ALL
    SELECT '', 0 WHERE EXISTS (FROM longer) OR EXISTS (FROM fresh)
) AS theirs
    CROSS JOIN base
WHERE spool = '' OR NOT EXISTS (
    SELECT 1 FROM ledger AS known WHERE known.spool = theirs.spool AND known.taken >= theirs.taken
);

-- Runs -------------------------------------------------------------------------------------------

DELETE FROM open_run WHERE run_id IN (SELECT run_id FROM run);
DELETE FROM open_end WHERE run_id IN (SELECT run_id FROM run);

-- The last value of each metric is that of the values that are here now.
CREATE OR REPLACE TEMP TABLE last_values AS
SELECT run_id, map(list(name ORDER BY name), list(value ORDER BY name)) AS metrics
FROM (
    SELECT run_id, name, arg_max(vals[-1], batch) AS value
    FROM point SEMI JOIN (
        SELECT run_id FROM longer
        UNION
        -- A run whose row came from one journal and whose values came from both.
        SELECT run_id FROM touched SEMI JOIN shared USING (run_id)
    ) USING (run_id)
    GROUP BY run_id, name
)
GROUP BY run_id;

INSERT INTO touched
SELECT run_id FROM last_values SEMI JOIN run USING (run_id) ANTI JOIN touched USING (run_id);

UPDATE run SET metrics = last_values.metrics
FROM last_values WHERE run.run_id = last_values.run_id AND run.duplicate_of = '';

UPDATE run SET "commit" = session."commit", dirty = session.dirty
FROM session WHERE run.session_id = session.session_id AND run."commit" IS NULL;

-- A duplicate has its numbers from the run that it repeats, and all that its event left out.
UPDATE run SET
    metrics = original.metrics,
    eval_hash = original.eval_hash,
    params = original.params,
    project = coalesce(nullif(run.project, ''), original.project, ''),
    hypothesis = coalesce(nullif(run.hypothesis, ''), original.hypothesis, ''),
    identity = coalesce(nullif(run.identity, ''), original.identity, ''),
    code_hash = coalesce(nullif(run.code_hash, ''), original.code_hash, ''),
    data_hash = coalesce(nullif(run.data_hash, ''), original.data_hash, ''),
    params_hash = coalesce(nullif(run.params_hash, ''), original.params_hash, ''),
    environment_hash = coalesce(nullif(run.environment_hash, ''), original.environment_hash, ''),
    seed = coalesce(run.seed, original.seed),
    spec = coalesce(run.spec, original.spec),
    parts = coalesce(run.parts, original.parts),
    replicates = coalesce(run.replicates, original.replicates)
FROM run AS original
WHERE run.duplicate_of = original.run_id AND run.duplicate_of <> '' AND original.duplicate_of = ''
    AND (
        run.run_id IN (SELECT run_id FROM touched)
        OR original.run_id IN (SELECT run_id FROM touched)
    );
