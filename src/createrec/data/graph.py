"""The bipartite user-item graph (paper, Section 3.4), built from the last interactions of each user (Section 5.1)."""

import itertools

import numpy as np
import torch
from torch import Tensor

from createrec.data.batch import EdgeBatch, TrainingData
from createrec.ops.sparse import SparseMatrix

# Entries of the item-item graph that are held at once.
GRAM_ENTRIES = 8_000_000


def build_edges(data: TrainingData, graph_last: int | None = None, graph_percent: int | None = None) -> EdgeBatch:
    """Distinct (user, item) pairs among the last N, or the last n percent, of each user's training interactions.

    A percentage is rounded up, so that every user with an interaction keeps an edge.
    """
    lengths = data.sequences.lengths
    users = data.row_users()
    kept = lengths
    if graph_last is not None:
        kept = lengths.clamp_max(graph_last)
    if graph_percent is not None:
        kept = (lengths * graph_percent + 99) // 100
    position = torch.arange(len(users), device=data.device) - data.sequences.offsets[users]
    recent = position >= (lengths - kept)[users]
    keys = torch.unique(users[recent] * data.item_count + data.sequences.values[recent])
    return EdgeBatch(keys // data.item_count, keys % data.item_count)


def bipartite_adjacency(edges: EdgeBatch, user_count: int, item_count: int) -> SparseMatrix:
    """D^-1/2 A D^-1/2 over users and then items, [users + items] squared; isolated nodes have empty rows."""
    nodes = user_count + item_count
    items = edges.items + user_count
    row, column = torch.cat([edges.users, items]), torch.cat([items, edges.users])
    order = torch.argsort(row * nodes + column)
    row, column = row[order], column[order]
    degree = torch.bincount(row, minlength=nodes)
    scale = degree.clamp_min(1).to(torch.float64).rsqrt()
    offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
    return SparseMatrix(offsets.int(), column.int(), (scale[row] * scale[column]).float())


def bipartite_sides(adjacency: SparseMatrix, user_count: int) -> tuple[SparseMatrix, SparseMatrix]:
    """The two blocks of a bipartite adjacency that are not empty: [users, items], and [items, users]."""
    edges = len(adjacency.columns) // 2
    user_side = adjacency.offsets[: user_count + 1], adjacency.columns[:edges] - user_count, adjacency.values[:edges]
    item_side = adjacency.offsets[user_count:] - edges, adjacency.columns[edges:], adjacency.values[edges:]
    return SparseMatrix(*user_side), SparseMatrix(*item_side)


def cooccurrence_neighbours(edges: EdgeBatch, user_count: int, item_count: int, count: int) -> tuple[Tensor, Tensor]:
    """UltraGCN's item-item graph: the `count` heaviest neighbours of each item and their weights.

    With G = A^T A (users that two items share, the diagonal kept as in the authors' code) and g its row sums:
    omega_ij = (sqrt(g_i + 1) / g_i) (1 / sqrt(g_j + 1)) G_ij. Ties go to the lower index; missing neighbours
    have weight 0 and index 0.

    Returns:
        Neighbours int64 [items, count] and weights float32 [items, count].
    """
    from scipy import sparse  # takes as long to load as all of this package, and UltraGCN alone wants it

    device = edges.items.device
    user, item = edges.users.cpu().numpy(), edges.items.cpu().numpy()
    matrix = sparse.csr_matrix((np.ones(len(user)), (user, item)), shape=(user_count, item_count))
    transposed = matrix.T.tocsr()
    totals = transposed @ (matrix @ np.ones(item_count))
    left = np.sqrt(totals + 1) / np.maximum(totals, 1)
    neighbours = np.zeros((item_count, count), dtype=np.int64)
    omega = np.zeros((item_count, count), dtype=np.float32)
    # A row of G has at most g_i entries: rows are made in blocks that stay small, where all of G may not fit.
    block = (totals.cumsum() // GRAM_ENTRIES).astype(np.int64)
    for first, last in itertools.pairwise([*np.flatnonzero(np.diff(block, prepend=-1)), item_count]):
        gram = transposed[first:last] @ matrix
        rows = np.repeat(np.arange(last - first), np.diff(gram.indptr))
        weights = gram.data * left[first:last][rows] / np.sqrt(totals + 1)[gram.indices]
        order = np.lexsort((gram.indices, -weights, rows))
        place = np.arange(len(rows)) - gram.indptr[rows]
        kept = place < count
        neighbours[first + rows[kept], place[kept]] = gram.indices[order][kept]
        omega[first + rows[kept], place[kept]] = weights[order][kept]
    return torch.from_numpy(neighbours).to(device), torch.from_numpy(omega).to(device)


def draw_non_neighbours(users: Tensor, edge_keys: Tensor, item_count: int, generator: torch.Generator) -> Tensor:
    """One uniform item a user that is not among the user's edges, int64 [batch].

    A few candidates are drawn at once and the first that is no edge is taken; when all of them are (for a user with
    half the catalogue, once in 2^8 draws) the last stands. A CPU looks later candidates up for those alone whose
    earlier ones were edges; elsewhere shapes are static, so that a step can be captured.
    """
    tries = 8
    candidates = torch.randint(item_count, (tries, len(users)), device=users.device, generator=generator)

    def is_edge(whose: Tensor, items: Tensor) -> Tensor:
        keys = whose * item_count + items
        return edge_keys[torch.searchsorted(edge_keys, keys).clamp_max(len(edge_keys) - 1)] == keys

    if users.device.type != "cpu":
        free = ~is_edge(users, candidates)
        free[-1] = True
        return candidates.gather(0, free.to(torch.uint8).argmax(0, keepdim=True))[0]
    drawn = candidates[0]
    refused = is_edge(users, drawn).nonzero()[:, 0]
    for more in candidates[1:]:
        if not len(refused):
            break
        drawn[refused] = more[refused]
        refused = refused[is_edge(users[refused], drawn[refused])]
    return drawn
