"""Scores of a whole table, in parts, against the plain product."""

import pytest
import torch

from createrec.ops import products


@torch.no_grad()
@pytest.mark.parametrize("part", [1, 4, 7, 100])
def test_products_are_those_of_the_whole_table(part, monkeypatch):
    monkeypatch.setattr(products, "CPU_PART_ROWS", part)
    states, table = torch.rand(5, 3, dtype=torch.float64), torch.rand(7, 3, dtype=torch.float64)
    torch.testing.assert_close(products.products(states, table), states @ table.T)
    assert products.products(states[:0], table).shape == (0, 7)
