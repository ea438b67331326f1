"""Sparse matrices in rows, and their products with dense ones."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
        return torch.nn.functional.embedding_bag(
            self.columns,
            dense,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(dense.dtype),
            include_last_offset=True,
        )


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
        return torch.nn.functional.embedding_bag(
            self.columns, dense, self.offsets, mode="sum", include_last_offset=True
        )
