"""The table every reader ends in: who took what, when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from createrec.errors import DataError
from createrec.files import atomic_path


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
        """Indexes raw id columns (any type that casts to string) in order of first appearance."""
        users, items = (pa.array(column).cast(pa.string()).dictionary_encode() for column in (user, item))
        return cls(
            user=users.indices.to_numpy().astype(np.int64),
            item=items.indices.to_numpy().astype(np.int64),
            time=np.ascontiguousarray(time, dtype=np.int64),
            user_ids=users.dictionary.to_numpy(zero_copy_only=False),
            item_ids=items.dictionary.to_numpy(zero_copy_only=False),
        )

    def save(self, path: Path | str) -> None:
        """Writes one parquet file with columns user, item (dictionary-encoded ids) and time."""
        table = pa.table(
            {
                "user": pa.DictionaryArray.from_arrays(
                    self.user.astype(np.int32), pa.array(self.user_ids, pa.string())
                ),
                "item": pa.DictionaryArray.from_arrays(
                    self.item.astype(np.int32), pa.array(self.item_ids, pa.string())
                ),
                "time": self.time,
            }
        )
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def load(cls, path: Path | str) -> "Interactions":
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing or not such a parquet file.
        """
        try:
            table = pq.read_table(path, columns=["user", "item", "time"])
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise DataError(
                f"{path}: not a prepared dataset ({error}); delete it and run `createrec prepare` again"
            ) from None
        user, item = (table[name].cast(pa.string()) for name in ("user", "item"))
        return cls.from_columns(user.combine_chunks(), item.combine_chunks(), table["time"].to_numpy())
