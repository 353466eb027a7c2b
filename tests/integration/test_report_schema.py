"""What the JSON reports hold is what their schema says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8")
)
TRAINING = """
    import math
    import pytest

    @pytest.fixture
    def data():
        return [1.0, 2.0]

    @pytest.mark.sanity
    def test_data(data):
        assert data

    @pytest.mark.sanity
    def test_other(data, request):
        assert request.config.getoption("markexpr") != "experiment"

    @pytest.mark.claim("two beats one", better={"C": 2}, than={"C": 1})
    @pytest.mark.experiment(metric="accuracy", at_least=0.5, tolerance={"accuracy": "1%"})
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("C", [1, 2, 3])
    def test_fit(experiment, data, C, seed):
        experiment.log(accuracy=0.8 + C / 100 + seed / 500, odd=math.nan if seed else math.inf)
        experiment.note("as expected")
        assert C < 3
"""


def strict(schema):
    """Return the schema so that a key that it does not name is refused."""
    if isinstance(schema, dict):
        found = {name: strict(one) for name, one in schema.items()}
        if "required" in found:
            found["additionalProperties"] = False
        return found
    return [strict(one) for one in schema] if isinstance(schema, list) else schema


@pytest.fixture
def reports(project):
    project.write("test_train.py", TRAINING)
    project.run("--kepler-update-baseline")
    told = []
    for arguments in [(), ("--kepler-duplicates=run",), ("-m", "experiment")]:
        text = project.run("--kepler-format=json", *arguments).stdout.str()
        told.append(json.JSONDecoder().raw_decode(text[text.index('{\n  "kind"') :])[0])
    told.append(json.loads(project.run("--kepler-report", "--kepler-format=json").stdout.str()))
    return [*told, json.loads(project.kepler("gate", "--format", "json").stdout)]


def test_reports_have_what_the_schema_says_and_nothing_else(reports):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(strict(SCHEMA))
    for report in reports:
        errors = [f"{one.json_path}: {one.message}" for one in validator.iter_errors(report)]
        assert errors == []
    first = reports[0]["experiments"][0]
    assert first["claims"][0]["verdict"] == "supported"
    assert first["comparisons"][0]["status"] == "itself"
    assert first["thresholds"][0]["status"] == "reached"
    assert reports[2]["experiments"][0]["outcomes"] == {"blocked": 6}
