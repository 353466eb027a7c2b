-- search: the experiments with runs in which every word occurs, newest first.
-- $words: list of texts in lower case.
WITH
about_run AS (
    SELECT run_id, string_agg(text, ' ') AS notes FROM note WHERE run_id <> '' GROUP BY run_id
),
about_experiment AS (
    SELECT experiment, string_agg(text, ' ') AS notes
    FROM note WHERE experiment <> '' GROUP BY experiment
),
reported AS (
    SELECT run_id, string_agg(DISTINCT concat_ws(' ', code, name, message, location), ' ') AS findings
    FROM finding WHERE run_id IS NOT NULL GROUP BY run_id
),
field AS (
    SELECT
        r.run_id, r.experiment, r.started_at, r.hypothesis AS stated,
        {
            'name': lower(concat_ws(' ', r.run_id, r.project, r.node_id)),
            'hypothesis': lower(r.hypothesis),
            'params': lower(array_to_string(list_transform(
                map_entries(r.params),
                lambda entry: concat(entry.key, '=', coalesce(entry.value ->> '$', 'null'))
            ), ' ')),
            'notes': lower(concat_ws(' ', a.notes, e.notes)),
            'findings': lower(concat_ws(' ', f.findings, r.message))
        } AS texts
    FROM every_run AS r
        LEFT JOIN about_run AS a USING (run_id)
        LEFT JOIN about_experiment AS e ON r.experiment = e.experiment
        LEFT JOIN reported AS f ON r.run_id = f.run_id
),
hit AS (
    SELECT
        run_id, experiment, started_at, stated,
        list_filter(
            ['name', 'hypothesis', 'params', 'notes', 'findings'],
            lambda home: len(list_filter($words, lambda word: contains(
                CASE home
                    WHEN 'name' THEN texts.name
                    WHEN 'hypothesis' THEN texts.hypothesis
                    WHEN 'params' THEN texts.params
                    WHEN 'notes' THEN texts.notes
                    ELSE texts.findings
                END,
                word
            ))) > 0
        ) AS found_in
    FROM field
    WHERE len(list_filter($words, lambda word: NOT contains(
        concat_ws(
            chr(10), texts.name, texts.hypothesis, texts.params, texts.notes, texts.findings
        ),
        word
    ))) = 0
)
SELECT
    experiment,
    arg_max(stated, started_at) AS hypothesis,
    list_sort(list_distinct(flatten(list(found_in)))) AS found_in,
    list(run_id ORDER BY started_at DESC, run_id) AS run_ids,
    max(started_at) AS last_at
FROM hit
GROUP BY experiment
ORDER BY last_at DESC, experiment
