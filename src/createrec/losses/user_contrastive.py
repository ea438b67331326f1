"""InfoNCE between the states of events and the vectors of their users, as MRGSRec uses it (Table 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def user_contrastive(
    events: Tensor, users: Tensor, row: Tensor, counts: Tensor, live: Tensor | None, temperature: float = 1.0
) -> Tensor:
    """Symmetric InfoNCE over 2n views: each event's state, and its user's vector once an event.

    A view's positive is its partner, its negatives are the 2n - 2 others, other events of the same user included.
    The n copies of user vectors are never made: a user's column counts as often as the user has events.

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
    h, g = F.normalize(events, dim=1), F.normalize(users, dim=1)
    log_count = counts.log()  # -inf for a user without events, who is nobody's negative
    among_events = (h @ h.T / temperature).fill_diagonal_(-torch.inf)
    if live is not None:
        among_events = among_events.masked_fill(~live[None, :], -torch.inf)
    across = h @ g.T / temperature
    event_sums = torch.logsumexp(torch.cat([among_events, across + log_count], dim=1), dim=1)
    # A user's own column among the users: one copy less, the view itself.
    copies = log_count.expand(len(users), -1).clone()
    copies.diagonal().copy_((counts - 1).clamp_min(0).log())
    to_events = across.T if live is None else across.T.masked_fill(~live[None, :], -torch.inf)
    user_sums = torch.logsumexp(torch.cat([to_events, g @ g.T / temperature + copies], dim=1), dim=1)
    positive = across.gather(1, row[:, None])[:, 0]
    losses = event_sums + user_sums[row] - 2 * positive
    if live is None:
        return losses.mean() / 2
    return (losses * live).sum() / (2 * live.sum().clamp_min(1))
