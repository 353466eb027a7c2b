"""A file of data, checked: what is read, what is told, and what is refused with a sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_kepler import cli
from pytest_kepler.checks import codes as catalogue
from pytest_kepler.checks import files
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import KeplerUsageError

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
PENGUINS = load_penguins()
CONFIG = CheckConfig()


def codes(path, target=None):
    return {one.code for one in files.examine_file(path, target, CONFIG).outcome.findings}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "penguins.csv"
    PENGUINS.to_csv(path, index=False)
    return path


def test_a_file_is_read_by_its_suffix(csv, tmp_path):
    pytest.importorskip("pyarrow")
    PENGUINS.to_parquet(tmp_path / "penguins.parquet")
    assert codes(csv, "species") == codes(tmp_path / "penguins.parquet", "species") == {"K304"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator, tmp_path):
    path = tmp_path / "penguins.txt"
    PENGUINS.to_csv(path, index=False, sep=separator)
    assert files.read_table(path).shape == PENGUINS.shape


def test_a_row_number_that_was_written_with_the_file_is_found(tmp_path):
    path = tmp_path / "penguins.csv"
    PENGUINS.to_csv(path)
    assert "K307" in codes(path, "species")


def test_the_target_is_no_feature(csv):
    assert codes(csv, "body_mass_g") == {"K304", "K305"}


def test_a_wrong_target_is_refused_with_the_nearest(csv):
    with pytest.raises(KeplerUsageError, match="no column 'specie': did you mean 'species'"):
        files.examine_file(csv, "specie", CONFIG)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "cannot be read as a table"),
        ("ragged.csv", b"a,b\n1,2\n3,4,5\n", "cannot be read as a table"),
        ("binary.csv", bytes(range(256)), "cannot be read as a table"),
        ("wrong.parquet", b"a,b\n1,2\n", "cannot be read as a table"),
        ("sheet.xlsx", b"", "name a file that ends in .csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_line(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(KeplerUsageError, match=message) as caught:
        files.examine_file(path, None, CONFIG)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(KeplerUsageError, match=r"There is no file .*nothing\.csv"):
        files.examine_file(tmp_path / "nothing.csv", None, CONFIG)
    with pytest.raises(KeplerUsageError, match="is a folder"):
        files.examine_file(tmp_path, None, CONFIG)


def test_polars_reads_where_pandas_is_not_installed(csv, monkeypatch):
    polars = pytest.importorskip("polars")
    find = files.importlib.util.find_spec
    monkeypatch.setattr(
        files.importlib.util, "find_spec", lambda name: None if name == "pandas" else find(name)
    )
    assert isinstance(files.read_table(csv), polars.DataFrame)
    assert codes(csv, "species") == {"K304"}


def test_without_a_library_it_says_what_to_install(csv, monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(KeplerUsageError, match="needs pandas or polars"):
        files.read_table(csv)


def test_the_summary_tells_how_much_was_looked_at(csv, tmp_path):
    summary = files.examine_file(csv, "species", CONFIG).summary
    assert summary.startswith("344 rows, 8 columns: ")
    assert "1 found something" in summary
    one = tmp_path / "one.csv"
    one.write_text("a,b\n1,2\n")
    outcome = files.examine_file(one, None, CONFIG)
    assert outcome.outcome.findings == []
    assert f"{len(outcome.outcome.not_applicable)} could not judge" in outcome.summary


def test_a_column_with_an_error_is_found_in_a_file(csv, tmp_path):
    frame = PENGUINS.dropna().assign(code=lambda x: x.species.str[:2])
    frame.loc[frame.index[3], "bill_depth_mm"] = np.inf
    path = tmp_path / "spoilt.csv"
    frame.to_csv(path, index=False)
    assert codes(path, "species") == {"K304", "K309"}


def test_a_file_without_rows_is_refused(csv, capsys):
    csv.write_text("a,b,y\n")
    with pytest.raises(KeplerUsageError, match="has no rows, only names of columns"):
        files.examine_file(csv, "y", CONFIG)
    assert cli.main(["check", str(csv), "--target", "y"]) == 4
    assert capsys.readouterr().err.endswith("nothing can be judged.\n")


# --- The command --------------------------------------------------------------------------


@pytest.fixture
def holed(tmp_path):
    path = tmp_path / "holed.csv"
    PENGUINS.assign(code=PENGUINS["species"].str[:2]).to_csv(path, index=False)
    return path


def test_the_command_exits_1_on_an_error_and_0_on_warnings(csv, holed, capsys):
    assert cli.main(["check", str(csv), "--target", "species"]) == 0
    assert cli.main(["check", str(holed), "--target", "species"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("K309 error") for line in lines)
    assert lines[-1].endswith("kepler check K309")


def test_the_first_error_stands_first_and_no_line_is_wider_than_the_terminal(
    holed, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["check", str(holed), "--target", "species"])
    *block, _summary = capsys.readouterr().out.splitlines()
    assert block[0].startswith("K309 error")
    assert max(map(len, block)) <= 80


def test_json_has_findings_with_numbers_and_what_could_not_be_judged(holed, capsys):
    cli.main(["check", str(holed), "--target", "species", "--format", "json"])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["columns"]) == (344, 9)
    assert answer["findings"][0]["code"] == "K309"
    assert answer["findings"][0]["threshold"] == {"rows that agree": 1.0}
    assert "K305" in answer["passed"]
    assert "K317" in answer["not_applicable"]


@pytest.fixture
def noted(tmp_path):
    """Return a file with an intercept, of which K306 has no more to say than a note."""
    path = tmp_path / "noted.csv"
    PENGUINS.dropna().assign(intercept=1).to_csv(path, index=False)
    return path


def test_a_note_is_counted_and_shown_where_it_is_asked_for(noted, capsys, monkeypatch):
    cli.main(["check", str(noted), "--target", "species"])
    assert " passed, 0 found something" in (hidden := capsys.readouterr().out)
    assert "1 note (--notes shows it)." in hidden
    assert "K306" not in hidden
    cli.main(["check", str(noted), "--target", "species", "--notes"])
    shown = capsys.readouterr().out
    assert shown.startswith("K306 note")
    assert "--notes" not in shown
    monkeypatch.chdir(noted.parent)
    (noted.parent / "pyproject.toml").write_text("[tool.kepler]\nnotes = true\n")
    cli.main(["check", str(noted), "--target", "species"])
    assert capsys.readouterr().out == shown


def test_json_has_every_check_in_one_of_its_lists(noted, capsys):
    cli.main(["check", str(noted), "--target", "species", "--format", "json"])
    answer = json.loads(capsys.readouterr().out)
    assert [(one["code"], one["severity"]) for one in answer["findings"]] == [("K306", "note")]
    told = [one["code"] for one in answer["findings"]]
    told += [*answer["passed"], *answer["not_applicable"]]
    assert sorted(told) == sorted(info.code for info in catalogue.of_family("data"))


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("code", [*catalogue.CHECKS, "K000"])
def test_a_help_page_keeps_to_the_width_of_the_terminal(code, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(["check", code]) == 0
    page = capsys.readouterr().out
    words = [word for word in page.splitlines() if " " in word.strip()]
    assert max(map(len, words)) <= width
    assert page.split() == catalogue.explain(code).split()


def test_a_wide_terminal_has_the_page_as_it_is_written(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    cli.main(["check", "K309"])
    assert capsys.readouterr().out == catalogue.explain("K309")


def test_what_else_there_is_keeps_to_the_width_of_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["check", "K9999"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("kepler: There is no check 'K9999'")
    assert max(map(len, lines)) <= 80
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_what_the_checks_say_of_themselves_has_a_page(capsys):
    assert cli.main(["check", "K000"]) == 0
    page = capsys.readouterr().out
    for name in ("model-not-asked", "check-crashed", "unused-waiver"):
        assert name in page
    assert catalogue.check_table().count("\n## K000\n") == 1


def test_markdown_has_an_entry_for_each_finding(holed, capsys):
    cli.main(["check", str(holed), "--target", "species", "--format", "markdown"])
    text = capsys.readouterr().out
    assert text.startswith("**")
    assert "- **K309 error** The class of every row" in text
