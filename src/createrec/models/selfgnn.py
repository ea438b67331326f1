"""Self-GNN: graphs of time intervals, an LSTM and attention over them, and a self-augmented loss (Table 3).

Reference: Liu, Xia and Huang, "SelfGNN: Self-Supervised Graph Neural Networks for Sequential Recommendation", SIGIR
2024, arXiv 2405.20878. The training period is cut into G intervals of equal width; with act = LeakyReLU(0.5):

    graph, per interval      X_(l+1) = act(A_g X_l) + X_l over users and items,  [p^g; q^g] = X_0 + ... + X_L
    over the intervals       e = mean_g attention(LN(dropout(LSTM(p^1 ... p^G)))), one LSTM for users and items,
                             LN over all of (G, d) together, attention with weights of its own for each side
    over the sequence        z_0 = LN(sum_k e_(i_k)) + LN(sum_k position_k),  z <- act(attention(LN(z))) + z,  a_u = z
    score                    <e_u + act(a_u), e_v>
    L = mean max(0, 1 - score(u, v+) + score(u, v-)) + l2 * (sum of squares of all tables and of the weight's maps)
        + augmentation_weight * sum over intervals and pairs max(0, 1 - S s_g)
    S = w_(u,g) (x(u, a) - x(u, b)), x = sum act(e_u * e_v) without gradient,  s_g = the same of p^g, q^g
    w_(u,g) = sigmoid(v act(W [e_u * p^g; e_u; p^g]))

A is binary and unweighted: the authors' code computes a degree normalisation and edge dropout and uses neither.
Their code multiplies the padding mask into the sequence before attention, which collapses it into the one summed
token above (`instance_level: summed`, what their published numbers come from); `tokens` keeps the tokens apart, as
their paper has it: z_0 = LN(e_(i_k)) + LN(position_k) a token, and a_u = the sum of z over the tokens.

Where this implementation differs: the two interactions of a self-augmented pair belong to the same user (the
authors' reading of their alternating samples mixes users up); users with a single item in an interval have no pair
there (theirs is a constant); one user is one sample, his newest training item the positive, against `negatives`
uniform items that he does not have in training (their negatives avoid his validation and test items too, which we do
not look at); an epoch is one pass over all users at a constant learning rate, where theirs has 10,000 random users
and a decay of 0.96 an epoch; tables and maps start Xavier-uniform, the forget gate's bias at 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import SelfGNNConfig, resolved
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.data.graph import build_edges, draw_non_neighbours
from createrec.losses.self_augmented import hinge, leaky_dot, pair_hinge
from createrec.models.attention import Attention
from createrec.models.cached_vectors import CachedVectors
from createrec.models.phases import TRAIN, Phase
from createrec.models.sequence_encoder import query_blocks, training_rows
from createrec.ops.attention import rectangles
from createrec.ops.dropout import Dropout
from createrec.ops.interval_attention import mean_attention
from createrec.ops.propagation import ActiveGraph, ActiveNodes, leaky_layers
from createrec.ops.ragged import Packed, pack
from createrec.ops.sparse import BinaryMatrix
from createrec.randomness import Randomness

LAYER_NORM_EPSILON = 1e-12


class IntervalGraph:
    """Who met what in each interval: a symmetric binary matrix over intervals x (users, then items).

    Attributes:
        matrix: [intervals * nodes] squared.
        nodes: users + items.
        active: the same without the nodes that have no neighbours.
    """

    def __init__(self, data: TrainingData, intervals: int) -> None:
        self.nodes = data.user_count + data.item_count
        first, last = data.times.min(), data.times.max()
        interval = (data.times - first) * intervals // (last - first + 1)
        user = interval * self.nodes + data.row_users()
        item = interval * self.nodes + data.user_count + data.sequences.values
        size = intervals * self.nodes
        entries = torch.unique(torch.cat([user * size + item, item * size + user]))
        degree = torch.bincount(entries // size, minlength=size)
        offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        self.matrix = BinaryMatrix(offsets.int(), (entries % size).int())
        self.active = self._without_lonely(degree.nonzero()[:, 0], data.user_count)

    def _without_lonely(self, nodes: Tensor, user_count: int) -> ActiveGraph:
        """The graph of some nodes int64, ascending, which are all that have neighbours."""
        place = torch.full((len(self.matrix.offsets) - 1,), -1, device=nodes.device)
        place[nodes] = torch.arange(len(nodes), device=nodes.device)
        blocks, begin = [], 0
        for interval, count in zip(*torch.unique_consecutive(nodes // self.nodes, return_counts=True), strict=True):
            own = nodes[begin : begin + int(count)]
            offsets = self.matrix.offsets[torch.cat([own, own[-1:] + 1])]
            neighbours = place[self.matrix.columns[int(offsets[0]) : int(offsets[-1])].long()] - begin
            within = own - interval * self.nodes
            users = int((within < user_count).sum())
            item_cells = interval * (self.nodes - user_count) + within[users:] - user_count
            matrix = BinaryMatrix(offsets - offsets[0], neighbours.int())
            blocks.append(ActiveNodes(own, users, item_cells, matrix))
            begin += int(count)
        return ActiveGraph(user_count, place, tuple(blocks))


class LSTM(nn.Module):
    """One layer over [steps, rows, d], hidden size d; gates in the order input, forget, cell, output."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.input = nn.Linear(dimension, 4 * dimension)
        self.recurrent = nn.Linear(dimension, 4 * dimension, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_cuda:  # torch's own is the fastest on a CPU; on a GPU it wants its weights in one piece
            start = x.new_zeros(1, x.shape[1], x.shape[2])
            bias = self.input.bias
            weights = [self.input.weight, self.recurrent.weight, bias, torch.zeros_like(bias)]
            return torch.lstm(x, (start, start), weights, True, 1, 0.0, self.training, False, False)[0]
        hidden = cell = None
        outputs = []
        for gates in self.input(x):
            if hidden is not None:
                gates = gates + self.recurrent(hidden)
            into, forget, new, out = gates.chunk(4, dim=-1)
            fresh = torch.sigmoid(into) * torch.tanh(new)
            cell = fresh if cell is None else torch.sigmoid(forget) * cell + fresh
            hidden = torch.sigmoid(out) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs)


class PlainAttention(Attention):
    """Multi-head attention that ends with the mixed values: no output projection, no dropout."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__(dimension, heads, 0.0)
        self.output = nn.Identity()


class IntervalAttention(PlainAttention):
    """The same within each of many short rows, [rows, steps, d], and the mean of what comes out of each, [rows, d]."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # rows of one length need no layout
        return mean_attention(self.query(x), self.key_value(x), self.heads)


class IntervalLevel(nn.Module):
    """One side's way from the LSTM's outputs over the intervals to its vectors."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dimension))
        self.bias = nn.Parameter(torch.zeros(dimension))
        self.attention = IntervalAttention(dimension, heads)

    def forward(self, outputs: Tensor) -> Tensor:
        """[intervals, rows, d] -> [rows, d]."""
        steps, _, d = outputs.shape
        x = F.layer_norm(outputs.transpose(0, 1), (steps, d), eps=LAYER_NORM_EPSILON) * self.gain + self.bias
        return self.attention(x)


class InstanceLevel(nn.Module):
    """a_u of a packed history, in either of the two readings."""

    def __init__(self, config: SelfGNNConfig) -> None:
        super().__init__()
        d = config.dimension
        self.slope, self.summed = config.slope, config.instance_level == "summed"
        self.positions = nn.Parameter(torch.empty(resolved(config.max_length, "max_length"), d))
        self.item_norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.position_norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.norms = nn.ModuleList(nn.LayerNorm(d, eps=LAYER_NORM_EPSILON) for _ in range(config.attention_layers))
        # Attention over one token is its value projection.
        self.attentions = nn.ModuleList(
            nn.Linear(d, d) if self.summed else PlainAttention(d, config.heads) for _ in range(config.attention_layers)
        )

    def _sum(self, packed: Packed, tokens: Tensor) -> Tensor:
        """Sums of each row's live tokens, [tokens, d] -> [batch, d]."""
        if packed.live is not None:
            tokens = tokens * packed.live[:, None]
        return tokens.new_zeros(len(packed.rows), tokens.shape[1]).index_add(0, packed.row, tokens)

    def forward(self, packed: Packed, item_vectors: Tensor) -> Tensor:
        """[batch, d] of packed rows that come sorted by length."""
        items = F.embedding(packed.items, item_vectors)
        positions = F.embedding(packed.from_end, self.positions)
        if self.summed:
            z = self.item_norm(self._sum(packed, items)) + self.position_norm(self._sum(packed, positions))
            for norm, value in zip(self.norms, self.attentions, strict=True):
                z = F.leaky_relu(value(norm(z)), self.slope) + z
            return z
        if not len(packed.items):
            return items.new_zeros(len(packed.rows), items.shape[1])
        z = self.item_norm(items) + self.position_norm(positions)
        layout = rectangles(packed, masks=True)
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            y = norm(z)
            z = F.leaky_relu(attention(y, y, layout, causal=False), self.slope) + z
        return self._sum(packed, z)


@dataclass(frozen=True)
class Pairs:
    """Two interactions each of one user in one interval.

    Attributes:
        place: int64 [pairs], interval * batch + the user's place in the batch.
        nodes: int64 [2, pairs], the two items, as rows of intervals x (users, then items).
        live: bool [pairs], false for those that do not count; None when all do.
    """

    place: Tensor
    nodes: Tensor
    live: Tensor | None


class SelfGNN(CachedVectors):
    """Short-term vectors of each interval, long-term vectors over them, and the sequence's own."""

    needs_known_user = True
    needs_history = False

    def __init__(self, config: SelfGNNConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.max_length = resolved(config.max_length, "max_length")
        self.config = config
        d = config.dimension
        self.graph = IntervalGraph(data, config.intervals)
        edges = build_edges(data)
        self.edge_keys = edges.users * data.item_count + edges.items
        self.tables = nn.Parameter(torch.empty(config.intervals, self.graph.nodes, d))
        self.lstm = LSTM(d)
        self.dropout = Dropout(1 - config.keep_probability)
        self.user_level = IntervalLevel(d, config.heads)
        self.item_level = IntervalLevel(d, config.heads)
        self.instance = InstanceLevel(config)
        self.weight_in = nn.Linear(3 * d, config.augmentation_dimension)
        self.weight_out = nn.Linear(config.augmentation_dimension, 1)
        self._initialise()

    def _initialise(self) -> None:
        generator = self.randomness.generator("init/selfgnn")

        def fill(matrix: Tensor) -> None:
            bound = (6 / sum(matrix.shape)) ** 0.5
            matrix.copy_(torch.empty(matrix.shape).uniform_(-bound, bound, generator=generator))

        with torch.no_grad():
            for interval in self.tables:
                fill(interval[: self.data.user_count])
                fill(interval[self.data.user_count :])
            for name, parameter in self.named_parameters():
                if parameter.dim() == 2:
                    parts = 4 if name.startswith("lstm") else 2 if "key_value" in name else 1
                    for matrix in parameter.chunk(parts):
                        fill(matrix)
                elif name.endswith("bias"):
                    parameter.zero_()
            self.lstm.input.bias[self.config.dimension : 2 * self.config.dimension] = 1.0

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        weights = {"main": 1.0, "augmentation": c.augmentation_weight, "l2": c.l2}
        return (Phase(TRAIN, c.training.epochs, weights, ("sequences",), self.max_length),)

    def propagate(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q^g [intervals, items, d], rows int64 [n] of all p^g and q^g [n, d], and the sum of the tables' squares."""
        return leaky_layers(self.tables, rows, self.graph.active, self.config.layers, self.config.slope)

    def short_term(self) -> Tensor:
        """p^g and q^g: [intervals, users + items, d]."""
        everything = torch.arange(len(self.graph.active.place), device=self.tables.device)
        return self.propagate(everything)[1].view_as(self.tables)

    def long_term(self, short: Tensor, level: IntervalLevel) -> Tensor:
        """E of some users or items: [intervals, rows, d] -> [rows, d]."""
        return level(self.dropout(self.lstm(short)))

    def compute_vectors(self) -> tuple[Tensor, Tensor]:
        """Short-term vectors of everything, and e of all items [items, d]."""
        short = self.short_term()
        return short, self.long_term(short[:, self.data.user_count :], self.item_level)

    def states(self, packed: Packed, users: Tensor, item_vectors: Tensor) -> Tensor:
        """e_u + act(a_u) [batch, d], of users' vectors [batch, d] and histories."""
        return users + F.leaky_relu(self.instance(packed, item_vectors), self.config.slope)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        c, sequences = self.config, self.data.sequences
        packed = training_rows(sequences, batch.sequences, self.max_length, drop_newest=1)
        users = packed.rows
        places = self._places(users)
        wanted, pairs = places.view(-1), None
        if phase.wants("augmentation"):
            pairs = self._pairs(wanted, static=packed.live is not None)
            wanted = torch.cat([wanted, pairs.nodes.view(-1)])
        short_items, short, squares = self.propagate(wanted)
        short_users, short_pairs = short.split([places.numel(), len(wanted) - places.numel()])
        short_users = short_users.view(*places.shape, -1)
        item_vectors = self.long_term(short_items, self.item_level)
        user_vectors = self.long_term(short_users, self.user_level)
        states = self.states(packed, user_vectors, item_vectors)
        positives = sequences.values[sequences.offsets[users + 1] - 1]
        generator = self.randomness.generator("negatives/sequence")
        repeated = users[:, None].expand(-1, c.negatives).reshape(-1)
        negatives = draw_non_neighbours(repeated, self.edge_keys, self.data.item_count, generator)
        negatives = F.embedding(negatives.view(len(users), -1), item_vectors)
        right = (states * F.embedding(positives, item_vectors)).sum(1)
        terms = {"main": hinge(right, torch.bmm(negatives, states[:, :, None])[:, :, 0])}
        if pairs is not None:
            terms["augmentation"] = self._augmentation(pairs, short_users, short_pairs, user_vectors, item_vectors)
        if phase.wants("l2"):
            maps = (self.instance.positions, self.weight_in.weight, self.weight_out.weight)
            terms["l2"] = squares + sum(table.square().sum() for table in maps)
        return terms

    def _places(self, users: Tensor) -> Tensor:
        """The users' rows of the flattened tables in each interval, int64 [intervals, batch]."""
        return torch.arange(self.config.intervals, device=users.device)[:, None] * self.graph.nodes + users

    def _pairs(self, places: Tensor, *, static: bool) -> Pairs:
        """Fresh pairs of the users' places [intervals * batch]: up to `pairs`, and half the user's items, in each."""
        most, matrix, device = self.config.pairs, self.graph.matrix, places.device
        begin, end = matrix.offsets[places].long(), matrix.offsets[places + 1].long()
        degree = end - begin
        count = (degree // 2).clamp_max(most)
        everyone = torch.arange(len(places), device=device)
        if static:
            place = everyone[:, None].expand(-1, most).reshape(-1)
            live = (torch.arange(most, device=device) < count[:, None]).view(-1)
        else:
            place, live = torch.repeat_interleave(everyone, count), None
        chance = torch.rand(2, len(place), device=device, generator=self.randomness.generator("pairs"))
        drawn = (chance * degree[place]).long().minimum(degree[place] - 1).clamp_min(0)
        nodes = matrix.columns[(begin[place] + drawn).clamp_max(len(matrix.columns) - 1)].long()
        return Pairs(place, nodes, live)

    def _augmentation(
        self, pairs: Pairs, short_users: Tensor, short_pairs: Tensor, user_vectors: Tensor, item_vectors: Tensor
    ) -> Tensor:
        """L_sal over the pairs; short-term vectors of their items [2 * pairs, d]."""
        c, data, place = self.config, self.data, pairs.place
        items = (pairs.nodes % self.graph.nodes - data.user_count).clamp_min(0)  # below 0 only where none counts
        with torch.no_grad():
            owner = user_vectors[place % len(user_vectors)]
            first, second = (leaky_dot(owner, item_vectors[side], c.slope) for side in items)
        known = user_vectors.expand(c.intervals, -1, -1)
        inner = self.weight_in(torch.cat([known * short_users, known, short_users], dim=2))
        weight = torch.sigmoid(self.weight_out(F.leaky_relu(inner, c.slope))).view(-1)[place]
        own = F.embedding(place, short_users.flatten(0, 1))
        one, other = short_pairs.chunk(2)
        difference = leaky_dot(own, one, c.slope) - leaky_dot(own, other, c.slope)
        return pair_hinge(weight * (first - second), difference, pairs.live)

    def user_states(self, queries: QueryBatch) -> Tensor:
        histories, users = queries.histories, queries.users.clamp_min(0)
        short, item_vectors = self.vectors()
        states = item_vectors.new_zeros(len(histories), self.config.dimension)
        for block in query_blocks(histories, self.max_length, empty=True):
            known = self.long_term(short[:, users[block]], self.user_level)
            states[block] = self.states(pack(histories, block, self.max_length), known, item_vectors)
        return states

    def item_vectors(self) -> Tensor:
        return self.vectors()[1]
