"""CREATE: a sequence encoder and a graph encoder over one item table, aligned (paper, Sections 3.2-3.6).

    warm-up:  L = L_global                                      for N_warmup epochs
    joint:    L = L_local + w_global L_global + w_BT L_BT       (Eq. 5)

Reference: Gimranov et al., "Cross-Representation Knowledge Transfer for Improved Sequential Recommendations",
arXiv 2602.23471. What the text leaves open is settled in docs/protocol.md: every term is a mean (over targets,
over edges, over dimensions), so that a weight means the same on every dataset; in the joint phase an epoch
is one pass over the users and one over the edges; h_u is the state of the user's training input; Adam runs on
from the warm-up. Inference uses the sequence encoder and the item table alone: no user table, no folding-in.
"""

from torch import Tensor

from createrec.config import CreateConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.kinds import implementation
from createrec.models.base import Recommender, make_item_table
from createrec.models.phases import JOINT, WARMUP, Phase, StreamName
from createrec.models.sequence_encoder import INITIAL_STD
from createrec.randomness import Randomness


class Create(Recommender):
    """Any sequence encoder with any graph encoder under any alignment."""

    def __init__(self, config: CreateConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = make_item_table(data, config.dimension, INITIAL_STD, randomness)
        sequence_encoder, graph_encoder = implementation(config.sequence), implementation(config.graph)
        self.sequence = sequence_encoder(config.sequence, config.dimension, data.item_count, randomness)
        self.graph = graph_encoder(config.graph, config.dimension, data, randomness)
        self.edges = self.graph.edges

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        weights = {"local": 1.0, "global": c.global_weight, c.alignment.kind: c.alignment.term_weight}
        streams: tuple[StreamName, ...] = ("sequences", "edges") if c.global_weight else ("sequences",)
        return (
            Phase(WARMUP, c.warmup_epochs, {"global": 1.0}, ("edges",)),
            Phase(JOINT, c.training.epochs, weights, streams, self.sequence.max_length),
        )

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        alignment = self.config.alignment
        aligned = phase.wants(alignment.kind)
        if phase.wants("local"):
            local = self.sequence.local_loss(self.data.sequences, batch.sequences, self.item_table, aligned)
            terms["local"] = local.loss
        users = local.users if aligned else self.edges.users[:0]
        if phase.wants("global"):
            graph = self.graph.global_loss(batch.edges, self.item_table, users)
            terms["global"], vectors = graph.loss, graph.aligned
        elif aligned:
            vectors = self.graph.vectors(self.item_table, users, self.edges.items[:0]).users
        if aligned:
            terms[alignment.kind] = implementation(alignment)(local.states, vectors, alignment)
        return terms

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.sequence.user_states(queries.histories, self.item_table)

    def item_vectors(self) -> Tensor:
        return self.item_table
