"""What a model is given: the training rows of one fold, and one step's share of them."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from createrec.ops.ragged import Packed, Sequences

Part = TypeVar("Part")


@dataclass(frozen=True)
class TrainingData:
    """The training rows of one fold, on the device. Nothing after the cut is in here.

    Attributes:
        sequences: row u = training items of user u, oldest first; empty for users outside training.
        times: int64 [n], timestamps beside `sequences.values`.
        item_count: size of the catalogue.
    """

    sequences: Sequences
    times: Tensor
    item_count: int

    @property
    def user_count(self) -> int:
        return len(self.sequences)

    @property
    def device(self) -> torch.device:
        return self.times.device

    def item_counts(self) -> Tensor:
        """Training interactions of each item, int64 [items]."""
        return torch.bincount(self.sequences.values, minlength=self.item_count)

    def row_users(self) -> Tensor:
        """User of each training row, int64 [n]."""
        users = torch.arange(self.user_count, device=self.device)
        return torch.repeat_interleave(users, self.sequences.lengths)


@dataclass(frozen=True)
class QueryBatch:
    """Histories to be continued.

    Attributes:
        users: int64 [batch], training user indices, or -1 for somebody the model has never seen.
        histories: [batch] rows of item indices, oldest first; rows may be empty.
    """

    users: Tensor
    histories: Sequences


@dataclass(frozen=True)
class EdgeBatch:
    """Training interactions: users int64 [edges], items int64 [edges]."""

    users: Tensor
    items: Tensor


@dataclass(frozen=True)
class PrefixBatch:
    """Single next-item samples: a prefix of each row and the item that follows it.

    Attributes:
        prefixes: packed rows, one a sample.
        users, targets: int64 [batch].
    """

    prefixes: Packed
    users: Tensor
    targets: Tensor


@dataclass(frozen=True)
class SequenceBatch:
    """Training users of one step.

    Attributes:
        users: int64 [batch], each with two training items or more.
        capacity: static number of tokens for `pack`, None on a CPU.
    """

    users: Tensor
    capacity: int | None = None


class Batch:
    """One step's share of each stream that the phase draws; one that it does not draw cannot be asked for."""

    def __init__(
        self,
        sequences: SequenceBatch | None = None,
        prefixes: PrefixBatch | None = None,
        edges: EdgeBatch | None = None,
    ) -> None:
        self._sequences, self._prefixes, self._edges = sequences, prefixes, edges

    @property
    def sequences(self) -> SequenceBatch:
        return _drawn(self._sequences, "sequences")

    @property
    def prefixes(self) -> PrefixBatch:
        return _drawn(self._prefixes, "prefixes")

    @property
    def edges(self) -> EdgeBatch:
        return _drawn(self._edges, "edges")


def _drawn(part: Part | None, stream: str) -> Part:
    if part is None:
        raise LookupError(f"the phase draws no {stream}; name the stream in its Phase")
    return part
