"""InfoNCE between the states of events and the vectors of their users, as MRGSRec uses it (Table 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.ops.unit_pairs import log_sums_of_others, unit_rows


def user_contrastive(
    events: Tensor, users: Tensor, row: Tensor, counts: Tensor, live: Tensor | None, temperature: float = 1.0
) -> Tensor:
    """Symmetric InfoNCE over 2n views: each event's state, and its user's vector once an event.

    A view's positive is its partner, its negatives are the 2n - 2 others, other events of the same user included:

        log of the sum over the others of exp(cosine / tau), minus the positive's cosine / tau

    The n copies of user vectors are never made: a user's vector counts as often as the user has events.

    Args:
        events: [n, d], states of the events.
        users: [batch, d], vectors of the users.
        row: int64 [n], the user of each event.
        counts: int64 [batch], live events of each user.
        live: bool [n], false for events that do not count; None when all do.
        temperature: tau.

    Returns:
        The mean over the 2n views, a scalar; 0 where there is no live event.
    """
    if not len(events):
        return (events.sum() + users.sum()) * 0.0
    h, g = unit_rows(events), unit_rows(users)
    weights = h.new_ones(len(h)) if live is None else live.to(h.dtype)
    copies = torch.cat([weights, counts.to(h.dtype)])
    positives = (weights * (h * F.embedding(row, g)).sum(1)).sum() / temperature
    views = 2 * weights.sum().clamp_min(1)
    return (log_sums_of_others(torch.cat([h, g]), copies, 1 / temperature) - 2 * positives) / views
