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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import SelfGNNConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.data.graph import build_edges, draw_non_neighbours
from createrec.losses.self_augmented import hinge, leaky_dot, pair_hinge
from createrec.models.attention import Attention
from createrec.models.cached_vectors import CachedVectors
from createrec.models.phases import TRAIN, Phase
from createrec.models.sequence_encoder import query_blocks, training_rows
from createrec.ops.attention import Rectangle, rectangles
from createrec.ops.propagation import leaky_layers
from createrec.ops.ragged import Packed, pack
from createrec.ops.sparse import BinaryMatrix
from createrec.randomness import Randomness

LAYER_NORM_EPSILON = 1e-12
# Attention over at most so many intervals is written out on a CPU.
SHORT_ROW = 8


class IntervalGraph:
    """Who met what in each interval: a symmetric binary matrix over intervals x (users, then items).

    Attributes:
        matrix: [intervals * nodes] squared.
        nodes: users + items.
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


class LSTM(nn.Module):
    """One layer over [steps, rows, d], hidden size d; gates in the order input, forget, cell, output."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.input = nn.Linear(dimension, 4 * dimension)
        self.recurrent = nn.Linear(dimension, 4 * dimension, bias=False)

    def forward(self, x: Tensor) -> Tensor:
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

    def mix(self, query: Tensor, key_value: Tensor, layout: list[Rectangle], causal: bool) -> Tensor:
        """The same, by plain products where a CPU would spend its time on starting: many tiny rows, all of a length."""
        rows, steps = layout[0].shape if len(layout) == 1 and layout[0].index is None else (0, 0)
        if query.is_cuda or not 0 < steps <= SHORT_ROW or causal:
            return super().mix(query, key_value, layout, causal)
        q = query.view(rows, steps, self.heads, -1)
        k, v = key_value.view(rows, steps, 2, self.heads, -1).unbind(2)
        scores = (q[:, :, None] * k[:, None]).sum(-1) * q.shape[-1] ** -0.5
        return (scores.softmax(2)[..., None] * v[:, None]).sum(2).flatten(0, 1).flatten(1)


class IntervalLevel(nn.Module):
    """One side's way from the LSTM's outputs over the intervals to its vectors."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dimension))
        self.bias = nn.Parameter(torch.zeros(dimension))
        self.attention = PlainAttention(dimension, heads)

    def forward(self, outputs: Tensor) -> Tensor:
        """[intervals, rows, d] -> [rows, d]."""
        steps, rows, d = outputs.shape
        x = F.layer_norm(outputs.transpose(0, 1), (steps, d), eps=LAYER_NORM_EPSILON) * self.gain + self.bias
        everything = [Rectangle(slice(0, rows), slice(0, rows * steps), None, None, None, (rows, steps))]
        x = x.reshape(rows * steps, d)
        return self.attention(x, x, everything, causal=False).view(rows, steps, d).mean(1)


class InstanceLevel(nn.Module):
    """a_u of a packed history, in either of the two readings."""

    def __init__(self, config: SelfGNNConfig) -> None:
        super().__init__()
        d = config.dimension
        self.slope, self.summed = config.slope, config.instance_level == "summed"
        self.positions = nn.Parameter(torch.empty(config.max_length, d))
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


class SelfGNN(CachedVectors):
    """Short-term vectors of each interval, long-term vectors over them, and the sequence's own."""

    needs_known_user = True
    needs_history = False

    def __init__(self, config: SelfGNNConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        if config.max_length is None:
            raise ValueError("max_length is not resolved")
        self.config = config
        d = config.dimension
        self.graph = IntervalGraph(data, config.intervals)
        edges = build_edges(data)
        self.edge_keys = edges.users * data.item_count + edges.items
        self.tables = nn.Parameter(torch.empty(config.intervals, self.graph.nodes, d))
        self.lstm = LSTM(d)
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
        return (Phase(TRAIN, c.training.epochs, weights, ("sequences",), c.max_length),)

    def short_term(self) -> Tensor:
        """p^g and q^g: [intervals, users + items, d]."""
        total = leaky_layers(self.tables.flatten(0, 1), self.graph.matrix, self.config.layers, self.config.slope)
        return total.view_as(self.tables)

    def long_term(self, short: Tensor, level: IntervalLevel) -> Tensor:
        """E of some users or items: [intervals, rows, d] -> [rows, d]."""
        return level(F.dropout(self.lstm(short), 1 - self.config.keep_probability, self.training))

    def compute_vectors(self) -> tuple[Tensor, Tensor]:
        """Short-term vectors of everything, and e of all items [items, d]."""
        short = self.short_term()
        return short, self.long_term(short[:, self.data.user_count :], self.item_level)

    def states(self, packed: Packed, users: Tensor, item_vectors: Tensor) -> Tensor:
        """e_u + act(a_u) [batch, d], of users' vectors [batch, d] and histories."""
        return users + F.leaky_relu(self.instance(packed, item_vectors), self.config.slope)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        c, sequences = self.config, self.data.sequences
        packed = training_rows(sequences, batch.sequences, c.max_length, drop_newest=1)
        users = packed.rows
        short, item_vectors = self.vectors()
        short_users = short[:, users]
        user_vectors = self.long_term(short_users, self.user_level)
        states = self.states(packed, user_vectors, item_vectors)
        positives = sequences.values[sequences.offsets[users + 1] - 1]
        generator = self.randomness.generator("negatives/sequence")
        repeated = users[:, None].expand(-1, c.negatives).reshape(-1)
        negatives = draw_non_neighbours(repeated, self.edge_keys, self.data.item_count, generator)
        negatives = F.embedding(negatives.view(len(users), -1), item_vectors)
        right = (states * F.embedding(positives, item_vectors)).sum(1)
        terms = {"main": hinge(right, torch.bmm(negatives, states[:, :, None])[:, :, 0])}
        if phase.wants("augmentation"):
            static = packed.live is not None
            terms["augmentation"] = self._augmentation(users, short, short_users, user_vectors, item_vectors, static)
        if phase.wants("l2"):
            maps = (self.instance.positions, self.weight_in.weight, self.weight_out.weight)
            terms["l2"] = sum(table.square().sum() for table in (self.tables, *maps))
        return terms

    def _augmentation(
        self,
        users: Tensor,
        short: Tensor,
        short_users: Tensor,
        user_vectors: Tensor,
        item_vectors: Tensor,
        static: bool,
    ) -> Tensor:
        """L_sal over fresh pairs: up to `pairs`, and half the user's items, in each interval."""
        c, graph, matrix, data = self.config, self.graph, self.graph.matrix, self.data
        device, places = users.device, c.intervals * len(users)
        rows = (torch.arange(c.intervals, device=device)[:, None] * graph.nodes + users).view(-1)
        begin, degree = (
            matrix.offsets[rows].long(),
            matrix.offsets[rows + 1].long() - matrix.offsets[rows].long(),
        )
        count = (degree // 2).clamp_max(c.pairs)
        everyone = torch.arange(places, device=device)
        if static:
            place = everyone[:, None].expand(-1, c.pairs).reshape(-1)
            live = (torch.arange(c.pairs, device=device) < count[:, None]).view(-1)
        else:
            place, live = torch.repeat_interleave(everyone, count), None
        chance = torch.rand(2, len(place), device=device, generator=self.randomness.generator("pairs"))
        drawn = (chance * degree[place]).long().minimum(degree[place] - 1).clamp_min(0)
        nodes = matrix.columns[(begin[place] + drawn).clamp_max(len(matrix.columns) - 1)].long()
        items = (nodes % graph.nodes - data.user_count).clamp_min(0)  # below 0 only for pairs that do not count
        with torch.no_grad():
            owner = user_vectors[place % len(users)]
            first, second = (leaky_dot(owner, item_vectors[side], c.slope) for side in items)
        known = user_vectors.expand(c.intervals, -1, -1)
        inner = self.weight_in(torch.cat([known * short_users, known, short_users], dim=2))
        weight = torch.sigmoid(self.weight_out(F.leaky_relu(inner, c.slope))).view(-1)[place]
        own = F.embedding(place, short_users.reshape(places, -1))
        one, other = F.embedding(nodes, short.flatten(0, 1))
        difference = leaky_dot(own, one, c.slope) - leaky_dot(own, other, c.slope)
        return pair_hinge(weight * (first - second), difference, live)

    def user_states(self, queries: QueryBatch) -> Tensor:
        histories, users = queries.histories, queries.users.clamp_min(0)
        short, item_vectors = self.vectors()
        states = item_vectors.new_zeros(len(histories), self.config.dimension)
        for block in query_blocks(histories, self.config.max_length, empty=True):
            known = self.long_term(short[:, users[block]], self.user_level)
            states[block] = self.states(pack(histories, block, self.config.max_length), known, item_vectors)
        return states

    def item_vectors(self) -> Tensor:
        return self.vectors()[1]
