-- 0001: the tables. They are private; people and reports read the views of views.sql.
-- No keys and no indexes: they triple the cost of a write and save milliseconds of a read;
-- ingest keeps ids unique. Times are UTC. A text that was not given is '', never NULL.

-- Which bytes of which spool are in the journal; the newest row of a spool counts.
CREATE TABLE ledger (spool VARCHAR, taken BIGINT, batch BIGINT, taken_at TIMESTAMP);

CREATE TABLE session (
    session_id VARCHAR, started_at TIMESTAMP, project VARCHAR, rootdir VARCHAR, args JSON,
    host VARCHAR, python VARCHAR, platform VARCHAR, pytest VARCHAR,
    "commit" VARCHAR, dirty BOOLEAN, diff VARCHAR, ci VARCHAR, worker VARCHAR
);
CREATE TABLE session_end (session_id VARCHAR, ended_at TIMESTAMP, exit_status INTEGER);
CREATE TABLE environment (environment_hash VARCHAR, facts JSON);
CREATE TABLE code (code_hash VARCHAR, parts JSON);

-- Runs that are over, whole in one row: the beginning, the end, the last value of each metric.
-- A duplicate has the metrics and the eval_hash of the run that it duplicates.
CREATE TABLE run (
    run_id VARCHAR, session_id VARCHAR, project VARCHAR, experiment VARCHAR, node_id VARCHAR,
    status VARCHAR, started_at TIMESTAMP, seconds DOUBLE, seed BIGINT,
    params MAP(VARCHAR, JSON), metrics MAP(VARCHAR, DOUBLE), hypothesis VARCHAR,
    identity VARCHAR, code_hash VARCHAR, data_hash VARCHAR, params_hash VARCHAR,
    eval_hash VARCHAR, environment_hash VARCHAR, "commit" VARCHAR, dirty BOOLEAN,
    why_new VARCHAR, duplicate_of VARCHAR, message VARCHAR, spec JSON, parts JSON,
    replicates JSON, worker VARCHAR, spool VARCHAR
);
-- Runs whose end, and ends whose run, a later ingest will bring.
CREATE TABLE open_run (
    run_id VARCHAR, session_id VARCHAR, project VARCHAR, experiment VARCHAR, node_id VARCHAR,
    status VARCHAR, started_at TIMESTAMP, seconds DOUBLE, seed BIGINT,
    params MAP(VARCHAR, JSON), hypothesis VARCHAR,
    identity VARCHAR, code_hash VARCHAR, data_hash VARCHAR, params_hash VARCHAR,
    environment_hash VARCHAR, why_new VARCHAR, duplicate_of VARCHAR, message VARCHAR,
    spec JSON, parts JSON, replicates JSON, worker VARCHAR, spool VARCHAR
);
CREATE TABLE open_end (
    run_id VARCHAR, ended_at TIMESTAMP, status VARCHAR, seconds DOUBLE, message VARCHAR
);

-- Logged values, in chunks: what one ingest (a batch) found of one metric of one run, in order.
CREATE TABLE point (
    run_id VARCHAR, name VARCHAR, batch BIGINT, steps BIGINT[], vals DOUBLE[], times TIMESTAMP[]
);
CREATE TABLE eval (run_id VARCHAR, prefix VARCHAR, eval_hash VARCHAR);
CREATE TABLE fact (run_id VARCHAR, name VARCHAR, value JSON);
CREATE TABLE note (
    note_id VARCHAR, run_id VARCHAR, experiment VARCHAR, text VARCHAR, noted_at TIMESTAMP
);
CREATE TABLE finding (
    run_id VARCHAR, session_id VARCHAR, code VARCHAR, name VARCHAR, severity VARCHAR,
    message VARCHAR, location VARCHAR, measured JSON, threshold JSON, fix VARCHAR,
    waiver VARCHAR, checked_at TIMESTAMP
);
CREATE TABLE model (
    run_id VARCHAR, name VARCHAR, framework VARCHAR, kind VARCHAR, params JSON,
    n_weights BIGINT, model_hash VARCHAR, config JSON
);
CREATE TABLE dataset (
    data_hash VARCHAR, name VARCHAR, kind VARCHAR, shape JSON, n_bytes BIGINT
);
CREATE TABLE artifact (
    run_id VARCHAR, name VARCHAR, kind VARCHAR, sha256 VARCHAR, n_bytes BIGINT, path VARCHAR,
    saved_at TIMESTAMP
);
CREATE TABLE gate (
    session_id VARCHAR, node_id VARCHAR, status VARCHAR, seconds DOUBLE, message VARCHAR,
    checked_at TIMESTAMP
);
CREATE TABLE threshold (
    session_id VARCHAR, experiment VARCHAR, metric VARCHAR, bound VARCHAR, threshold DOUBLE,
    value DOUBLE, status VARCHAR, message VARCHAR, judged_at TIMESTAMP
);

-- A tombstone: the run is never skipped on and never the best.
CREATE TABLE void (run_id VARCHAR, reason VARCHAR, voided_at TIMESTAMP);
-- Kept and counted, but never a ground to skip.
CREATE TABLE unsound (run_id VARCHAR, reason VARCHAR, found_at TIMESTAMP);
CREATE TABLE claim (
    session_id VARCHAR, experiment VARCHAR, claim VARCHAR, verdict VARCHAR, estimate DOUBLE,
    low DOUBLE, high DOUBLE, n_pairs BIGINT, decided_at TIMESTAMP
);
CREATE TABLE baseline (
    name VARCHAR, experiment VARCHAR, params JSON, metric VARCHAR, value DOUBLE,
    n_replicates BIGINT, recorded_at TIMESTAMP
);
