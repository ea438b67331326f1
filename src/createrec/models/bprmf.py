"""BPR-MF: matrix factorisation with a pairwise loss (beyond the paper).

Reference: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.

    s_ui = <e_u, e_i>,  L = -mean over edges (u, i) of log sigmoid(s_ui - s_uj) + l2 (|e_u|^2 + |e_i|^2 + |e_j|^2) / 2

LightGCN without hops. Where this implementation differs: no item bias, Adam instead of plain SGD, and an epoch is one
pass over the shuffled edges with one sampled negative j each.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import BPRMFEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import draw_non_neighbours
from createrec.losses.bpr import batch_l2, bpr
from createrec.models.graph_encoder import GlobalLoss, GraphEncoder, GraphVectors
from createrec.randomness import Randomness


class BPRMFEncoder(GraphEncoder):
    """A user table beside the item table, and nothing between them."""

    def __init__(self, config: BPRMFEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(config, dimension, data, randomness)
        self.config = config
        self.edge_keys = self.edges.users * data.item_count + self.edges.items

    def vectors(self, item_table: Tensor, users: Tensor, items: Tensor) -> GraphVectors:
        return GraphVectors(F.embedding(users, self.user_table), F.embedding(items, item_table))

    def global_loss(self, edges: EdgeBatch, item_table: Tensor, aligned: Tensor) -> GlobalLoss:
        generator = self.randomness.generator("negatives/graph")
        negatives = draw_non_neighbours(edges.users, self.edge_keys, len(item_table), generator)
        vectors = self.vectors(item_table, torch.cat([edges.users, aligned]), torch.cat([edges.items, negatives]))
        own, aligned_vectors = vectors.users.split([len(edges.users), len(aligned)])
        positive, negative = vectors.items.chunk(2)
        loss = bpr(own, positive, negative)
        if self.config.l2:
            loss = loss + self.config.l2 * batch_l2(own, positive, negative)
        return GlobalLoss(loss, aligned_vectors)
