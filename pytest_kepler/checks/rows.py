"""Whole rows compared exactly, by a hash that is confirmed on every hit that is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import Column, NotApplicable
from pytest_kepler.checks.predicates import continuous

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView, SplitView

    Hashes = NDArray[np.uint64]

_WIDE = 16
_TEXT_BYTES = 64
#: Equal hashes of 64 bits are equal rows but for one pair in 10^19: so many hits are confirmed.
_CONFIRMED = 10_000
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
        The share of such training rows that have an equal row among the others: what a random
        split of data that repeats itself would have between its sides.
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

    def is_planted(self, min_rows: float) -> bool:
        """Tell whether more rows are shared than by how this data is.

        Rows that repeat inside train as often are its nature: twice as many, and twice the spread
        of such a count on top, are no chance.
        """
        by_nature = self.own_share * self.n_test
        return len(self.test_rows) >= 2 * by_nature + 4 * float(np.sqrt(by_nature)) + min_rows


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
    train_hashes, test_hashes = row_hashes(split.train), row_hashes(split.test)
    order = np.argsort(train_hashes, kind="stable")
    ordered = train_hashes[order]
    found = np.minimum(np.searchsorted(ordered, test_hashes), len(ordered) - 1)
    hits = np.flatnonzero(ordered[found] == test_hashes)
    partners = order[found[hits]]
    confirmed = _confirmed(pairs, hits, partners)
    hits, partners = hits[confirmed], partners[confirmed]
    # By train's measure on both sides: in a small split, a few values look like many.
    telling = _telling(split.test, split.train)
    counted = telling[hits]
    own = np.sort(train_hashes[_telling(split.train)])
    is_as_before = np.concatenate([[False], own[1:] == own[:-1], [False]])
    n_repeated = int((is_as_before[:-1] | is_as_before[1:]).sum())
    return SharedRows(
        test_rows=hits[counted],
        train_rows=partners[counted],
        n_test=int(telling.sum()),
        own_share=n_repeated / len(own) if len(own) else 0.0,
        all_shared=len(hits),
    )


@dataclass(frozen=True)
class EqualRows:
    """Rows of one table that are equal in all features.

    Attributes
    ----------
    rows : ndarray of shape (n_equal,)
        Positions of the telling rows that have an equal row, equal ones next to each other and
        the group that begins first before the others.
    starts : ndarray of shape (n_groups,)
        Where in `rows` each group of equal rows starts.
    n_telling : int
        Rows that could be told from others by what is in them.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    n_telling: int

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """The positions of the rows of each group."""
        return np.split(self.rows, self.starts[1:]) if len(self.starts) else []


def equal_rows(data: DataView) -> EqualRows:
    """Return the groups of equal rows; computed once for the data."""
    if "equal rows" not in data.memo:
        data.memo["equal rows"] = _group(data)
    equal: EqualRows = data.memo["equal rows"]
    return equal


def _group(data: DataView) -> EqualRows:
    data.require_rows()
    chosen = np.flatnonzero(_telling(data))
    hashes = row_hashes(data)[chosen]
    order = np.argsort(hashes, kind="stable")
    chosen = chosen[order]
    is_as_before = np.zeros(len(chosen) + 1, dtype=bool)
    is_as_before[1:-1] = np.diff(hashes[order]) == 0
    later = np.flatnonzero(is_as_before)
    shown = later[:_CONFIRMED]
    pairs = [(block, block) for block in data.blocks]
    is_as_before[shown] = _confirmed(pairs, chosen[shown], chosen[shown - 1])
    is_member = is_as_before[:-1] | is_as_before[1:]
    starts = np.flatnonzero(~is_as_before[:-1][is_member])
    return EqualRows(*_by_first_row(chosen[is_member], starts), len(chosen))


def _by_first_row(
    rows: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return groups of rows in the order of their first rows.

    They come in the order of hashes, and those of texts are others in each process.
    """
    sizes = np.diff([*starts, len(rows)])
    order = np.argsort(rows[starts], kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    ordered = rows[np.argsort(np.repeat(places, sizes), kind="stable")]
    return ordered, np.cumsum(sizes[order]) - sizes[order]


def label_codes(data: DataView) -> NDArray[np.int64] | None:
    """Return a number a row, equal for equal targets; None where there is no target."""
    codes: NDArray[np.int64] | None = None
    for target in data.targets:
        flat = target.values.reshape(target.n_rows, -1)
        for j in range(flat.shape[1]):
            column = flat[:, j]
            if column.dtype.kind not in "biuf":
                own = Column(target.name, "other", column).levels.codes + 1
            else:
                own = np.unique(column, return_inverse=True)[1].reshape(-1)
            both = own if codes is None else codes * (int(own.max(initial=0)) + 1) + own
            codes = np.unique(both, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return codes


def row_hashes(data: DataView) -> Hashes:
    """Return the hash of each row; computed once for the data."""
    if "hashes" not in data.memo:
        data.memo["hashes"] = hash_rows(data)
    hashes: Hashes = data.memo["hashes"]
    return hashes


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
            elif column.values.dtype.kind in "mM":
                yield _mixed(column.values.view(np.int64).view(np.uint64)) * factor
            else:
                yield _mixed(_hash_levels(column)) * factor


def _hash_array(block: Block, position: int) -> Hashes:
    factors = _factors(position, _width(block))
    parts = []
    for _, rows in block.chunks():
        if rows.dtype.kind in "biuf":
            mixed = _mixed(_bits(rows))
        else:
            mixed = _mixed(_hash_objects(rows.reshape(-1).tolist()).reshape(rows.shape))
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


def _hash_levels(column: Column) -> Hashes:
    """Return a hash a row of a column of objects: each distinct value is hashed once."""
    levels = column.levels
    # One more for missing values, whose code is -1.
    return np.append(_hash_objects(levels.values), np.uint64(0))[levels.codes]


def _hash_objects(values: Iterable[object]) -> Hashes:
    return np.fromiter(map(hash, values), dtype=np.int64).view(np.uint64)


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


def _telling(data: DataView, like: DataView | None = None) -> NDArray[np.bool_]:
    """Return which rows hold enough for a repetition to be no accident.

    That is a continuous value, 16 numbers that are not all the same, or 64 bytes of text.
    Which columns are continuous is told by the data, or by others of the same columns.
    """
    telling = np.zeros(data.blocks[0].n_rows, dtype=bool)
    for block, model in zip(data.blocks, (like or data).blocks, strict=True):
        if block.is_sparse:
            telling |= np.asarray(np.diff(block.source.tocsr().indptr)) >= _WIDE
        elif block.is_table:
            telling |= _telling_in_table(block, model)
        elif block.matrix.shape[1]:
            telling |= _telling_in_array(block, model)
        else:
            telling |= _bytes_of_text(block)
    return telling


def _telling_in_array(block: Block, model: Block) -> NDArray[np.bool_]:
    width = _width(block)
    mask = continuous(model)
    many_values = model.distinct.max(initial=0) > 2  # noqa: PLR2004 - more than yes and no
    parts = []
    for _, rows in block.chunks():
        if width >= _WIDE and many_values:
            parts.append(rows.max(axis=1) > rows.min(axis=1))
        elif mask.any():
            parts.append(~np.isnan(rows[:, mask].astype(np.float64)).all(axis=1))
        else:
            parts.append(np.zeros(len(rows), dtype=bool))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _telling_in_table(block: Block, model: Block) -> NDArray[np.bool_]:
    telling = np.zeros(block.n_rows, dtype=bool)
    numeric = [column for column in block.columns if column.kind in {"numeric", "bool"}]
    measured = set(np.array(model.numeric_labels, dtype=object)[continuous(model)])
    for column in numeric:
        if column.name in measured:
            telling |= ~column.missing
    if len(numeric) >= _WIDE and model.distinct.max(initial=0) > 2:  # noqa: PLR2004
        telling |= np.ones(block.n_rows, dtype=bool)
    return telling | _bytes_of_text(block)


def _bytes_of_text(block: Block) -> NDArray[np.bool_]:
    lengths = np.zeros(block.n_rows, dtype=np.int64)
    for column in block.columns:
        if column.kind == "text":
            of_level = np.fromiter(map(_length, column.levels.values), dtype=np.int64)
            lengths += np.append(of_level, 0)[column.levels.codes]
    return lengths >= _TEXT_BYTES


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else len(str(value))


def _width(block: Block) -> int:
    if block.is_sparse:
        return int(block.source.shape[1])
    if block.is_table:
        return len(block.columns)
    shape = block.source.shape
    return int(np.prod(shape[1:])) if len(shape) > 1 else 1
