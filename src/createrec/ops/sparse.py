"""Sparse matrices in rows, and their products with dense ones."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from createrec.ops.ragged import positions_in_ranges


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse matrix in rows, for products with dense ones.

    Attributes:
        offsets: int32 [rows + 1].
        columns: int32 [entries].
        values: float32 [entries].
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Product with [columns, d] -> [rows, d], without gradient. `embedding_bag` is the fastest one measured on a
        CPU (see benchmarks/), and runs on a GPU too.
        """
        return F.embedding_bag(
            self.columns,
            dense,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(dense.dtype),
            include_last_offset=True,
        )

    def take(self, rows: Tensor) -> "SparseMatrix":
        """These rows int64 [n] alone, in this order; how many entries they have is asked of the host."""
        begin = self.offsets[rows].long()
        counts = self.offsets[rows + 1].long() - begin
        entries = positions_in_ranges(begin, counts)
        return SparseMatrix(F.pad(counts.cumsum(0), (1, 0)).int(), self.columns[entries], self.values[entries])


@dataclass(frozen=True)
class BinaryMatrix:
    """A sparse matrix of ones, in rows.

    Attributes:
        offsets: int32 [rows + 1].
        columns: int32 [entries].
    """

    offsets: Tensor
    columns: Tensor

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Sums of the rows' neighbours, [columns, d] -> [rows, d], without gradient."""
        return F.embedding_bag(self.columns, dense, self.offsets, mode="sum", include_last_offset=True)
