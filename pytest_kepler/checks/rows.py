"""Whole rows compared exactly, by a hash that is confirmed on every hit that is reported."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.predicates import continuous

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView, SplitView

    Hashes = NDArray[np.uint64]

_WIDE = 16
_TEXT_BYTES = 64
_FOLD: Final = np.uint64(32)
_STEP: Final = np.uint64(29)


@dataclass(frozen=True)
class SharedRows:
    """Test rows that are training rows too.

    Attributes
    ----------
    test_rows, train_rows : ndarray of shape (n_shared,)
        Positions of the shared rows, and of one equal row each in train.
    n_test : int
        Test rows that could be told from others by what is in them.
    own_share : float
        The share of such training rows that repeat an earlier training row.
    all_shared : int
        Shared rows, those included that hold too little to be told apart.
    """

    test_rows: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    n_test: int
    own_share: float
    all_shared: int

    @property
    def share(self) -> float:
        """The share of the test rows that are training rows."""
        return len(self.test_rows) / self.n_test if self.n_test else 0.0


def shared_rows(split: SplitView) -> SharedRows:
    """Return the rows that both splits have; computed once for a split.

    Raises
    ------
    NotApplicable
        If the rows of the splits cannot be compared.
    """
    if "shared" not in split.memo:
        split.memo["shared"] = _compare(split)
    shared: SharedRows = split.memo["shared"]
    return shared


def _compare(split: SplitView) -> SharedRows:
    split.require_rows()
    pairs = list(zip(split.train.blocks, split.test.blocks, strict=False))
    if len(split.train.blocks) != len(split.test.blocks):
        raise NotApplicable("the splits have different inputs")
    for train, test in pairs:
        if _width(train) != _width(test) or train.is_sparse != test.is_sparse:
            raise NotApplicable("the splits have different columns")
    train_hashes, test_hashes = hash_rows(split.train), hash_rows(split.test)
    order = np.argsort(train_hashes, kind="stable")
    ordered = train_hashes[order]
    found = np.minimum(np.searchsorted(ordered, test_hashes), len(ordered) - 1)
    hits = np.flatnonzero(ordered[found] == test_hashes)
    partners = order[found[hits]]
    confirmed = _confirmed(pairs, hits, partners)
    hits, partners = hits[confirmed], partners[confirmed]
    telling = _telling(split.test)
    counted = telling[hits]
    own = _telling(split.train)
    _, first = np.unique(train_hashes[own], return_index=True)
    n_own = int(own.sum())
    return SharedRows(
        test_rows=hits[counted],
        train_rows=partners[counted],
        n_test=int(telling.sum()),
        own_share=(n_own - len(first)) / n_own if n_own else 0.0,
        all_shared=len(hits),
    )


def hash_rows(data: DataView) -> Hashes:
    """Return a 64-bit hash of each row over all inputs; equal rows have equal hashes."""
    total: Hashes | None = None
    position = 0
    for block in data.blocks:
        for hashes in _hashed_parts(block, position):
            total = hashes if total is None else total + hashes
        position += _width(block)
    if total is None:
        raise NotApplicable("there are no rows")
    return total


def _hashed_parts(block: Block, position: int) -> Iterator[Hashes]:
    if block.is_sparse:
        yield _hash_sparse(block.source, position)
    elif not block.is_table:
        yield _hash_array(block, position)
    else:
        for j, column in enumerate(block.columns):
            factor = _factors(position + j, 1)[0]
            if column.values.dtype.kind in "biuf":
                yield _mixed(_bits(column.values)) * factor
            else:
                yield _mixed(_hash_objects(column.values)) * factor


def _hash_array(block: Block, position: int) -> Hashes:
    factors = _factors(position, _width(block))
    parts = []
    for _, rows in block.chunks():
        if rows.dtype.kind in "biuf":
            mixed = _mixed(_bits(rows))
        else:
            mixed = _mixed(_hash_objects(rows.reshape(-1)).reshape(rows.shape))
        mixed *= factors
        parts.append(mixed.sum(axis=1, dtype=np.uint64))
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def _hash_sparse(matrix: Any, position: int) -> Hashes:
    rows = matrix.tocsr()
    rows.sum_duplicates()
    factors = _factors(position, rows.shape[1])
    # A stored zero is a zero: its bits add nothing, as in a row that does not store it.
    bits = np.where(rows.data == 0, np.uint64(0), _mixed(_bits(rows.data)))
    weighted = bits * factors[rows.indices]
    total = np.zeros(rows.shape[0], dtype=np.uint64)
    np.add.at(total, np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), weighted)
    return total


def _bits(values: NDArray[Any]) -> Hashes:
    """Return numbers as bits of float64, equal for equal numbers."""
    numbers = values.astype(np.float64)
    numbers += 0.0  # -0.0 becomes 0.0: equal numbers must have equal bits
    missing = np.isnan(numbers)
    if missing.any():
        numbers[missing] = np.nan  # one pattern for every NaN
    return numbers.view(np.uint64)


def _mixed(bits: Hashes) -> Hashes:
    """Spread the bits: small numbers differ only in high bits, which products would lose."""
    mixed = bits ^ (bits >> _FOLD)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> _STEP
    return mixed


def _factors(position: int, count: int) -> Hashes:
    """Return an odd factor for each column, so that equal values in other columns differ."""
    seeds = np.arange(position + 1, position + count + 1, dtype=np.uint64)
    mixed = _mixed(seeds * np.uint64(0xBF58476D1CE4E5B9))
    return mixed | np.uint64(1)


def _hash_objects(values: NDArray[Any]) -> Hashes:
    pandas = sys.modules.get("pandas")
    if pandas is not None and values.dtype.kind == "O":
        texts = np.array([str(value) for value in values], dtype=object)
        return np.asarray(pandas.util.hash_array(texts), dtype=np.uint64)
    masked = [hash(str(value)) & 0xFFFFFFFFFFFFFFFF for value in values.tolist()]
    return np.array(masked, dtype=np.uint64)


def _confirmed(
    pairs: list[tuple[Block, Block]], hits: NDArray[np.int64], partners: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which hits are equal rows and not merely equal hashes."""
    equal = np.ones(len(hits), dtype=bool)
    for train, test in pairs:
        if train.is_sparse:
            difference = train.source.tocsr()[partners] - test.source.tocsr()[hits]
            equal &= np.asarray(abs(difference).sum(axis=1)).reshape(-1) == 0
        elif train.is_table:
            for column, other in zip(train.columns, test.columns, strict=True):
                equal &= _same(column.values[partners], other.values[hits])
        else:
            equal &= _same(_flat(train)[partners], _flat(test)[hits]).all(axis=1)
    return equal


def _flat(block: Block) -> NDArray[Any]:
    array: NDArray[Any] = block.source
    return array.reshape(len(array), -1)


def _same(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    if left.dtype.kind in "biuf" and right.dtype.kind in "biuf":
        return np.asarray((left == right) | ((left != left) & (right != right)))  # noqa: PLR0124
    texts = zip(left.reshape(-1).tolist(), right.reshape(-1).tolist(), strict=True)
    return np.array([str(a) == str(b) for a, b in texts], dtype=bool).reshape(left.shape)


def _telling(data: DataView) -> NDArray[np.bool_]:
    """Return which rows hold enough for a repetition to be no accident.

    That is a continuous value, 16 numbers that are not all the same, or 64 bytes of text.
    """
    telling = np.zeros(data.blocks[0].n_rows, dtype=bool)
    for block in data.blocks:
        if block.is_sparse:
            telling |= np.asarray(np.diff(block.source.tocsr().indptr)) >= _WIDE
        elif block.is_table:
            telling |= _telling_in_table(block)
        elif block.matrix.shape[1]:
            telling |= _telling_in_array(block)
        else:
            telling |= _bytes_of_text(block)
    return telling


def _telling_in_array(block: Block) -> NDArray[np.bool_]:
    width = _width(block)
    mask = continuous(block)
    many_values = block.distinct.max(initial=0) > 2  # noqa: PLR2004 - more than yes and no
    parts = []
    for _, rows in block.chunks():
        if width >= _WIDE and many_values:
            parts.append(rows.max(axis=1) > rows.min(axis=1))
        elif mask.any():
            parts.append(~np.isnan(rows[:, mask].astype(np.float64)).all(axis=1))
        else:
            parts.append(np.zeros(len(rows), dtype=bool))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _telling_in_table(block: Block) -> NDArray[np.bool_]:
    telling = np.zeros(block.n_rows, dtype=bool)
    numeric = [column for column in block.columns if column.kind in {"numeric", "bool"}]
    for column, is_continuous in zip(numeric, continuous(block), strict=True):
        if is_continuous:
            telling |= ~column.missing
    if len(numeric) >= _WIDE and block.distinct.max(initial=0) > 2:  # noqa: PLR2004
        telling |= np.ones(block.n_rows, dtype=bool)
    return telling | _bytes_of_text(block)


def _bytes_of_text(block: Block) -> NDArray[np.bool_]:
    lengths = np.zeros(block.n_rows, dtype=np.int64)
    for column in block.columns:
        if column.kind == "text":
            lengths += np.array([len(str(value)) for value in column.values], dtype=np.int64)
    return lengths >= _TEXT_BYTES


def _width(block: Block) -> int:
    if block.is_sparse:
        return int(block.source.shape[1])
    if block.is_table:
        return len(block.columns)
    shape = block.source.shape
    return int(np.prod(shape[1:])) if len(shape) > 1 else 1
