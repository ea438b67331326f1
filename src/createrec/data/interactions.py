"""The table every reader ends in: who took what, when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from createrec.errors import DataError
from createrec.files import atomic_path

GROUP_ROWS = 1 << 20
"""Rows of a parquet file's group."""


@dataclass(frozen=True)
class Interactions:
    """Positive interactions in the order of the raw file.

    Attributes:
        user: int64 [n], index into `user_ids`.
        item: int64 [n], index into `item_ids`.
        time: int64 [n], seconds (any epoch; only the order matters).
        user_ids: original user ids as strings [users], in order of first appearance.
        item_ids: original item ids as strings [items], in order of first appearance.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    user_ids: np.ndarray
    item_ids: np.ndarray

    @property
    def users(self) -> int:
        return len(self.user_ids)

    @property
    def items(self) -> int:
        return len(self.item_ids)

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def from_columns(cls, user: pa.Array, item: pa.Array, time: np.ndarray) -> "Interactions":
        """Indexes raw id columns (integers or strings, without nulls) in order of first appearance."""
        user, user_ids = _index(pa.array(user))
        item, item_ids = _index(pa.array(item))
        return cls(user, item, np.ascontiguousarray(time, dtype=np.int64), user_ids, item_ids)

    def of_rows(self, kept: np.ndarray) -> "Interactions":
        """The rows that a mask [n] keeps, and the ids that are left, in order of first appearance."""
        user, user_ids = _reindexed(self.user[kept], self.user_ids)
        item, item_ids = _reindexed(self.item[kept], self.item_ids)
        return Interactions(user, item, self.time[kept], user_ids, item_ids)

    def save(self, path: Path | str) -> None:
        """Writes one parquet file with columns user, item (dictionary-encoded ids) and time."""
        ids = [pa.array(names, pa.string()) for names in (self.user_ids, self.item_ids)]
        encoded = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema({"user": encoded, "item": encoded, "time": pa.int64()})
        with (
            atomic_path(path) as temporary,
            # Statistics of string ids, which nobody reads, would take as long as the rest of the writing.
            pq.ParquetWriter(temporary, schema, use_dictionary=["user", "item"], write_statistics=False) as file,
        ):
            for start in range(0, max(len(self), 1), GROUP_ROWS):  # in parts: a long table is not held in memory twice
                rows = slice(start, start + GROUP_ROWS)
                columns = [
                    pa.DictionaryArray.from_arrays(index[rows].astype(np.int32), names)
                    for index, names in zip((self.user, self.item), ids, strict=True)
                ]
                file.write_table(pa.table([*columns, pa.array(self.time[rows])], schema=schema))

    @classmethod
    def load(cls, path: Path | str) -> "Interactions":
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing or not such a parquet file.
        """
        try:
            table = pq.read_table(path, columns=["user", "item", "time"])
            user, item, time = (table[name].combine_chunks() for name in ("user", "item", "time"))
            return cls.from_columns(user, item, time.to_numpy())
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise DataError(
                f"{path}: not a prepared dataset ({error}); delete it and run `createrec prepare` again"
            ) from None


def _reindexed(index: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices [n] into `names` as indices into those names that occur, in order of first appearance."""
    first = np.full(len(names), len(index))
    np.minimum.at(first, index, np.arange(len(index)))
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(index))]
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[index], names[order]


def _index(ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Splits ids [n] into indices int64 [n] and the distinct ids as strings, in order of first appearance."""
    names: pa.Array | None = None
    if pa.types.is_dictionary(ids.type):  # its dictionary may be in another order, or hold ids unused or twice
        names, ids = ids.dictionary, ids.indices
    codes = ids.dictionary_encode()
    names = (codes.dictionary if names is None else names.take(codes.dictionary)).cast(pa.string()).dictionary_encode()
    indices = names.indices.to_numpy(zero_copy_only=False)[codes.indices.to_numpy(zero_copy_only=False)]
    return indices.astype(np.int64), names.dictionary.to_numpy(zero_copy_only=False)
