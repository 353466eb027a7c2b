from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pytest_kepler.spool import encode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner)
        | st.sets(st.integers())
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
    ),
    max_leaves=10,
)


def refuse_constant(name: str) -> None:
    raise AssertionError(name)


@given(values)
def test_every_event_is_one_line_of_strict_json(value):
    line = encode({"e": "fact", "facts": value})
    assert line.count(b"\n") == 1
    assert json.loads(line, parse_constant=refuse_constant)["e"] == "fact"
