"""GSAU: graph-based sequential recommendation by alignment and uniformity (Table 3).

Reference: Cao et al., "Graph-Sequential Alignment and Uniformity", WWW 2025 Companion, arXiv 2412.04276. With
x^ = x / |x|, h the Transformer's state of a prefix, e the vector of its target, g LightGCN's vectors of an edge:

    align(X, Y)  = mean |x^_b - y^_b|^2
    unif(X)      = log mean_(a<b) exp(-2 |x^_a - x^_b|^2),   unif(X, Y) = log mean_b exp(-2 |x^_b - y^_b|^2)
    L = align(g_u, g_i) + L_SA + gamma [unif(g_u) + unif(g_i) + unif(h) + unif(e) + unif(h, e permuted)]
    L_SA = -log softmax_j(<h^, E_j>)[target]   (softmax: "GSAU (rec)", h normalised, E not, no temperature)
         = align(h, e)                         (distance)

The score is <h, E_i>: neither the graph nor the user table is used at inference. The two encoders meet in E alone.
CREATE's text says that GSAU uses binary cross-entropy; its authors' code has none.

Where this implementation differs: an epoch is one pass over the prefixes and one over the edges, spread over the
same steps (the authors restart the shorter loader); Transformer blocks and graph hops are two settings, where one
key of theirs feeds both; the permutation without fixed points is a random cycle, so that nothing is redrawn (each
target is as likely to meet any other state); dropout inside the feed-forward layer stands before its activation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import GSAUConfig, LightGCNEncoderConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.losses.alignment_uniformity import alignment, pair_uniformity, random_derangement, uniformity
from createrec.models.base import Recommender, normal_
from createrec.models.lightgcn import LightGCNEncoder
from createrec.models.phases import TRAIN, Phase
from createrec.models.transformer import BlockEncoder, PostNormBlock
from createrec.ops.cross_entropy import linear_cross_entropy
from createrec.ops.dropout import Dropout
from createrec.ops.ragged import Packed, Sequences, pack
from createrec.ops.unit_pairs import unit_rows
from createrec.randomness import Randomness

LAYER_NORM_EPSILON = 1e-12


def xavier_normal_(table: Tensor, generator: torch.Generator) -> Tensor:
    """Fills a matrix with N(0, 2 / (rows + columns)) drawn on the CPU."""
    return normal_(table, (2 / sum(table.shape)) ** 0.5, generator)


class GSAUEncoder(BlockEncoder):
    """A causal Transformer, normalised after each residual, with positions counted from the oldest item."""

    def __init__(self, config: GSAUConfig, item_count: int, randomness: Randomness) -> None:
        super().__init__(config, config.dimension, item_count, randomness)
        d = config.dimension
        self.positions = nn.Parameter(torch.empty(self.max_length, d))
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(d, config.heads, config.feedforward_factor * d, config.dropout, LAYER_NORM_EPSILON)
            for _ in range(config.blocks)
        )
        self.initialise()

    def initialise(self) -> None:
        """Xavier-normal for every matrix (keys and values are two of them), zero biases."""
        generator = self.randomness.generator("init/sequence")
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                for matrix in parameter.data.chunk(2) if "key_value" in name else [parameter.data]:
                    xavier_normal_(matrix, generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(self, packed: Packed, item_table: Tensor) -> Tensor:
        positions = F.embedding(packed.from_start, self.positions)
        return self.dropout(self.norm(F.embedding(packed.items, item_table) + positions))

    def query_tokens(self, histories: Sequences, rows: Tensor) -> Packed:
        return pack(histories, rows, self.max_length)


class GSAU(Recommender):
    """Both variants, by `sequence_alignment`."""

    def __init__(self, config: GSAUConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = nn.Parameter(torch.empty(data.item_count, config.dimension, device=data.device))
        xavier_normal_(self.item_table, randomness.generator("init/items"))
        self.sequence = GSAUEncoder(config, data.item_count, randomness)
        graph = LightGCNEncoderConfig(layers=config.layers, l2=0.0)
        self.graph = LightGCNEncoder(graph, config.dimension, data, randomness)
        xavier_normal_(self.graph.user_table, randomness.generator("init/graph"))
        self.edges = self.graph.edges

    def phases(self) -> tuple[Phase, ...]:
        weights = {"alignment": 1.0, "local": 1.0, "uniformity": self.config.uniformity_weight}
        epochs = self.config.training.epochs
        return (Phase(TRAIN, epochs, weights, ("prefixes", "edges"), self.sequence.max_length),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        """L_GA (`alignment`), L_SA (`local`) and the five uniformity terms together."""
        prefixes, edges = batch.prefixes, batch.edges
        vectors = self.graph.vectors(self.item_table, edges.users, edges.items)
        users, items = vectors.users, vectors.items
        states = self.sequence.newest_states(prefixes.prefixes, self.item_table)
        targets = F.embedding(prefixes.targets, self.item_table)
        terms = {"alignment": alignment(users, items)}
        if self.config.sequence_alignment == "softmax":
            terms["local"] = linear_cross_entropy(unit_rows(states), self.item_table, prefixes.targets)
        else:
            terms["local"] = alignment(states, targets)
        if phase.wants("uniformity"):
            others = targets[random_derangement(len(targets), self.randomness.generator("permutation"))]
            terms["uniformity"] = (
                uniformity(users)
                + uniformity(items)
                + uniformity(states)
                + uniformity(targets)
                + pair_uniformity(states, others)
            )
        return terms

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.sequence.user_states(queries.histories, self.item_table)

    def item_vectors(self) -> Tensor:
        return self.item_table
