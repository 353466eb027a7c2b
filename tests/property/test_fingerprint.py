"""Equal content has one fingerprint, any change another, in every process."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_kepler.identity.fingerprint import fingerprint, params_hash

# Texts of this alphabet name no file.
TEXTS = st.text(st.characters(blacklist_characters="/.\0"), max_size=8).map("§{}".format)
# Arrow's texts hold no lone surrogates.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=8)
KEYS = TEXTS | st.integers() | st.tuples(st.integers(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda parts: (
        st.lists(parts, max_size=20)
        | st.lists(parts, max_size=4).map(tuple)
        | st.dictionaries(KEYS, parts, max_size=20)
        | st.sets(KEYS, max_size=20)
    ),
    max_leaves=40,
)
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
ARRAYS = hnp.arrays(DTYPES, SHAPES)


def spelled(value: object) -> object:
    """Return what tells two values apart, by other means than the fingerprint."""
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(spelled(part) for part in value)
    if isinstance(value, dict):
        return "dict", frozenset((spelled(key), spelled(part)) for key, part in value.items())
    if isinstance(value, set):
        return "set", frozenset(spelled(part) for part in value)
    if isinstance(value, float) and not math.isnan(value):
        return "float", value.hex()
    return type(value).__name__, "nan" if isinstance(value, float) else value


def refilled(value: object) -> object:
    """Return a copy whose dicts and sets were filled the other way round."""
    if isinstance(value, list | tuple):
        return type(value)(refilled(part) for part in value)
    if isinstance(value, dict):
        return {key: refilled(value[key]) for key in reversed(value)}
    if isinstance(value, set):
        turned = list(value)
        turned.reverse()
        return set(turned)
    return value


@given(VALUES)
@settings(deadline=None)
def test_a_copy_filled_in_another_order_has_the_same_fingerprint(value):
    assert fingerprint(refilled(value)) == fingerprint(value)


@given(VALUES, VALUES)
@example(1, 1.0)
@example(1, True)
@example(0.0, -0.0)
@example("§1", b"\xc2\xa71")
@example([1] * 16, [1.0] * 16)
@example([1] * 15, (1,) * 15)
@example([[]], [])
@example({}, set())
@example(["§", "§a"], ["§§", "a"])
@example([None, "§"] * 8, ["§", None] * 8)
@settings(deadline=None)
def test_two_values_share_a_fingerprint_only_if_they_are_the_same(one, other):
    assert (fingerprint(one) == fingerprint(other)) is (spelled(one) == spelled(other))


@given(st.lists(SCALARS, min_size=1, max_size=40), st.data())
@settings(deadline=None)
def test_one_changed_element_of_a_list_shows(values, data):
    position = data.draw(st.integers(0, len(values) - 1))
    changed = [*values]
    changed[position] = data.draw(SCALARS)
    assume(spelled(changed[position]) != spelled(values[position]))
    assert fingerprint(changed) != fingerprint(values)
    assert fingerprint(tuple(changed)) != fingerprint(tuple(values))


@given(st.dictionaries(TEXTS, SCALARS, min_size=1), st.data())
@settings(deadline=None)
def test_one_changed_parameter_shows(params, data):
    name = data.draw(st.sampled_from(sorted(params)))
    changed = {**params, name: data.draw(SCALARS)}
    same = spelled(changed) == spelled(params)
    assert (params_hash(changed) == params_hash(params)) is same


EDGES = st.lists(st.tuples(st.integers(0, 1), *[st.integers(0, 3)] * 2), min_size=4, max_size=4)


def graph(edges):
    """Return four lists, each with a number and two of the four."""
    nodes: list[list[object]] = [[number] for number, _, _ in edges]
    for node, (_, left, right) in zip(nodes, edges, strict=True):
        node += [nodes[left], nodes[right]]
    return nodes


def unfolded(edges, node=0, depth=8):
    """Return what can be seen from a node; 4 + 4 steps tell any two of them apart."""
    number, left, right = edges[node]
    if not depth:
        return number
    return number, unfolded(edges, left, depth - 1), unfolded(edges, right, depth - 1)


@given(EDGES, EDGES)
@settings(deadline=None)
def test_graphs_that_look_different_have_different_fingerprints(one, other):
    if unfolded(one) != unfolded(other):
        assert fingerprint(graph(one)[0]) != fingerprint(graph(other)[0])


@given(EDGES)
@settings(deadline=None)
def test_members_of_one_graph_that_look_different_have_different_fingerprints(edges):
    seen = [unfolded(edges, node) for node in range(4)]
    hashes = [fingerprint(node) for node in graph(edges)]
    assert len(set(hashes)) >= len(set(seen))


@given(EDGES, st.lists(st.integers(0, 3), max_size=4))
@settings(deadline=None)
def test_sharing_of_cycles_does_not_count(edges, chosen):
    nodes = graph(edges)
    shared = [nodes[position] for position in chosen]
    apart = [copy.deepcopy(node) for node in shared]
    assert fingerprint(shared) == fingerprint(apart)


@given(ARRAYS, st.data())
@settings(deadline=None)
def test_the_layout_of_an_array_does_not_count(array, data):
    axes = data.draw(st.permutations(range(array.ndim)))
    moved = np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
    assert fingerprint(moved) == fingerprint(array)
    assert fingerprint(array.astype(array.dtype.newbyteorder(">"))) == fingerprint(array)
    spread = np.repeat(array, 2, axis=-1)[..., ::2]
    assert fingerprint(spread) == fingerprint(array)
    assert fingerprint(array[::-1].copy()[::-1]) == fingerprint(array)


@given(ARRAYS, st.data())
@settings(deadline=None)
def test_one_changed_element_of_an_array_shows(array, data):
    assume(array.size)
    changed = array.copy()
    position = data.draw(st.integers(0, array.size - 1))
    changed.flat[position] = data.draw(hnp.from_dtype(array.dtype))
    one, other = array.flat[position], changed.flat[position]
    both_nan = one != one and other != other  # noqa: PLR0124 - NaN and NaT differ from themselves
    same = bool(both_nan) or one.tobytes() == other.tobytes()
    if array.dtype.kind == "c":  # which part is NaN counts, and NaN alone does not tell it
        assume(not np.isnan(one) and not np.isnan(other))
    assert (fingerprint(changed) == fingerprint(array)) is same


@given(ARRAYS, DTYPES)
@settings(deadline=None)
def test_dtype_and_shape_of_an_array_show(array, dtype):
    zeros = np.zeros(array.shape, dtype)
    same = zeros.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    base = np.zeros_like(array)
    assert (fingerprint(zeros) == fingerprint(base)) is same
    assert fingerprint(base[None]) != fingerprint(base)


@given(hnp.arrays(object, SHAPES, elements=SCALARS))
@settings(deadline=None)
def test_an_array_of_objects_survives_a_deep_copy(array):
    assert fingerprint(copy.deepcopy(array)) == fingerprint(array)


@given(
    st.lists(st.none() | WORDS, min_size=1, max_size=20),
    st.lists(st.none() | st.floats(), min_size=1, max_size=20),
    st.integers(0, 20),
)
@settings(max_examples=50, deadline=None)  # the first example imports pandas
def test_a_frame_put_together_from_two_is_the_frame(texts, numbers, cut):
    pd = pytest.importorskip("pandas")
    n_rows = min(len(texts), len(numbers))
    frame = pd.DataFrame(
        {
            "text": pd.array(texts[:n_rows], dtype="str"),
            "object": pd.Series(texts[:n_rows], dtype=object),
            "number": pd.array(numbers[:n_rows], dtype="Float64"),
            "category": pd.Categorical(texts[:n_rows]),
        }
    )
    cut = min(cut, n_rows)
    assert fingerprint(pd.concat([frame[:cut], frame[cut:]])) == fingerprint(frame)
    assert fingerprint(frame[::-1][::-1]) == fingerprint(frame)
    assert fingerprint(frame.rename(columns={"text": "words"})) != fingerprint(frame)


READ = """
import json, sys
from pytest_kepler.identity.fingerprint import fingerprint
for line in sys.stdin:
    value = json.loads(line)
    print(fingerprint([value, {str(part) for part in value}]))
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda parts: st.lists(parts) | st.dictionaries(TEXTS, parts),
    max_leaves=10,
)


@given(st.lists(st.lists(JSON), min_size=5, max_size=20))
@settings(max_examples=3, deadline=None)
def test_another_process_gives_the_same_fingerprints(values):
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input="\n".join(map(json.dumps, values)),
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [fingerprint([value, {str(part) for part in value}]) for value in values]
    assert done.stdout.split() == expected
