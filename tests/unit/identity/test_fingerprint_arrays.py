"""NumPy arrays: every layout the same, every change of content another."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.fingerprint import fingerprint, read

BASE = np.arange(12.0).reshape(3, 4)
# More than one block, also along an axis that does not fit into one.
LARGE = np.random.default_rng(0).normal(size=(3, 100_000))
STRUCTURED = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])


def strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


def with_bits(nan_bits):
    values = np.array([1.0, np.nan])
    values.view(np.uint64)[1] = nan_bits
    return values


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "read-only": lambda array: np.broadcast_to(array, array.shape),
    "unaligned": lambda array: np.frombuffer(
        b"\0" + array.tobytes(), dtype=array.dtype, offset=1
    ).reshape(array.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    "array",
    [
        pytest.param(BASE, id="small"),
        pytest.param(LARGE, id="large"),
        pytest.param(LARGE.T.copy(), id="tall"),
        pytest.param(BASE.astype(np.float16), id="float16"),
        pytest.param(BASE + 1j, id="complex"),
        pytest.param(BASE.astype("M8[s]"), id="datetime"),
        pytest.param(BASE.astype("U"), id="text"),
        pytest.param(BASE > 3, id="bool"),
        pytest.param(BASE.reshape(3, 2, 2), id="three-dimensional"),
    ],
)
def test_the_layout_does_not_count(array, layout):
    assert fingerprint(layout(array)) == fingerprint(array)


def test_a_memory_mapped_array_is_an_array(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, LARGE)
    assert fingerprint(np.load(path, mmap_mode="r")) == fingerprint(LARGE)


DIFFERENT = {
    "an element": np.where(BASE == 5, 5.5, BASE),
    "the last element": np.where(BASE == 11, 0, BASE),
    "float32": BASE.astype(np.float32),
    "int64": BASE.astype(np.int64),
    "transposed": BASE.T,
    "flat": BASE.ravel(),
    "another shape": BASE.reshape(4, 3),
    "one more axis": BASE[None],
    "rows in another order": BASE[::-1],
    "minus zero": np.where(BASE == 0, -0.0, BASE),
    "nan": np.where(BASE == 0, np.nan, BASE),
    "infinity": np.where(BASE == 0, np.inf, BASE),
    "objects": BASE.astype(object),
    "texts": BASE.astype("U"),
    "masked": np.ma.array(BASE),
    "a record array": BASE.view(np.recarray),
    "a list": BASE.tolist(),
    "empty": BASE[:0],
}


def test_every_change_of_content_counts():
    hashes = {name: fingerprint(array) for name, array in DIFFERENT.items()}
    hashes["base"] = fingerprint(BASE)
    assert len(set(hashes.values())) == len(hashes), hashes


@pytest.mark.parametrize("kind", ["i", "u", "f"])
def test_the_width_of_a_dtype_counts(kind):
    arrays = [np.ones(3, dtype=f"{kind}{size}") for size in (2, 4, 8)]
    assert len({fingerprint(array) for array in arrays}) == 3


def test_the_bits_of_a_nan_do_not_count():
    quiet, negative, payload = 0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001
    assert len({fingerprint(with_bits(bits)) for bits in (quiet, negative, payload)}) == 1
    complex_nans = [with_bits(bits).view(np.complex128) for bits in (quiet, payload)]
    assert fingerprint(complex_nans[0]) == fingerprint(complex_nans[1])


def test_the_unit_of_a_date_counts():
    days = np.array(["2026-01-01", "NaT"], dtype="M8[D]")
    assert fingerprint(days) != fingerprint(days.astype("M8[s]"))


def test_padding_of_a_structure_does_not_count():
    aligned = np.empty(2, dtype=np.dtype(STRUCTURED.dtype.descr, align=True))
    aligned.view(np.uint8)[:] = 255
    aligned[:] = STRUCTURED
    assert aligned.dtype.itemsize > STRUCTURED.dtype.itemsize
    assert fingerprint(aligned) == fingerprint(STRUCTURED)


def test_the_names_of_fields_count():
    renamed = STRUCTURED.astype([("a", "i4"), ("c", "f8")])
    assert fingerprint(renamed) != fingerprint(STRUCTURED)


def test_padding_of_a_long_double_does_not_count():
    values = np.array([1.5, 2.5], dtype=np.longdouble)
    noisy = values.copy()
    if np.finfo(np.longdouble).nmant == 63:
        noisy.view(np.uint8).reshape(2, -1)[:, 10:] = 255
    assert fingerprint(noisy) == fingerprint(values)
    assert fingerprint(values) != fingerprint(values + 1)


def test_what_lies_under_a_mask_does_not_count():
    def masked(hidden, mask=(0, 1)):
        return np.ma.array([1.0, hidden], mask=mask, fill_value=0)

    assert fingerprint(masked(2)) == fingerprint(masked(3))
    assert fingerprint(masked(2, mask=(0, 0))) != fingerprint(masked(3, mask=(0, 0)))
    assert fingerprint(masked(2)) != fingerprint(masked(2, mask=(1, 1)))


def test_objects_in_an_array_are_read():
    def objects(last):
        return np.array([1, "a", None, last], dtype=object)

    assert fingerprint(objects([1])) == fingerprint(objects([1]))
    assert fingerprint(objects([1])) != fingerprint(objects([2]))
    with pytest.raises(UnreadableValueError, match=r"^value\[3\]: an iterator"):
        fingerprint(objects(iter([])))


def test_an_array_that_holds_itself_has_a_fingerprint():
    def ring(number):
        array = np.array([number, None], dtype=object)
        array[1] = array
        return array

    assert fingerprint(ring(1)) == fingerprint(ring(1))
    assert fingerprint(ring(1)) != fingerprint(ring(2))


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(1), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.complex128(1j), 1j),
    ],
)
def test_a_scalar_of_pythons_width_is_pythons_value(scalar, value):
    assert fingerprint(scalar) == fingerprint(value)
    assert fingerprint([scalar] * 20) == fingerprint([value] * 20)


def test_a_scalar_of_another_width_is_none_of_pythons():
    scalars = [np.float32(1), np.float16(1), np.int32(1), np.uint8(1), np.array(1), 1, 1.0]
    assert len({fingerprint(scalar) for scalar in scalars}) == len(scalars)


def test_random_generators_count_by_their_state():
    for make in (np.random.default_rng, np.random.RandomState, np.random.PCG64):
        assert fingerprint(make(1)) == fingerprint(make(1))
        assert fingerprint(make(1)) != fingerprint(make(2))
    used = np.random.default_rng(1)
    used.random()
    assert fingerprint(used) != fingerprint(np.random.default_rng(1))


def test_an_array_is_data_with_its_shape_and_bytes():
    found = read(BASE)
    assert (found.is_data, found.n_bytes, found.shape) == (True, 96, (3, 4))
    assert found.kind == "numpy.ndarray"
    assert read({"X": BASE, "C": 1}).is_data
    assert not read(np.float64(1)).is_data
    assert not read(np.random.default_rng(1)).is_data


def test_an_array_that_is_held_twice_is_read_once():
    assert read([BASE, {"again": BASE}]).n_bytes == BASE.nbytes
    assert fingerprint([BASE, BASE]) == fingerprint([BASE, BASE.copy()])


def test_a_subclass_counts_with_its_attributes():
    class Measured(np.ndarray):
        unit = "m"

    def measured(unit):
        array = BASE.view(Measured)
        array.unit = unit
        return array

    assert fingerprint(measured("m")) == fingerprint(measured("m"))
    assert fingerprint(measured("m")) != fingerprint(measured("km"))
