"""Streams: every epoch is one pass in a new order, in equal steps."""

import pytest
import torch
from support import model_of, random_rows, training_data_of, typed_settings

from createrec.models.phases import Phase
from createrec.randomness import Randomness
from createrec.training.batches import Stream, Streams

ITEMS = 20


@pytest.fixture(scope="module")
def model():
    rows = random_rows(31, ITEMS, seed=1, shortest=0, longest=9)
    return model_of(training_data_of(rows, ITEMS), "lightgcn")


def streams_of(model, names, static=False, **training):
    phase = Phase("test", 1, {}, names, 6)
    settings = typed_settings("sasrec", training=training).training
    return Streams(model, phase, settings, Randomness(0), static=static)


@pytest.mark.parametrize(("samples", "batch"), [(10, 3), (10, 10), (10, 50), (9, 3), (1, 4)])
def test_a_pass_takes_each_sample_at_most_once_in_equal_steps(samples, batch):
    stream = Stream("edges", samples, batch, Randomness(0))
    passes = []
    for _ in range(2):
        stream.shuffle()
        steps = [stream.take(step) for step in range(stream.steps)]
        assert {len(step) for step in steps} == {samples // stream.steps}
        assert all(len(step) <= batch for step in steps)
        taken = torch.cat(steps).tolist()
        assert len(set(taken)) == len(taken) > samples - stream.steps
        assert set(taken) <= set(range(samples))
        passes.append(taken)
    assert samples < 9 or passes[0] != passes[1]


def test_what_waited_is_random():
    """With 5 samples in 2 steps one waits each time; over many epochs it is each in turn."""
    stream = Stream("edges", 5, 3, Randomness(0))
    waited = set()
    for _ in range(40):
        stream.shuffle()
        waited |= set(range(5)) - set(torch.cat([stream.take(0), stream.take(1)]).tolist())
    assert waited == set(range(5))


def test_a_step_on_the_device_is_the_same_step():
    stream = Stream("edges", 20, 4, Randomness(0))
    stream.shuffle()
    for step in range(7):  # beyond the end it begins again
        assert torch.equal(stream.take(step), stream.take(torch.tensor([step])))


def test_the_followers_make_one_pass_in_the_leaders_steps(model):
    streams = streams_of(model, ("sequences", "edges"), batch_size=7, edge_batch_size=1000)
    streams.shuffle()
    batches = [streams.batch(step) for step in range(streams.steps)]
    users = torch.cat([batch.sequences.users for batch in batches]).tolist()
    lengths = model.data.sequences.lengths
    assert all(lengths[user] >= 2 for user in users)
    assert len(set(users)) == len(users) >= int((lengths >= 2).sum()) - streams.steps
    pairs = [pair for b in batches for pair in zip(b.edges.users.tolist(), b.edges.items.tolist(), strict=True)]
    known = set(zip(model.edges.users.tolist(), model.edges.items.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) > len(known) - streams.steps
    assert set(pairs) <= known


def test_prefixes_are_what_stands_before_their_target(model):
    streams = streams_of(model, ("prefixes",), batch_size=9)
    streams.shuffle()
    sequences = model.data.sequences
    found = []
    for step in range(streams.steps):
        batch = streams.batch(step).prefixes
        for row, (user, target) in enumerate(zip(batch.users.tolist(), batch.targets.tolist(), strict=True)):
            items = batch.prefixes.items[batch.prefixes.row == row].tolist()
            whole = sequences.values[sequences.offsets[user] : sequences.offsets[user + 1]].tolist()
            place = whole.index(target)
            assert items == whole[:place][-6:]
            assert items
            found.append((user, place))
    everything = {(u, p) for u, n in enumerate(sequences.lengths.tolist()) for p in range(1, n)}
    assert len(set(found)) == len(found) > len(everything) - streams.steps
    assert set(found) <= everything


@pytest.mark.parametrize("name", ["sequences", "prefixes"])
def test_the_static_capacity_holds_every_step(model, name):
    streams = streams_of(model, (name,), static=True, batch_size=9)
    assert streams.shuffle(), "the first pass sets the capacity"
    capacity = streams.capacity[name]
    assert not streams.shuffle()
    for step in range(streams.steps):
        batch = streams.batch(torch.tensor([step]))
        if name == "sequences":
            assert batch.sequences.capacity == capacity
            assert int(model.data.sequences.lengths[batch.sequences.users].clamp_max(6).sum()) <= capacity
        else:
            packed = batch.prefixes.prefixes
            assert len(packed.items) == capacity
            assert int(packed.lengths.sum()) == int(packed.live.sum())


def test_static_prefixes_are_the_same_samples(model):
    exact, static = (streams_of(model, ("prefixes",), static=flag, batch_size=9) for flag in (False, True))
    exact.shuffle(), static.shuffle()
    for step in range(exact.steps):
        samples = []
        for streams in (exact, static):
            batch = streams.batch(step).prefixes
            live = (
                torch.ones_like(batch.prefixes.row, dtype=torch.bool)
                if batch.prefixes.live is None
                else batch.prefixes.live
            )
            samples.append(
                sorted(
                    (user, target, tuple(batch.prefixes.items[live & (batch.prefixes.row == row)].tolist()))
                    for row, (user, target) in enumerate(zip(batch.users.tolist(), batch.targets.tolist(), strict=True))
                )
            )
        assert samples[0] == samples[1]


def test_a_stream_that_the_model_does_not_have_is_an_error():
    model = model_of(training_data_of([[0, 1, 2]], ITEMS), "sasrec")
    with pytest.raises(ValueError, match="phase train: draws from 'edges', which SequenceRecommender does not have"):
        Streams(model, Phase("train", 1, {}, ("edges",)), model.config.training, model.randomness, static=False)
