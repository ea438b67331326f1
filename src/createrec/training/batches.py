"""Batches as index arithmetic on the device: no data loader, no Python per sample, no copy to the host.

An epoch is one pass over the phase's leading stream in a fresh random order. Every step has the same size, so
that a batch's statistics mean the same throughout and a GPU can replay one captured step: the remainder, less
than one batch of random samples, waits for the next epoch.
"""

import torch
from torch import Tensor

from createrec.config import TrainingConfig
from createrec.data.batch import Batch, EdgeBatch, PrefixBatch, SequenceBatch
from createrec.models.base import Recommender
from createrec.models.phases import Phase, StreamName
from createrec.ops.ragged import Sequences, pack
from createrec.randomness import Randomness

# Static capacities are rounded up to a multiple of this, so that few epochs need another one.
CAPACITY_STEP = 256


class Stream:
    """One shuffled pass over some samples, cut into equal steps."""

    def __init__(self, name: StreamName, samples: int, batch_size: int, randomness: Randomness) -> None:
        self.samples = samples
        self.generator = randomness.generator(f"order/{name}")
        self.resize(max(1, -(-samples // batch_size)))

    def resize(self, steps: int) -> None:
        """Cuts the pass into another number of steps."""
        self.steps = min(steps, self.samples)
        self.size = self.samples // self.steps
        self.order = torch.empty(self.steps, self.size, dtype=torch.int64, device=self.generator.device)

    def shuffle(self) -> None:
        """A new pass, in place, so that a captured step reads it."""
        order = torch.randperm(self.samples, generator=self.generator, device=self.generator.device)
        self.order.copy_(order[: self.order.numel()].view_as(self.order))

    def take(self, step: int | Tensor) -> Tensor:
        """Sample indices of a step, int64 [size]; `step` may be a tensor [1] on the device."""
        if isinstance(step, int):
            return self.order[step % self.steps]
        return self.order.index_select(0, step % self.steps)[0]


class Streams:
    """The streams that one phase draws, in step with each other."""

    def __init__(
        self, model: Recommender, phase: Phase, training: TrainingConfig, randomness: Randomness, *, static: bool
    ) -> None:
        data = model.data
        self.sequences: Sequences = data.sequences
        self.edges: EdgeBatch | None = getattr(model, "edges", None)
        self.static = static
        self.max_length = phase.max_length
        self.users = (data.sequences.lengths >= 2).nonzero()[:, 0]
        self.streams: dict[StreamName, Stream] = {}
        for name in phase.streams:
            if name == "sequences":
                samples, size = len(self.users), training.batch_size
            elif name == "prefixes":
                # A sample is a training row with something before it.
                first = torch.zeros(len(data.sequences.values), dtype=torch.bool, device=data.device)
                first[data.sequences.offsets[:-1][data.sequences.lengths > 0]] = True
                self.targets = (~first).nonzero()[:, 0]
                self.row_users = data.row_users()
                samples, size = len(self.targets), training.batch_size
            elif name == "edges" and self.edges is not None:
                samples, size = len(self.edges.users), training.edge_batch_size
            else:
                raise ValueError(f"phase {phase.name}: draws from '{name}', which {type(model).__name__} does not have")
            self.streams[name] = Stream(name, samples, size, randomness)
        self.steps = self.streams[phase.streams[0]].steps
        for name in phase.streams[1:]:
            self.streams[name].resize(self.steps)
        self.capacity: dict[StreamName, int] = {}

    def shuffle(self) -> bool:
        """Starts an epoch. Returns True where a static capacity had to grow, so that a captured step is stale."""
        for stream in self.streams.values():
            stream.shuffle()
        grown = False
        for name in ("sequences", "prefixes") if self.static else ():
            if name in self.streams:
                most = int(self._lengths(name).sum(1).max())
                if most > self.capacity.get(name, 0):
                    self.capacity[name] = -(-most // CAPACITY_STEP) * CAPACITY_STEP
                    grown = True
        return grown

    def _lengths(self, name: StreamName) -> Tensor:
        """Upper bounds of the tokens that each sample of the epoch packs, int64 [steps, size]."""
        order = self.streams[name].order
        if name == "sequences":
            lengths = self.sequences.lengths[self.users[order]]
        else:
            lengths = self.targets[order] - self.sequences.offsets[self.row_users[self.targets[order]]]
        return lengths.clamp_max(self.max_length)

    def batch(self, step: int | Tensor) -> Batch:
        """One step's share of every stream."""
        sequences = prefixes = edges = None
        if "sequences" in self.streams:
            users = self.users[self.streams["sequences"].take(step)]
            sequences = SequenceBatch(users, self.capacity.get("sequences"))
        if "prefixes" in self.streams:
            prefixes = self._prefixes(self.targets[self.streams["prefixes"].take(step)])
        if "edges" in self.streams and self.edges is not None:
            chosen = self.streams["edges"].take(step)
            edges = EdgeBatch(self.edges.users[chosen], self.edges.items[chosen])
        return Batch(sequences, prefixes, edges)

    def _prefixes(self, targets: Tensor) -> PrefixBatch:
        users = self.row_users[targets]
        if not self.static:
            order = torch.argsort(targets - self.sequences.offsets[users], stable=True)
            targets, users = targets[order], users[order]
        # A prefix is a row that ends before its target: the same values under other offsets.
        ends = torch.stack([self.sequences.offsets[users], targets], dim=1).view(-1)
        rows = torch.arange(0, len(ends), 2, device=ends.device)
        packed = pack(
            Sequences(self.sequences.values, ends), rows, self.max_length, capacity=self.capacity.get("prefixes")
        )
        return PrefixBatch(packed, users, self.sequences.values[targets])
