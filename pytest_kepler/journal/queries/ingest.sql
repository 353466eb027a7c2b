-- ingest: what the temporary tables hold goes into the journal; one transaction is around it.
-- event(row, spool columns as text or JSON) and logged(row, r, n, v, s, t): the fresh lines.
-- slice(spool, first_row): which rows of event a spool gave. sealed(spool, ended_at): the writer
-- is gone. batch(number). Nothing here can fail on a value: whatever is not sound was taken out.

INSERT INTO session BY NAME
SELECT
    session AS session_id, make_timestamp(micros("at")) AS started_at,
    coalesce(project, '') AS project, coalesce(rootdir, '') AS rootdir, args,
    coalesce(host, '') AS host, coalesce(python, '') AS python,
    coalesce(platform, '') AS platform, coalesce(pytest, '') AS pytest,
    coalesce("commit", '') AS "commit", TRY_CAST(dirty AS BOOLEAN) AS dirty,
    coalesce(diff, '') AS diff, coalesce(ci, '') AS ci, coalesce(worker, '') AS worker
FROM event ANTI JOIN session ON event.session = session.session_id
WHERE e = 'session'
-- Workers introduce themselves too: the session is told by the process that controls it.
QUALIFY row_number() OVER (PARTITION BY event.session ORDER BY coalesce(worker, ''), "row") = 1;

UPDATE run SET "commit" = session."commit", dirty = session.dirty
FROM session
WHERE run.session_id = session.session_id AND run."commit" IS NULL
    AND run.session_id IN (SELECT session FROM event WHERE e = 'session');

INSERT INTO session_end
SELECT session, make_timestamp(micros("at")), TRY_CAST(exit_status AS INTEGER)
FROM event ANTI JOIN session_end ON event.session = session_end.session_id
WHERE e = 'session_end'
QUALIFY row_number() OVER (PARTITION BY event.session ORDER BY "row" DESC) = 1;

INSERT INTO environment
SELECT hash, facts
FROM event ANTI JOIN environment ON event.hash = environment.environment_hash
WHERE e = 'environment'
QUALIFY row_number() OVER (PARTITION BY event.hash ORDER BY "row") = 1;

INSERT INTO code
SELECT hash, parts
FROM event ANTI JOIN code ON event.hash = code.code_hash
WHERE e = 'code'
QUALIFY row_number() OVER (PARTITION BY event.hash ORDER BY "row") = 1;

INSERT INTO dataset
SELECT hash, coalesce(name, ''), coalesce(kind, ''), shape, TRY_CAST(n_bytes AS BIGINT)
FROM event
    ANTI JOIN dataset
    ON event.hash = dataset.data_hash AND coalesce(event.name, '') = dataset.name
WHERE e = 'dataset'
QUALIFY row_number() OVER (PARTITION BY event.hash, event.name ORDER BY "row") = 1;

INSERT INTO eval SELECT run, coalesce(prefix, ''), hash FROM event WHERE e = 'eval';

INSERT INTO fact
SELECT run, entry.key, coalesce(entry.value, 'null'::JSON)
FROM (
    SELECT run, unnest(map_entries(TRY_CAST(facts AS MAP(VARCHAR, JSON)))) AS entry
    FROM event WHERE e = 'fact'
);

INSERT INTO note
SELECT note, coalesce(run, ''), coalesce(experiment, ''), text, make_timestamp(micros("at"))
FROM event ANTI JOIN note ON event.note = note.note_id
WHERE e = 'note'
QUALIFY row_number() OVER (PARTITION BY event.note ORDER BY "row") = 1;

INSERT INTO finding
SELECT
    run, session, code, coalesce(name, ''), severity, coalesce(message, ''),
    coalesce(location, ''), measured, threshold, coalesce(fix, ''), coalesce(waiver, ''),
    make_timestamp(micros("at"))
FROM event WHERE e = 'check';

INSERT INTO model
SELECT
    run, coalesce(name, ''), coalesce(framework, ''), coalesce(kind, ''), params,
    TRY_CAST(n_weights AS BIGINT), coalesce(hash, ''), config
FROM event WHERE e = 'model';

INSERT INTO artifact BY NAME
SELECT
    run AS run_id, name, coalesce(kind, '') AS kind, coalesce(sha256, '') AS sha256,
    TRY_CAST(n_bytes AS BIGINT) AS n_bytes, coalesce(path, '') AS path,
    make_timestamp(micros("at")) AS saved_at, coalesce(hash, '') AS content_hash
FROM event WHERE e = 'artifact';

INSERT INTO gate BY NAME
SELECT
    session AS session_id, node AS node_id, status, TRY_CAST(seconds AS DOUBLE) AS seconds,
    coalesce(message, '') AS message, make_timestamp(micros("at")) AS checked_at,
    coalesce(identity, '') AS identity, coalesce(environment, '') AS environment_hash,
    facts AS files, TRY_CAST(call_seconds AS DOUBLE) AS call_seconds
FROM event WHERE e = 'gate';

INSERT INTO threshold
SELECT
    session, experiment, coalesce(metric, ''), coalesce(bound, ''), TRY_CAST("limit" AS DOUBLE),
    TRY_CAST(value AS DOUBLE), status, coalesce(message, ''), make_timestamp(micros("at"))
FROM event WHERE e = 'threshold';

INSERT INTO claim
SELECT
    session, experiment, text, status, TRY_CAST(facts ->> '$.estimate' AS DOUBLE),
    TRY_CAST(facts ->> '$.low' AS DOUBLE), TRY_CAST(facts ->> '$.high' AS DOUBLE),
    coalesce(TRY_CAST(facts ->> '$.n_pairs' AS BIGINT), 0), make_timestamp(micros("at")),
    coalesce(message, ''), facts
FROM event WHERE e = 'claim';

INSERT INTO baseline
SELECT
    name, experiment, params, metric, TRY_CAST(value AS DOUBLE),
    coalesce(TRY_CAST(facts ->> '$.n_replicates' AS BIGINT), 1), make_timestamp(micros("at")),
    facts
FROM event WHERE e = 'baseline';

INSERT INTO unsound
SELECT run, coalesce(reason, ''), make_timestamp(micros("at")) FROM event WHERE e = 'unsound';

INSERT INTO void
SELECT run, coalesce(reason, ''), make_timestamp(micros("at")) FROM event WHERE e = 'void';

-- Runs -------------------------------------------------------------------------------------------

-- The few that are over already; asking this way round never builds a table of all ids.
CREATE TEMP TABLE known_run AS
SELECT run_id FROM run SEMI JOIN (SELECT run FROM event WHERE e IN ('run', 'end')) AS fresh
    ON run.run_id = fresh.run
WHERE NOT is_open;

CREATE TEMP TABLE begun AS
SELECT
    run AS run_id, session AS session_id, coalesce(project, '') AS project, experiment,
    node AS node_id, status, make_timestamp(micros("at")) AS started_at,
    TRY_CAST(seconds AS DOUBLE) AS seconds, TRY_CAST(seed AS BIGINT) AS seed,
    coalesce(TRY_CAST(params AS MAP(VARCHAR, JSON)), MAP {}::MAP(VARCHAR, JSON)) AS params,
    coalesce(hypothesis, '') AS hypothesis, coalesce(identity, '') AS identity,
    coalesce(code, '') AS code_hash, coalesce(data, '') AS data_hash,
    coalesce(params_hash, '') AS params_hash, coalesce(environment, '') AS environment_hash,
    coalesce(why_new, '') AS why_new, coalesce(duplicate_of, '') AS duplicate_of,
    coalesce(message, '') AS message, spec, parts, replicates, coalesce(worker, '') AS worker,
    spool
FROM (SELECT * FROM event WHERE e = 'run') AS fresh
    ASOF JOIN slice ON fresh."row" >= slice.first_row
WHERE run NOT IN (SELECT run_id FROM known_run) AND run NOT IN (SELECT run_id FROM open_run)
QUALIFY row_number() OVER (PARTITION BY run ORDER BY "row") = 1;

INSERT INTO open_end
SELECT
    run, make_timestamp(micros("at")), status, TRY_CAST(seconds AS DOUBLE), coalesce(message, '')
FROM event
WHERE e = 'end'
    AND run NOT IN (SELECT run_id FROM known_run) AND run NOT IN (SELECT run_id FROM open_end)
QUALIFY row_number() OVER (PARTITION BY run ORDER BY "row" DESC) = 1;

CREATE TEMP TABLE pending AS
SELECT *, false AS is_old FROM begun UNION ALL SELECT *, true AS is_old FROM open_run;

CREATE TEMP TABLE lost AS
SELECT
    pending.run_id, sealed.ended_at,
    CASE WHEN session_end.exit_status = 2 THEN 'interrupted' ELSE 'crashed' END AS status,
    greatest(epoch_us(sealed.ended_at - pending.started_at) / 1e6, 0) AS seconds,
    'its process ended before the run did' AS message
FROM pending
    JOIN sealed USING (spool)
    ANTI JOIN open_end USING (run_id)
    LEFT JOIN session_end USING (session_id)
WHERE pending.status IS NULL;

CREATE TEMP TABLE complete AS
SELECT
    pending.* REPLACE (
        coalesce(ended.status, pending.status) AS status,
        coalesce(
            ended.seconds,
            pending.seconds,
            greatest(epoch_us(ended.ended_at - pending.started_at) / 1e6, 0)
        ) AS seconds,
        coalesce(nullif(ended.message, ''), pending.message) AS message
    )
FROM pending
    LEFT JOIN (SELECT * FROM open_end UNION ALL SELECT * FROM lost) AS ended USING (run_id)
WHERE ended.run_id IS NOT NULL OR pending.status IS NOT NULL;

INSERT INTO open_run
SELECT * EXCLUDE (is_old) FROM pending
WHERE NOT is_old AND run_id NOT IN (SELECT run_id FROM complete);

DELETE FROM open_run WHERE run_id IN (SELECT run_id FROM complete WHERE is_old);
DELETE FROM open_end WHERE run_id IN (SELECT run_id FROM complete);

-- Values -----------------------------------------------------------------------------------------

CREATE TEMP TABLE chunk AS
SELECT
    r AS run_id, n AS name, (SELECT number FROM batch) AS batch,
    list(TRY_CAST(s AS BIGINT) ORDER BY "row") AS steps,
    list(TRY_CAST(v AS DOUBLE) ORDER BY "row") AS vals,
    list(make_timestamp(micros(t)) ORDER BY "row") AS times
FROM logged
GROUP BY r, n;

CREATE TEMP TABLE outcome AS
SELECT run_id, map(list(name ORDER BY name), list(value ORDER BY name)) AS metrics
FROM (
    SELECT run_id, name, arg_max(vals[-1], batch) AS value
    FROM (
        SELECT run_id, name, batch, vals FROM chunk
        UNION ALL
        SELECT run_id, name, batch, vals
        FROM point SEMI JOIN (SELECT run_id FROM complete WHERE is_old) USING (run_id)
    ) SEMI JOIN complete USING (run_id)
    GROUP BY run_id, name
)
GROUP BY run_id;

INSERT INTO point SELECT * FROM chunk;

CREATE TEMP TABLE measured_on AS
SELECT
    run_id,
    CASE
        WHEN count(*) = 1 THEN any_value(eval_hash)
        ELSE md5(string_agg(prefix || '=' || eval_hash, ',' ORDER BY prefix))
    END AS eval_hash
FROM (
    SELECT DISTINCT run_id, prefix, eval_hash
    FROM eval SEMI JOIN complete USING (run_id)
)
GROUP BY run_id;

CREATE TEMP TABLE finished AS
SELECT
    complete.* EXCLUDE (is_old),
    coalesce(outcome.metrics, MAP {}::MAP(VARCHAR, DOUBLE)) AS metrics,
    coalesce(measured_on.eval_hash, '') AS eval_hash,
    session."commit", session.dirty
FROM complete
    LEFT JOIN outcome USING (run_id)
    LEFT JOIN measured_on USING (run_id)
    LEFT JOIN session USING (session_id);

DELETE FROM run WHERE is_open AND run_id NOT IN (SELECT run_id FROM open_run);

INSERT INTO run BY NAME
SELECT * FROM finished WHERE duplicate_of = '' ORDER BY started_at;

-- A duplicate has its numbers from the run that it repeats, and all that its event left out.
INSERT INTO run BY NAME
SELECT
    finished.* REPLACE (
        coalesce(original.metrics, finished.metrics) AS metrics,
        coalesce(original.eval_hash, finished.eval_hash) AS eval_hash,
        coalesce(original.params, finished.params) AS params,
        coalesce(nullif(finished.project, ''), original.project, '') AS project,
        coalesce(nullif(finished.hypothesis, ''), original.hypothesis, '') AS hypothesis,
        coalesce(nullif(finished.identity, ''), original.identity, '') AS identity,
        coalesce(nullif(finished.code_hash, ''), original.code_hash, '') AS code_hash,
        coalesce(nullif(finished.data_hash, ''), original.data_hash, '') AS data_hash,
        coalesce(nullif(finished.params_hash, ''), original.params_hash, '') AS params_hash,
        coalesce(nullif(finished.environment_hash, ''), original.environment_hash, '')
            AS environment_hash,
        coalesce(finished.seconds, 0) AS seconds,
        coalesce(finished.seed, original.seed) AS seed,
        coalesce(finished.spec, original.spec) AS spec,
        coalesce(finished.parts, original.parts) AS parts,
        coalesce(finished.replicates, original.replicates) AS replicates
    )
FROM finished
    LEFT JOIN (
        SELECT *
        FROM run SEMI JOIN finished ON run.run_id = finished.duplicate_of
        WHERE NOT is_open
    ) AS original ON original.run_id = finished.duplicate_of
WHERE finished.duplicate_of <> ''
ORDER BY finished.started_at;

-- What readers look for -------------------------------------------------------------------------

CREATE TEMP TABLE voided AS
SELECT run AS run_id FROM event WHERE e = 'void'
UNION
SELECT run_id FROM void SEMI JOIN finished USING (run_id)
UNION
SELECT run_id FROM void SEMI JOIN finished ON void.run_id = finished.duplicate_of;

UPDATE run SET is_void = true FROM voided WHERE run.run_id = voided.run_id AND NOT run.is_open;
-- The duplicates of a void run show its numbers: they are void with it.
UPDATE run SET is_void = true
FROM voided
WHERE run.duplicate_of = voided.run_id AND run.duplicate_of <> '' AND NOT run.is_open;

UPDATE run SET unsound = doubt.reason
FROM (
    SELECT run_id, min(reason) AS reason
    FROM unsound SEMI JOIN (
        SELECT run AS run_id FROM event WHERE e = 'unsound' UNION SELECT run_id FROM finished
    ) USING (run_id)
    GROUP BY run_id
) AS doubt
WHERE run.run_id = doubt.run_id AND NOT run.is_open;

INSERT INTO run BY NAME
SELECT
    open_run.* REPLACE ('running' AS status, NULL::DOUBLE AS seconds),
    MAP {}::MAP(VARCHAR, DOUBLE) AS metrics, '' AS eval_hash, session."commit", session.dirty,
    true AS is_open
FROM open_run
    LEFT JOIN session USING (session_id)
    ANTI JOIN (SELECT run_id FROM run WHERE is_open) AS shown USING (run_id);

-- As the view `name_use` tells them, which would look at every run.
INSERT INTO naming
SELECT DISTINCT home, name, kind
FROM (
    SELECT
        'params' AS home, entry.key AS name,
        CASE json_type(entry.value)
            WHEN 'BIGINT' THEN 'number' WHEN 'UBIGINT' THEN 'number' WHEN 'HUGEINT' THEN 'number'
            WHEN 'DOUBLE' THEN 'number' WHEN 'BOOLEAN' THEN 'truth' WHEN 'NULL' THEN 'null'
            WHEN 'OBJECT' THEN 'nested'
            WHEN 'ARRAY'
            THEN CASE WHEN contains(entry.value, '{') THEN 'nested' ELSE 'text' END
            ELSE 'text'
        END AS kind
    FROM (
        SELECT unnest(map_entries(params)) AS entry
        FROM (SELECT params FROM begun UNION ALL SELECT params FROM finished)
    )
    UNION ALL
    SELECT 'metrics' AS home, unnest(map_keys(metrics)) AS name, '' AS kind FROM finished
)
    ANTI JOIN naming USING (home, name, kind);
