-- fold: the runs of long experiments, folded over their replicates as judging does it, to tell which
-- configurations a report shows. asked(number, experiment, metric, is_max, replicates): what is
-- asked. Of a million runs each column counts: texts that are only compared are hashed.

-- A setting is the bag of its parameters, in whatever order they were written. The outer hash mixes:
-- without it, two parameters that exchange their values would make the same bag.
CREATE OR REPLACE TEMP TABLE mine AS
SELECT
    asked.number, run.run_id, run.started_at, hash(run.session_id) AS session, run.status,
    CASE WHEN run.status = 'duplicate' THEN run.duplicate_of END AS duplicate_of,
    CASE WHEN run.status <> 'passed' THEN run.message END AS message,
    nullif(run.unsound, '') AS unsound,
    CASE WHEN run.eval_hash <> '' THEN hash(run.eval_hash) END AS eval,
    CASE WHEN run.data_hash <> '' THEN hash(run.data_hash) END AS data,
    coalesce(list_bit_xor(list_transform(
        map_entries(run.params),
        lambda entry: CASE
            WHEN list_contains(asked.replicates, entry.key) THEN 0::UBIGINT
            ELSE hash(hash(entry))
        END
    )), 0) AS setting,
    hash(list_transform(
        asked.replicates,
        lambda name: CASE
            WHEN map_contains(run.params, name) THEN coalesce(run.params[name], 'null'::JSON)
        END
    )) AS replicate,
    CASE WHEN cardinality(run.metrics) > 0 THEN hash(map_keys(run.metrics)) END AS names,
    run.metrics[asked.metric] AS value
FROM every_run AS run JOIN asked USING (experiment)
WHERE run.status <> 'void';

-- The sets of metrics that runs have: few.
CREATE OR REPLACE TEMP TABLE names AS
SELECT DISTINCT hash(map_keys(metrics)) AS names, map_keys(metrics) AS metrics
FROM every_run WHERE cardinality(metrics) > 0;

-- A duplicate has the numbers of the run that it repeats.
CREATE OR REPLACE TEMP TABLE own AS
SELECT
    mine.* EXCLUDE (status, duplicate_of, message, eval, data, names, value),
    CASE
        WHEN mine.status <> 'duplicate' THEN mine.status
        WHEN original.status IN ('failed', 'xfailed') THEN original.status
        WHEN starts_with(mine.message, 'duplicate of failed') THEN 'failed'
        ELSE 'duplicate'
    END AS outcome,
    outcome IN ('passed', 'duplicate') AS is_counted,
    CASE WHEN NOT is_counted THEN coalesce(nullif(original.message, ''), mine.message) END
        AS message,
    coalesce(mine.names, original.names) AS names,
    CASE WHEN mine.names IS NULL THEN original.value ELSE mine.value END AS value,
    coalesce(mine.eval, original.eval) AS eval,
    coalesce(mine.eval, original.eval, mine.data, original.data) AS evaluated_on
FROM mine
    LEFT JOIN (
        SELECT * FROM mine
        WHERE run_id IN (SELECT duplicate_of FROM mine WHERE duplicate_of IS NOT NULL)
    ) AS original
    ON mine.duplicate_of = original.run_id AND mine.number = original.number;

DROP TABLE mine;

-- The data that the newest session with a value of each experiment used.
CREATE OR REPLACE TEMP TABLE in_use AS
SELECT DISTINCT number, coalesce(evaluated_on, 0) AS evaluated_on
FROM own SEMI JOIN (
    SELECT
        number,
        arg_max(session, {'at': coalesce(started_at, make_timestamp(0)), 'id': run_id}) AS session
    FROM own WHERE is_counted GROUP BY number
) AS newest USING (number, session)
WHERE is_counted;

-- The newest run of each replicate.
CREATE OR REPLACE TEMP TABLE newest AS
SELECT own.*, in_use.number IS NOT NULL AS is_in_use
FROM own
    LEFT JOIN in_use
    ON own.number = in_use.number AND coalesce(own.evaluated_on, 0) = in_use.evaluated_on
WHERE own.rowid IN (
    SELECT arg_max(rowid, {'at': coalesce(started_at, make_timestamp(0)), 'id': run_id})
    FROM own GROUP BY number, setting, replicate
);

CREATE OR REPLACE TEMP TABLE folded AS
SELECT
    number, setting, count(*) AS n_runs, any_value(run_id) AS one_run,
    max({'at': coalesce(started_at, make_timestamp(0)), 'id': run_id}) AS age,
    bool_or(is_counted) AS is_row,
    NOT bool_or(is_counted AND names IS NOT NULL)
        OR bool_and(is_in_use) FILTER (WHERE is_counted) AS is_current,
    CASE
        WHEN count(value) FILTER (WHERE is_counted AND isfinite(value))
            = count(*) FILTER (WHERE outcome <> 'skipped')
        THEN avg(value)
    END AS mean,
    bool_or(is_counted AND names IS NOT NULL) AND count(eval) = count(*) AS is_shared,
    -- Finer than the set of data: a data that replicates share counts as often as they are.
    hash(
        min(evaluated_on), max(evaluated_on), sum(evaluated_on // 4294967296), count(*)
    ) AS data
FROM newest
GROUP BY number, setting;

-- What a report shows: the best and the worst, with all that are as good as the last of them (means
-- may differ in the last digit from those that judging finds); the best on each data; the newest;
-- and where there are few, all.
CREATE OR REPLACE TEMP TABLE shown AS
WITH
ranked AS (
    SELECT
        folded.*, CASE WHEN asked.is_max THEN -mean ELSE mean END AS cost,
        count(*) FILTER (WHERE is_row) OVER (PARTITION BY number) AS n_rows
    FROM folded JOIN asked USING (number)
),
edges AS (
    SELECT number, min(cost, $n_best)[-1] AS best_cost, max(cost, $n_worst)[-1] AS worst_cost
    FROM ranked WHERE is_current AND mean IS NOT NULL GROUP BY number
),
winners AS (
    SELECT number, data, min(cost) AS cost
    FROM ranked WHERE is_shared AND mean IS NOT NULL GROUP BY number, data
),
newest_of AS (SELECT number, max(age) AS age FROM folded GROUP BY number)
SELECT ranked.number, ranked.setting
FROM ranked
    JOIN newest_of USING (number)
    LEFT JOIN edges USING (number)
    LEFT JOIN winners
    ON ranked.number = winners.number AND ranked.is_shared AND ranked.data = winners.data
WHERE ranked.age = newest_of.age
    OR (ranked.is_row AND ranked.n_rows <= $n_best)
    OR (ranked.is_current AND (
        ranked.cost <= edges.best_cost + 1e-9 * abs(edges.best_cost)
        OR ranked.cost >= edges.worst_cost - 1e-9 * abs(edges.worst_cost)
    ))
    OR ranked.cost <= winners.cost + 1e-9 * abs(winners.cost);
