"""Packing against plain lists, and the static layout of a GPU against the exact one of a CPU."""

import pytest
import torch
from support import random_rows, training_data_of

from createrec.ops.ragged import append, pack, sort_by_length

ROWS = [[5, 6, 7], [1], [2, 3, 4, 5, 6, 7, 8], [], [9, 8]]


def sequences_of(rows):
    return training_data_of(rows, 50).sequences


def plain_pack(rows, wanted, max_length, drop_newest):
    """(batch row, place from the newest, place in the values, item) of every token, plainly."""
    starts = [sum(len(row) for row in rows[:index]) for index in range(len(rows))]
    tokens = []
    for place, index in enumerate(wanted):
        kept = list(range(len(rows[index]) - drop_newest))[-max_length:] if len(rows[index]) > drop_newest else []
        for column in kept:
            tokens.append((place, kept[-1] - column, starts[index] + column, rows[index][column]))
    return tokens


def test_places_from_the_oldest(capacity=20):
    """As many as the row has, in order; of dead tokens they only have to be places that exist."""
    for wanted in ([2, 0, 4], [4, 1, 3]):
        for fixed in (None, capacity):
            packed = pack(sequences_of(ROWS), torch.tensor(wanted), 4, drop_newest=1, capacity=fixed)
            places = packed.from_start.tolist()
            expected = [place for index in wanted for place in range(min(4, max(0, len(ROWS[index]) - 1)))]
            assert places[: len(expected)] == expected
            assert all(0 <= place < 4 for place in places)


def tokens_of(packed):
    """The live tokens, as `plain_pack` gives them."""
    live = torch.ones(len(packed.items), dtype=torch.bool) if packed.live is None else packed.live
    columns = (packed.row, packed.from_end, packed.source, packed.items)
    return list(zip(*(column[live].tolist() for column in columns), strict=True))


@pytest.mark.parametrize("max_length", [1, 3, 50])
@pytest.mark.parametrize("drop_newest", [0, 1])
def test_pack_equals_plain_lists(max_length, drop_newest):
    wanted = [2, 0, 4, 3, 1, 2]
    packed = pack(sequences_of(ROWS), torch.tensor(wanted), max_length, drop_newest=drop_newest)
    expected = plain_pack(ROWS, wanted, max_length, drop_newest)
    assert tokens_of(packed) == expected
    lengths = [sum(token[0] == place for token in expected) for place in range(len(wanted))]
    assert packed.lengths.tolist() == lengths
    assert packed.starts.tolist() == [sum(lengths[:place]) for place in range(len(lengths))]
    assert packed.longest == max(lengths)


@pytest.mark.parametrize("capacity", [16, 17, 64])
@pytest.mark.parametrize("drop_newest", [0, 1])
def test_the_static_layout_has_the_same_live_tokens(capacity, drop_newest):
    wanted = torch.tensor([4, 0, 2, 0])
    exact = pack(sequences_of(ROWS), wanted, 7, drop_newest=drop_newest)
    static = pack(sequences_of(ROWS), wanted, 7, drop_newest=drop_newest, capacity=capacity)
    assert len(static.items) == capacity
    assert static.live.sum() == len(exact.items)
    assert static.live[: len(exact.items)].all()
    assert tokens_of(static) == tokens_of(exact)
    assert torch.equal(static.last, exact.last)


def test_dead_tokens_never_point_outside_the_data():
    """The last row is the data's last, so a dead token that ran on would leave the values."""
    sequences = sequences_of(ROWS)
    packed = pack(sequences, torch.tensor([1, 4]), 7, drop_newest=1, capacity=300)
    assert (packed.source >= 0).all()
    assert (packed.source + 1 < len(sequences.values)).all()
    assert (packed.from_end >= 0).all()
    empty_last = pack(sequences, torch.tensor([1, 3]), 7, drop_newest=1, capacity=300)
    assert (empty_last.source >= 0).all()


@pytest.mark.parametrize("capacity", [None, 12, 40])
def test_append_puts_one_token_behind_each_row(capacity):
    wanted = [1, 4, 0, 2]
    packed = append(pack(sequences_of(ROWS), torch.tensor(wanted), 4, capacity=capacity), 99)
    expected = []
    for place, index in enumerate(wanted):
        kept = ROWS[index][-4:]
        expected += [(place, len(kept) - column, item) for column, item in enumerate(kept)] + [(place, 0, 99)]
    assert [(row, end, item) for row, end, _, item in tokens_of(packed)] == expected
    assert packed.items[packed.last].tolist() == [99] * len(wanted)
    assert packed.lengths.tolist() == [min(4, len(ROWS[index])) + 1 for index in wanted]
    assert packed.longest >= int(packed.lengths.max())


def test_append_to_an_empty_row():
    packed = append(pack(sequences_of(ROWS), torch.tensor([3]), 4), 99)
    assert tokens_of(packed) == [(0, 0, 0, 99)]


def test_with_items_keeps_the_layout():
    packed = pack(sequences_of(ROWS), torch.tensor([0, 2]), 4)
    other = packed.with_items(packed.items + 1)
    assert torch.equal(other.items, packed.items + 1)
    assert torch.equal(other.source, packed.source)


def test_sort_by_length_is_stable():
    rows = random_rows(40, 30, longest=4)
    order = sort_by_length(sequences_of(rows), torch.arange(40)).tolist()
    assert order == sorted(range(40), key=lambda index: len(rows[index]))
