"""Attention on packed rows against one softmax a query written out in float64, and its gradients by gradcheck."""

import pytest
import torch
from support import random_rows, training_data_of

from createrec.models.attention import Attention
from createrec.ops import attention as module
from createrec.ops.attention import rectangles
from createrec.ops.ragged import pack, sort_by_length

DIMENSION, HEADS = 6, 2
LENGTHS = {
    "rows of every length": [1, 2, 2, 3, 5, 8, 8, 9, 13],
    "more queries than a piece": [3, 64, 65, 130, 200],
    "one row": [70],
    "an empty row": [0, 0, 4],
}


def problem(lengths, seed=0):
    """An attention in float64, the layout's packed batch, and queries, keys and values [tokens, ...]."""
    packed = pack_of(lengths)
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(len(packed.items), DIMENSION, dtype=torch.float64, generator=generator)
    key_value = torch.randn(len(packed.items), 2 * DIMENSION, dtype=torch.float64, generator=generator)
    return Attention(DIMENSION, HEADS, 0.0).double(), packed, query.requires_grad_(), key_value.requires_grad_()


def pack_of(lengths):
    sequences = training_data_of([list(range(length)) for length in lengths], 300).sequences
    return pack(sequences, sort_by_length(sequences, torch.arange(len(lengths))), 250)


def plain(packed, query, key_value, causal):
    """Row by row, head by head, query by query."""
    key, value = key_value.chunk(2, dim=1)
    size, out = DIMENSION // HEADS, []
    for start, length in zip(packed.starts.tolist(), packed.lengths.tolist(), strict=True):
        for place in range(length):
            seen = slice(start, start + (place + 1 if causal else length))
            heads = []
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                weights = (key[seen, part] @ query[start + place, part] / size**0.5).softmax(0)
                heads.append(weights @ value[seen, part])
            out.append(torch.cat(heads))
    return torch.stack(out)


@pytest.mark.parametrize("small", [False, True], ids=["usual pieces", "small pieces"])
@pytest.mark.parametrize("causal", [False, True], ids=["two-way", "causal"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_values_and_gradients_equal_plain_attention(lengths, causal, small, monkeypatch):
    if small:
        monkeypatch.setattr(module, "CPU_QUERIES", 3)
        monkeypatch.setattr(module, "CPU_SLOTS", 20)
    layer, packed, query, key_value = problem(lengths)
    layout = rectangles(packed, masks=not causal)
    probe = torch.randn(query.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ranked = layer.mix(query, key_value, layout, causal)
    found = []
    for mixed in (layer.mix(query, key_value, layout, causal), plain(packed, query, key_value, causal)):
        found.append([mixed, *torch.autograd.grad((mixed * probe).sum(), (query, key_value))])
    torch.testing.assert_close(ranked, found[1][0], rtol=0, atol=1e-12)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_any_number_of_heads_leaves_what_it_is_given_as_it_was(heads, monkeypatch):
    monkeypatch.setattr(module, "CPU_QUERIES", 3)
    layer, packed, query, key_value = problem([4, 4, 7])
    layer.heads = heads
    layout = rectangles(packed, masks=False)
    probe = torch.randn(query.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = [tensor.detach().clone() for tensor in (query, key_value, probe)]
    mixed = layer.mix(query, key_value, layout, True)
    torch.autograd.grad(mixed, (query, key_value), probe)
    for tensor, old in zip((query, key_value, probe), before, strict=True):
        assert torch.equal(tensor, old)
    assert torch.autograd.gradcheck(lambda *inputs: layer.mix(*inputs, layout, True), (query, key_value))


@pytest.mark.parametrize("causal", [False, True], ids=["two-way", "causal"])
def test_scores_that_would_overflow_as_powers_are_shifted_first(causal):
    """Queries so long that 2^score has no float: values and gradients stay those of a plain softmax."""
    layer, packed, query, key_value = problem([1, 3, 5, 70])
    layout = rectangles(packed, masks=not causal)
    found = []
    for mix in (lambda q: layer.mix(q, key_value, layout, causal), lambda q: plain(packed, q, key_value, causal)):
        mixed = mix(query * 3000)
        found.append([mixed, *torch.autograd.grad(mixed.square().sum(), (query, key_value))])
    for ours, theirs in zip(*found, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("causal", [False, True], ids=["two-way", "causal"])
def test_gradcheck_with_the_same_weights_dropped(causal, rate, monkeypatch):
    monkeypatch.setattr(module, "CPU_QUERIES", 2)
    layer, packed, query, key_value = problem([1, 3, 3, 5])
    layer.dropout.rate = rate
    layout = rectangles(packed, masks=not causal)

    def mix(*inputs):
        torch.manual_seed(3)
        return layer.mix(*inputs, layout, causal)

    assert torch.autograd.gradcheck(mix, (query, key_value))


def test_dropped_weights_leave_the_mean_of_attention_unchanged():
    layer, packed, query, key_value = problem([40, 40])
    layer.dropout.rate, draws = 0.3, 400
    layout = rectangles(packed, masks=False)
    torch.manual_seed(0)
    mixed = torch.stack([layer.mix(query, key_value, layout, True) for _ in range(draws)]).detach()
    expected = plain(packed, query, key_value, True).detach()
    deviation = (mixed.mean(0) - expected) / (mixed.std(0) / draws**0.5)
    assert mixed.std(0).min() > 0.01
    assert float(deviation.abs().max()) < 6
    assert float(deviation.square().mean()) == pytest.approx(1, abs=0.25)


def test_rectangles_cover_every_token_once_and_pad_little():
    packed = pack_of([len(row) for row in random_rows(300, 300, seed=4, shortest=1, longest=200)])
    layout = rectangles(packed, masks=True)
    assert [rectangle.tokens.start for rectangle in layout[1:]] == [rectangle.tokens.stop for rectangle in layout[:-1]]
    assert (layout[0].tokens.start, layout[-1].tokens.stop) == (0, len(packed.items))
    slots = sum(rows * longest for rows, longest in (rectangle.shape for rectangle in layout))
    assert slots < 1.1 * len(packed.items)
