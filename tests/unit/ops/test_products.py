"""Scores of a whole table against the plain product."""

import pytest
import torch

from createrec.ops.products import products


@pytest.mark.parametrize("threads", [1, 2])
@torch.no_grad()
def test_products_are_those_of_the_whole_table(threads, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    states, table = torch.rand(5, 3, dtype=torch.float64), torch.rand(7, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(products(states, table), states @ table.T)
    assert products(states[:0], table).shape == (0, 7)


def test_products_have_a_gradient():
    states, table = torch.rand(5, 3), torch.rand(7, 3, requires_grad=True)
    products(states, table).sum().backward()
    assert table.grad is not None
