"""UltraGCN: the limit of infinitely many hops, as constraints on plain embeddings (paper, Section 3.4, Eq. 1).

Reference: Mao et al., "UltraGCN", CIKM 2021.

    beta_ui = sqrt(d_u + 1) / d_u * 1 / sqrt(d_i + 1)
    L = mean over edges (u, i) of   (w1 + w2 beta_ui) softplus(-s_ui)
                                  + negative_weight * mean_j (w3 + w4 beta_uj) softplus(s_uj)
                                  + item_weight * sum_k omega_ik softplus(-s_uk)   (k: co-occurrence neighbours of i)
                                  + l2 * (|e_u|^2 + |e_i|^2) / 2

Where this implementation differs: a mean over the batch's edges where the authors sum, so that w_global means
the same for every batch size; negatives shared by small groups of edges, which turns their scores into a batched
matrix product; L2 over the batch's rows where the authors add that of the whole tables. Sharing leaves the
expectation of the loss as it is, but not the progress: with few different negatives per step an item is drawn in few
steps, and the popularity plateau on which training begins gets longer, longest where the whole batch shares them.
"The paper's hard negatives" have no counterpart in UltraGCN: negatives are uniform.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import UltraGCNEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import cooccurrence_neighbours
from createrec.losses.bpr import batch_l2
from createrec.losses.ultragcn import neighbour_softplus, positive_softplus
from createrec.models.graph_encoder import GlobalLoss, GraphEncoder, GraphVectors
from createrec.ops.softplus import negative_softplus
from createrec.randomness import Randomness


class UltraGCNEncoder(GraphEncoder):
    """The graph encoder without propagation."""

    def __init__(
        self, config: UltraGCNEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness
    ) -> None:
        super().__init__(config, dimension, data, randomness, config.initial_std)
        self.config = config
        user_degree = torch.bincount(self.edges.users, minlength=data.user_count)
        item_degree = torch.bincount(self.edges.items, minlength=data.item_count)
        self.user_beta = (user_degree + 1).sqrt() / user_degree.clamp_min(1)
        self.item_beta = (item_degree + 1).rsqrt()
        if config.item_weight:
            self.neighbours, self.omega = cooccurrence_neighbours(
                self.edges, data.user_count, data.item_count, config.item_neighbours
            )

    def vectors(self, item_table: Tensor, users: Tensor, items: Tensor) -> GraphVectors:
        return GraphVectors(F.embedding(users, self.user_table), F.embedding(items, item_table))

    def global_loss(self, edges: EdgeBatch, item_table: Tensor, aligned: Tensor) -> GlobalLoss:
        c = self.config
        vectors = self.vectors(item_table, torch.cat([edges.users, aligned]), edges.items)
        users, items = vectors.users[: len(edges.users)], vectors.items
        user_beta = self.user_beta[edges.users]
        positive = c.positive_base_weight + c.positive_degree_weight * user_beta * self.item_beta[edges.items]
        loss = positive_softplus(users, items, positive)
        loss = loss + (c.negative_weight / c.negatives) * self.negative_loss(users, user_beta, item_table)
        if c.item_weight:
            near = F.embedding(self.neighbours[edges.items], item_table)
            loss = loss + c.item_weight * neighbour_softplus(users, near, self.omega[edges.items])
        loss = loss / len(users)
        if c.l2:
            loss = loss + c.l2 * batch_l2(users, items)
        return GlobalLoss(loss, vectors.users[len(users) :])

    def negative_loss(self, users: Tensor, user_beta: Tensor, item_table: Tensor) -> Tensor:
        """Weighted sum over the batch's users [edges, d] and uniform negatives that each group of them shares."""
        c = self.config
        size = min(c.negatives_shared_by or len(users), len(users))
        generator = self.randomness.generator("negatives/graph")
        shape = (-(-len(users) // size), c.negatives)
        drawn = torch.randint(len(item_table), shape, device=item_table.device, generator=generator)
        whole = len(users) // size * size
        loss = users.new_zeros(())
        # The last group may be a smaller one.
        for edges, groups in (
            (slice(0, whole), slice(0, whole // size)),
            (slice(whole, None), slice(whole // size, None)),
        ):
            own = drawn[groups]
            if len(own):
                loss = loss + negative_softplus(
                    users[edges].view(len(own), -1, users.shape[1]),
                    F.embedding(own, item_table),
                    user_beta[edges].view(len(own), -1),
                    self.item_beta[own],
                    c.negative_base_weight,
                    c.negative_degree_weight,
                )
        return loss
