"""Device-resident sequences: values and offsets, and batches as index arithmetic on them.

A batch of histories is *packed*: the tokens of all rows stand one after the other, with no padding, so that
everything but attention works on real tokens alone. On a CPU the number of tokens is exact. On a GPU a step
must have static shapes to be captured, so the same layout is filled up to a `capacity` with dead tokens.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """Ragged rows of integers.

    Attributes:
        values: int64 [n].
        offsets: int64 [rows + 1] into `values`.
    """

    values: Tensor
    offsets: Tensor

    @classmethod
    def from_numpy(cls, values: np.ndarray, offsets: np.ndarray, device: torch.device) -> "Sequences":
        return cls(
            *(torch.from_numpy(np.ascontiguousarray(part, dtype=np.int64)).to(device) for part in (values, offsets))
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """int64 [rows]."""
        return self.offsets.diff()


@dataclass(frozen=True)
class Packed:
    """Rows of different lengths, one after the other.

    Attributes:
        rows: int64 [batch], which sequences stand here.
        lengths: int64 [batch].
        starts: int64 [batch], first token of each row.
        row: int64 [tokens], the batch row of each token; dead tokens belong to the last row.
        from_end: int64 [tokens], 0 for a row's newest token, 1 for the one before, ...
        source: int64 [tokens], where each token stands in the values it was taken from.
        items: int64 [tokens].
        live: bool [tokens], false for tokens that only fill the capacity; None when all are real.
        longest: upper bound of `lengths`.
    """

    rows: Tensor
    lengths: Tensor
    starts: Tensor
    row: Tensor
    from_end: Tensor
    source: Tensor
    items: Tensor
    live: Tensor | None
    longest: int

    @property
    def from_start(self) -> Tensor:
        """int64 [tokens], 0 for a row's oldest token, 1 for the one behind it, ...; dead tokens repeat the newest."""
        newest = (self.lengths - 1).clamp_min(0)  # below 0 only for an empty row, whose tokens are dead
        return newest.index_select(0, self.row) - self.from_end

    @property
    def last(self) -> Tensor:
        """int64 [batch], the newest token of each row; meaningless for empty rows."""
        return (self.starts + self.lengths - 1).clamp_min(0)

    def with_items(self, items: Tensor) -> "Packed":
        """The same layout over other items, as int64 [tokens]."""
        return replace(self, items=items)


def positions_in_ranges(begins: Tensor, lengths: Tensor) -> Tensor:
    """begin, begin + 1, ... of each of some ranges, int64 [n] both, one after the other: int64 [sum(lengths)]."""
    shifts = begins - lengths.cumsum(0) + lengths
    positions = torch.repeat_interleave(shifts, lengths)
    return positions.add_(torch.arange(len(positions), device=positions.device))


def pack(
    sequences: Sequences, rows: Tensor, max_length: int, *, drop_newest: int = 0, capacity: int | None = None
) -> Packed:
    """Packs the last `max_length` values of some rows, after leaving out the `drop_newest` newest of each.

    With `capacity` all shapes are static: [capacity] tokens, of which the first sum(lengths) are live.
    """
    ends = sequences.offsets[rows + 1] - drop_newest
    lengths = (ends - sequences.offsets[rows]).clamp(0, max_length)
    stops = lengths.cumsum(0)
    starts = stops - lengths
    if capacity is None:
        row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), lengths)
        token = torch.arange(len(row), device=rows.device)
        live, longest = None, int(lengths.max()) if len(rows) else 0
    else:
        token = torch.arange(capacity, device=rows.device)
        row = torch.searchsorted(stops, token, right=True).clamp_max(len(rows) - 1)
        live, longest = token < stops[-1], max_length
    from_end = stops.index_select(0, row) - 1 - token
    if live is not None:
        from_end = from_end.clamp_min(0)  # dead tokens repeat the last row's newest, which has a successor to read
    source = (ends.index_select(0, row) - 1 - from_end).clamp_min(0)  # below 0 only for dead tokens behind an empty row
    items = sequences.values.index_select(0, source)
    return Packed(rows, lengths, starts, row, from_end, source, items, live, longest)


def append(packed: Packed, item: int) -> Packed:
    """One more token at the newest end of each row (BERT4Rec's [MASK]); its `source` is meaningless."""
    batch, device = len(packed.rows), packed.items.device
    shift = torch.arange(batch, device=device)
    lengths, starts = packed.lengths + 1, packed.starts + shift
    newest = starts + packed.lengths
    moved = torch.arange(len(packed.items), device=device) + packed.row
    if packed.live is not None:
        moved += ~packed.live  # dead tokens stand behind the last row's new token

    def spread(old: Tensor, new: Tensor | int | bool) -> Tensor:
        grown = torch.zeros(len(old) + batch, dtype=old.dtype, device=device)
        grown[moved] = old
        # A plain number is filled in by a kernel: indexed assignment would copy it from the host, which no captured
        # step may do.
        return grown.index_copy_(0, newest, new) if isinstance(new, Tensor) else grown.index_fill_(0, newest, new)

    return Packed(
        rows=packed.rows,
        lengths=lengths,
        starts=starts,
        row=spread(packed.row, shift),
        from_end=spread(packed.from_end + 1, 0),
        source=spread(packed.source, 0),
        items=spread(packed.items, item),
        live=None if packed.live is None else spread(packed.live, True),
        longest=packed.longest + 1,
    )


def sort_by_length(sequences: Sequences, rows: Tensor) -> Tensor:
    """The same rows, shortest first (stable), so that neighbours need the least padding in attention."""
    return rows[torch.argsort(sequences.lengths[rows], stable=True)]
