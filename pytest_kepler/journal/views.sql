-- The public views. They are made anew whenever this file changes; the tables are not touched.

-- Private: every run, over or not, with its parameters and metrics as maps. A mere projection of one
-- table: only then does DuckDB sort and limit before it reads the other columns.
CREATE OR REPLACE VIEW every_run AS
SELECT
    run_id, session_id, project, experiment, node_id,
    CASE WHEN is_void THEN 'void' ELSE status END AS status,
    started_at, seconds, seed, params, metrics, hypothesis, identity, code_hash, data_hash,
    params_hash, eval_hash, "commit", dirty, why_new, duplicate_of, message, unsound,
    environment_hash, spec, parts, replicates, worker
FROM run;

-- Private: which run uses which name. `naming` has each once, for readers.
CREATE OR REPLACE VIEW name_use AS
SELECT
    run_id, 'params' AS home, entry.key AS name,
    CASE json_type(entry.value)
        WHEN 'BIGINT' THEN 'number' WHEN 'UBIGINT' THEN 'number' WHEN 'HUGEINT' THEN 'number'
        WHEN 'DOUBLE' THEN 'number' WHEN 'BOOLEAN' THEN 'truth' WHEN 'NULL' THEN 'null'
        WHEN 'OBJECT' THEN 'nested'
        WHEN 'ARRAY' THEN CASE WHEN contains(entry.value, '{') THEN 'nested' ELSE 'text' END
        ELSE 'text'
    END AS kind
FROM (SELECT run_id, unnest(map_entries(params)) AS entry FROM run)
UNION ALL
SELECT run_id, 'metrics' AS home, unnest(map_keys(metrics)) AS name, '' AS kind FROM run;

CREATE OR REPLACE VIEW runs AS
SELECT
    run_id, session_id, project, experiment, node_id, status, started_at, seconds, seed,
    to_json(params) AS params,
    -- JSON has no NaN: a number that is not finite becomes a text.
    CASE
        WHEN len(list_filter(map_values(metrics), lambda number: NOT isfinite(number))) = 0
        THEN to_json(metrics)
        ELSE to_json(map_from_entries(list_transform(
            map_entries(metrics),
            lambda entry: {
                'k': entry.key,
                'v': CASE
                    WHEN isnan(entry.value) THEN '"NaN"'::JSON
                    WHEN entry.value = 'Infinity' THEN '"Infinity"'::JSON
                    WHEN entry.value = '-Infinity' THEN '"-Infinity"'::JSON
                    ELSE to_json(entry.value)
                END
            }
        )))
    END AS metrics,
    hypothesis, identity, code_hash, data_hash, params_hash, eval_hash, "commit", dirty, why_new,
    duplicate_of, message, unsound, environment_hash, spec, replicates, worker
FROM every_run;

CREATE OR REPLACE VIEW sessions AS
SELECT
    s.session_id, s.started_at, e.ended_at,
    epoch_us(e.ended_at - s.started_at) / 1e6 AS seconds,
    e.exit_status, s.project, s.rootdir, s.args, s.host, s.python, s.platform, s.pytest,
    s."commit", s.dirty, s.diff, s.ci, s.worker
FROM session AS s LEFT JOIN session_end AS e USING (session_id);

CREATE OR REPLACE VIEW experiments AS
SELECT
    project, experiment,
    arg_max(hypothesis, started_at) AS hypothesis,
    arg_max(spec ->> '$.metric', started_at) AS metric,
    count(*) AS n_runs,
    count(*) FILTER (WHERE status = 'passed') AS n_passed,
    count(*) FILTER (WHERE status = 'failed') AS n_failed,
    count(*) FILTER (WHERE status = 'blocked') AS n_blocked,
    count(*) FILTER (WHERE status = 'duplicate') AS n_duplicates,
    sum(seconds) FILTER (WHERE status <> 'duplicate') AS seconds,
    min(started_at) AS first_at,
    max(started_at) AS last_at
FROM every_run
GROUP BY project, experiment;

CREATE OR REPLACE VIEW metrics AS
SELECT
    run_id, name, unnest(steps) AS step, unnest(vals) AS value, unnest(times) AS logged_at
FROM point;

CREATE OR REPLACE VIEW params AS
SELECT
    run_id, name, value,
    CASE
        WHEN json_type(value) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')
        THEN TRY_CAST(value AS DOUBLE)
    END AS number,
    value ->> '$' AS text
FROM (
    SELECT run_id, entry.key AS name, coalesce(entry.value, 'null'::JSON) AS value
    FROM (SELECT run_id, unnest(map_entries(params)) AS entry FROM every_run)
);

CREATE OR REPLACE VIEW checks AS
SELECT
    run_id, session_id, code, name, severity, message, location, measured, threshold, fix, waiver,
    checked_at
FROM finding;

CREATE OR REPLACE VIEW models AS
SELECT run_id, name, framework, kind, params, n_weights, model_hash, config FROM model;

CREATE OR REPLACE VIEW datasets AS
SELECT data_hash, name, kind, shape, n_bytes FROM dataset;

CREATE OR REPLACE VIEW artifacts AS
SELECT run_id, name, kind, sha256, n_bytes, path, saved_at FROM artifact;

CREATE OR REPLACE VIEW notes AS
SELECT note_id, run_id, experiment, text, noted_at FROM note;

CREATE OR REPLACE VIEW claims AS
SELECT
    claim, experiment, verdict, estimate, low, high, n_pairs, session_id, decided_at, message
FROM claim;

CREATE OR REPLACE VIEW baselines AS
SELECT
    name, experiment, params, metric, value, n_replicates, recorded_at,
    facts ->> '$.goal' AS goal
FROM baseline;
