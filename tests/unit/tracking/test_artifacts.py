from __future__ import annotations

import hashlib
import importlib.util
import math

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError, JournalError


@pytest.mark.parametrize(
    ("value", "suffix", "kind"),
    [
        ("größer\r\n", ".txt", "text"),
        (b"\x00\x01", ".bin", "bytes"),
        ({"a": [1, None, {"b": 0.1}]}, ".json", "json"),
        ([1, "two"], ".json", "json"),
    ],
)
def test_what_is_saved_comes_back_the_same(experiment, spool, value, suffix, kind):
    path = experiment.save(value, "thing")
    assert experiment.load("thing") == value
    assert path.suffix == suffix
    assert spool.of("artifact")[0]["kind"] == kind


def test_a_file_is_named_by_its_content(experiment, spool, tmp_path):
    path = experiment.save("text", "thing")
    sha256 = hashlib.sha256(b"text").hexdigest()
    relative = f"artifacts/{sha256[:2]}/{sha256}.txt"
    assert path == tmp_path / ".kepler" / relative
    (event,) = spool.of("artifact")
    assert (event["path"], event["sha256"], event["n_bytes"]) == (relative, sha256, 4)


def test_equal_content_is_kept_once_and_no_temporary_file_stays(experiment, spool, tmp_path):
    assert experiment.save("text", "one") == experiment.save("text", "two")
    files = [path for path in (tmp_path / ".kepler").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert [event["name"] for event in spool.of("artifact")] == ["one", "two"]


def test_of_two_artefacts_by_one_name_the_last_counts(experiment):
    experiment.save("first", "text")
    experiment.save("second", "text")
    assert experiment.load("text") == "second"


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.array(1.5), np.zeros((0, 3))]
)
def test_an_array_comes_back_with_its_dtype(experiment, array):
    experiment.save(array, "array")
    found = experiment.load("array")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_numpy_values_inside_a_dict_become_plain_numbers(experiment):
    experiment.save({"scores": np.array([1, 2]), "best": np.float64(0.5)}, "scores")
    assert experiment.load("scores") == {"scores": [1, 2], "best": 0.5}


def test_a_file_is_copied_and_keeps_its_suffix(experiment, tmp_path):
    source = tmp_path / "notes.md"
    source.write_text("# notes")
    saved = experiment.save(source, "notes")
    source.unlink()
    assert saved.suffix == ".md"
    assert experiment.load("notes").read_text() == "# notes"


@pytest.mark.parametrize(("name", "message"), [("absent", "does not exist"), (".", "is a folder")])
def test_a_path_that_is_no_file_is_refused(experiment, tmp_path, name, message):
    with pytest.raises(ExperimentError, match=message):
        experiment.save(tmp_path / name, "thing")


@pytest.mark.parametrize(
    "value", [object(), {"a": object()}, np.array([object()]), {1, 2}, lambda: None, 3]
)
def test_what_has_no_file_format_is_refused_and_leaves_nothing(experiment, spool, tmp_path, value):
    with pytest.raises(ExperimentError, match=r"experiment\.save cannot write"):
        experiment.save(value, "thing")
    assert spool.events == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["", None, 3])
def test_an_artefact_needs_a_name(experiment, name):
    with pytest.raises(ExperimentError, match="needs a name"):
        experiment.save("text", name)


def test_loading_what_was_not_saved_names_the_nearest(experiment):
    experiment.save("text", "weights")
    with pytest.raises(ExperimentError, match="did you mean 'weights'"):
        experiment.load("weight")


def test_a_folder_that_cannot_be_written_is_said(make_experiment, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match=r"cannot write 'thing' below .*Not a directory"):
        make_experiment(folder=tmp_path / "file").save("text", "thing")


def test_a_frame_of_pandas_comes_back_from_parquet(experiment):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r", "s"])
    assert experiment.save(frame, "frame").suffix == ".parquet"
    pd.testing.assert_frame_equal(experiment.load("frame"), frame)
    experiment.save(frame["a"], "series")
    pd.testing.assert_frame_equal(experiment.load("series"), frame[["a"]])


def test_a_frame_that_parquet_cannot_hold_becomes_csv(experiment):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"mixed": [1, "x", {"y": 2}]})
    assert experiment.save(frame, "frame").suffix == ".csv"


def test_without_pyarrow_a_frame_becomes_csv(experiment, monkeypatch):
    pd = pytest.importorskip("pandas")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    frame = pd.DataFrame({"a": [1, 2]})
    assert experiment.save(frame, "frame").suffix == ".csv"
    pd.testing.assert_frame_equal(experiment.load("frame"), frame)


def test_a_frame_of_polars_comes_back(experiment):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, 2]})
    experiment.save(frame, "frame")
    assert experiment.load("frame").equals(frame)


def test_a_sparse_matrix_comes_back(experiment):
    sparse = pytest.importorskip("scipy.sparse")
    experiment.save(sparse.csr_matrix(np.eye(3)), "matrix")
    np.testing.assert_array_equal(experiment.load("matrix").toarray(), np.eye(3))


def test_a_figure_becomes_a_picture(experiment):
    figure_module = pytest.importorskip("matplotlib.figure")
    figure = figure_module.Figure()
    axes = figure.add_subplot()
    axes.plot([1, 2])
    for name, value in (("figure", figure), ("axes", axes)):
        path = experiment.save(value, name)
        assert path.read_bytes().startswith(b"\x89PNG")
        assert experiment.load(name) == path


def test_an_estimator_comes_back_and_predicts_the_same(experiment):
    linear_model = pytest.importorskip("sklearn.linear_model")
    pytest.importorskip("skops")
    X, y = np.arange(6.0).reshape(-1, 1), np.arange(6.0)
    model = experiment.fit(linear_model.Ridge(), X, y)
    assert experiment.save(model).suffix == ".skops"
    np.testing.assert_array_equal(experiment.load().predict(X), model.predict(X))


def test_without_skops_the_refusal_says_what_to_install(experiment, monkeypatch):
    linear_model = pytest.importorskip("sklearn.linear_model")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ExperimentError, match=r"pip install 'pytest-kepler\[sklearn\]'"):
        experiment.save(linear_model.Ridge())


@pytest.fixture
def torch():
    pytest.importorskip("safetensors")
    return pytest.importorskip("torch")


def test_the_state_of_a_torch_module_comes_back_as_tensors_by_name(experiment, spool, torch):
    module = torch.nn.Linear(2, 1)
    assert experiment.save(module).suffix == ".safetensors"
    state = experiment.load()
    assert list(state) == ["bias", "weight"]
    assert torch.equal(state["weight"], module.weight)
    assert spool.of("artifact")[0]["kind"] == "weights"


def test_saved_weights_are_put_into_the_module_that_is_to_take_them(experiment, torch):
    experiment.save(torch.nn.Linear(2, 1))
    other = torch.nn.Linear(2, 1)
    assert experiment.load(into=other) is other
    assert torch.equal(other.weight, experiment.load()["weight"])


def test_tied_weights_are_written_and_come_back(experiment, torch):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    module[1].weight = module[0].weight
    experiment.save(module.state_dict(), "state")
    assert torch.equal(experiment.load("state")["1.weight"], module[0].weight)


def test_a_tensor_comes_back_alone_and_without_its_gradient(experiment, torch):
    experiment.save(torch.ones(2, requires_grad=True), "ones")
    found = experiment.load("ones")
    assert torch.equal(found, torch.ones(2))
    assert not found.requires_grad


def test_weights_that_do_not_fit_are_refused_with_the_reason(experiment, torch):
    experiment.save(torch.nn.Linear(2, 1))
    with pytest.raises(ExperimentError, match=r"(?s)do not fit .*Linear.*size mismatch"):
        experiment.load(into=torch.nn.Linear(3, 1))


def test_only_weights_are_put_into_something(experiment):
    experiment.save("text", "note")
    with pytest.raises(ExperimentError, match="into= is for the weights of a torch module"):
        experiment.load("note", into=object())


class Anything:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything)

    __hash__ = None


def test_a_pickle_is_written_where_it_is_asked_for_and_read_where_it_is_trusted(experiment):
    assert experiment.save(Anything(), "thing", format="pickle").suffix == ".pkl"
    with pytest.raises(ExperimentError, match=r"can run any code .*trusted=True"):
        experiment.load("thing")
    assert experiment.load("thing", trusted=True) == Anything()


def test_what_cannot_be_pickled_either_is_said(experiment):
    with pytest.raises(ExperimentError, match="cannot write 'thing'"):
        experiment.save(lambda: None, "thing", format="pickle")


def test_an_unknown_format_is_refused(experiment):
    with pytest.raises(ExperimentError, match="knows no format 'onnx'"):
        experiment.save("text", "thing", format="onnx")


def test_a_file_that_was_changed_is_not_read(experiment):
    experiment.save("text", "thing").write_text("other")
    with pytest.raises(ExperimentError, match=r"is not what was saved.*kepler doctor"):
        experiment.load("thing")


@pytest.mark.parametrize("damage", [b"te", b"xxxx"], ids=["truncated", "other bytes"])
def test_a_damaged_file_is_whole_again_when_the_same_is_saved_again(experiment, damage):
    experiment.save("text", "thing").write_bytes(damage)
    assert experiment.save("text", "thing").read_text() == "text"
    assert experiment.load("thing") == "text"


def test_a_file_that_is_gone_is_said(experiment):
    experiment.save("text", "thing").unlink()
    with pytest.raises(ExperimentError, match=r"'thing' cannot be read.*No such file"):
        experiment.load("thing")


def test_what_another_experiment_saved_is_loaded_by_its_name_in_uses(
    make_experiment, experiment, tmp_path
):
    experiment.save("weights of then", "model")
    user = make_experiment(uses={"base": experiment.saved["model"]})
    assert user.load("base") == "weights of then"
    with pytest.raises(ExperimentError, match="did you mean 'base'"):
        user.load("bas")


def test_a_skops_file_of_another_run_with_foreign_classes_must_be_trusted(
    make_experiment, experiment
):
    pytest.importorskip("skops")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    experiment.save(make_pipeline(FunctionTransformer(math.hypot)), "model")
    assert experiment.load("model").fit
    user = make_experiment(uses={"base": experiment.saved["model"]})
    with pytest.raises(ExperimentError, match=r"math\.hypot.*trusted=True"):
        user.load("base")
    assert user.load("base", trusted=True).fit
