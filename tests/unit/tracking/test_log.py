from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError, MetricError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 0.5),
        (3, 3),
        (True, 1),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (np.array(2.5), 2.5),
        (np.longdouble(2), 2.0),
        (Fraction(1, 4), 0.25),
        (Decimal("0.25"), 0.25),
        (math.inf, math.inf),
        (10**30, 10**30),
    ],
)
def test_whatever_is_a_number_is_logged_as_a_plain_one(experiment, spool, value, expected):
    experiment.log(m=value)
    assert spool.points == [("m", expected, None)]
    assert type(spool.points[0][1]) in (int, float)


def test_nan_is_logged_as_nan(experiment):
    experiment.log(m=float("nan"))
    assert math.isnan(experiment.metrics["m"])


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("text", "'text'"),
        (None, "None"),
        (1j, "1j"),
        ([1.0], r"\[1.0\]"),
        (np.zeros(3), r"an array of shape \(3,\)"),
        (np.array(["a"])[0], "np.str_"),
        (np.timedelta64(5, "ns"), "np.timedelta64"),
        (np.array(5, dtype="m8[ns]"), "array"),
        (10**400, "too large"),
        (np.array(None, dtype=object), "array"),
    ],
)
def test_what_is_no_number_is_refused_by_name(experiment, spool, value, got):
    with pytest.raises(MetricError, match=rf"metric 'm' (must be a number, got )?.*{got}"):
        experiment.log(a=1, m=value)
    assert spool.points == []


def test_the_refusal_reads_as_promised(experiment):
    with pytest.raises(MetricError) as caught:
        experiment.log(m="text")
    assert str(caught.value) == "metric 'm' must be a number, got 'text'"


def test_nested_mappings_are_flattened_with_a_slash(experiment, spool):
    experiment.log({"val": {"loss": 1, "class": {0: 0.5}}}, step=2, lr=3)
    assert spool.points == [("val/loss", 1, 2), ("val/class/0", 0.5, 2), ("lr", 3, 2)]


def test_the_last_value_logged_is_the_one_kept(experiment):
    for step, value in enumerate([3.0, 1.0, 2.0]):
        experiment.log(loss=value, step=step)
    assert experiment.metrics == {"loss": 2.0}


def test_a_numpy_step_is_a_step(experiment, spool):
    experiment.log(m=1.0, step=np.int64(4))
    assert spool.points == [("m", 1.0, 4)]
    assert type(spool.points[0][2]) is int


@pytest.mark.parametrize("step", [-1, 1.5, "1", True, np.int64(-3)])
def test_a_step_that_is_no_whole_number_from_0_on_is_refused(experiment, spool, step):
    with pytest.raises(MetricError, match="step must be a whole number from 0 on"):
        experiment.log(m=1.0, step=step)
    assert spool.points == []


@pytest.mark.parametrize("name", ["", " ", None, 1.5])
def test_a_metric_without_a_usable_name_is_refused(experiment, name):
    with pytest.raises(MetricError, match="name must be text"):
        experiment.log({name: 1.0})


@pytest.mark.parametrize(
    ("metrics", "more"), [({"a": 1}, {"a": 2}), ({"a": {"b": 1}, "a/b": 2}, {})]
)
def test_a_name_given_twice_is_refused(experiment, metrics, more):
    with pytest.raises(MetricError, match="given twice"):
        experiment.log(metrics, **more)


def test_a_bare_value_is_refused_with_the_right_call(experiment):
    with pytest.raises(MetricError, match=r"experiment\.log\(accuracy=0\.9\)"):
        experiment.log("accuracy")


def test_a_keyword_mapping_is_nested_as_well(experiment, spool):
    experiment.log(val={"loss": 0.5})
    assert spool.points == [("val/loss", 0.5, None)]


def test_nothing_is_recorded_once_the_run_is_over(experiment, spool):
    experiment.log(m=1.0)
    experiment.close()
    for record in (lambda: experiment.log(m=2.0), lambda: experiment.note("late")):
        with pytest.raises(ExperimentError, match="The run is over"):
            record()
    assert experiment.metrics == {"m": 1.0}
    assert spool.events == []


def test_a_0d_tensor_of_torch_is_a_number(experiment, spool):
    torch = pytest.importorskip("torch")
    experiment.log(
        a=torch.tensor(0.5, requires_grad=True), b=torch.tensor(2), c=torch.tensor(0.5).bfloat16()
    )
    assert [value for _, value, _ in spool.points] == [0.5, 2, 0.5]
    with pytest.raises(MetricError, match=r"a Tensor of shape"):
        experiment.log(m=torch.zeros(2))
