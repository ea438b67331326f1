"""Made interactions: the demo's dataset, and datasets of any size for cost measurements.

The demo carries two signals by construction. *Sequential*: items stand in chains, and a user who took one tends to take
the next one of its chain. *Graph*: users belong to communities, each with a few tastes (clusters of items); a short
history shows only some of them, the histories of like-minded users show the rest.
"""

import numpy as np
import pyarrow as pa

from createrec.data.interactions import Interactions

LABEL = "synthetic"
"""What every result of made data says."""

_DAY = 86_400
_START = 1_577_836_800  # 2020-01-01


def demo_interactions(
    users: int = 3000,
    items: int = 800,
    communities: int = 12,
    clusters: int = 40,
    tastes: int = 4,
    mean_length: float = 14.0,
    chain_share: float = 0.45,
    taste_share: float = 0.45,
    years: float = 3.0,
    seed: int = 0,
) -> Interactions:
    """A small dataset with a sequential and a graph signal; no user takes an item twice.

    Args:
        users: number of users; each has at least 5 interactions.
        items: number of items, spread evenly over the clusters.
        communities: groups of users with the same tastes.
        clusters: groups of items; within one, the items stand in a ring that is walked as a chain.
        tastes: clusters that a community likes.
        mean_length: mean interactions of a user.
        chain_share: probability that the next item is the successor of the last one.
        taste_share: probability that it is drawn from the community's clusters, by popularity; the rest is drawn
            from the whole catalogue, by popularity.
        years: length of the log.
        seed: same seed, same interactions.

    Returns:
        Rows by user, in order of time; times in seconds. Users and items are those that appear.
    """
    random = np.random.default_rng(seed)
    community = random.integers(communities, size=users)
    liked = np.stack([random.permutation(clusters)[:tastes] for _ in range(communities)])  # [communities, tastes]
    cluster = np.arange(items) % clusters  # [items]
    popularity = (1.0 + random.permutation(items)) ** -0.8  # Zipf's law, a little flatter
    taste = np.stack([popularity * np.isin(cluster, row) for row in liked])[community]  # [users, items]
    popular = np.broadcast_to(popularity, taste.shape)

    length = np.minimum(5 + random.geometric(1.0 / (mean_length - 4.0), size=users) - 1, items // 4)
    taken = np.full((users, length.max()), -1)
    seen = np.zeros((users, items), dtype=bool)
    everyone = np.arange(users)
    for step in range(length.max()):
        kind = random.random(users)
        by_taste = (kind < chain_share + taste_share)[:, None]
        item = _draw(np.where(by_taste, taste, popular) * ~seen, random)
        if step:
            successor = (taken[:, step - 1] + clusters) % items  # the next item of the same cluster
            follows = (kind < chain_share) & ~seen[everyone, successor]
            item = np.where(follows, successor, item)
        taken[:, step] = item
        seen[everyone, item] = True

    kept = np.arange(length.max()) < length[:, None]
    time = _times(length, years * 365 * _DAY, random)
    return _named(np.repeat(everyone, length), taken[kept], time)


def shaped(users: int, items: int, interactions: int, seed: int = 0) -> Interactions:
    """A made dataset with exactly these counts, long-tailed in both directions; for measuring cost, not quality.

    Every user and every item appears. A user rarely has an item twice.

    Raises:
        ValueError: there are too few interactions for every user and item to appear, or more than pairs.
    """
    if interactions < max(users, items) or interactions > users * items:
        raise ValueError(f"{interactions} interactions cannot cover {users} users and {items} items once each")
    random = np.random.default_rng(seed)
    least = min(5, interactions // users)
    length = least + random.multinomial(interactions - least * users, _shares(random.lognormal(0.0, 1.2, size=users)))
    user = np.repeat(np.arange(users), length)

    popularity = _shares((1.0 + random.permutation(items)) ** -0.8)
    item = random.choice(items, size=interactions, p=popularity)
    fixed = random.choice(interactions, size=items, replace=False)
    item[fixed] = random.permutation(items)
    free = np.ones(interactions, dtype=bool)
    free[fixed] = False
    for _ in range(20):  # redraw what repeats; a few heavy users keep some repeats
        pairs = user * items + item
        order = np.lexsort((free, pairs))  # fixed rows first, so that the repeat is the free one
        repeated = order[1:][pairs[order][1:] == pairs[order][:-1]]
        repeated = repeated[free[repeated]]
        if not len(repeated):
            break
        item[repeated] = random.choice(items, size=len(repeated), p=popularity)
    return _named(user, item, _times(length, 3 * 365 * _DAY, random))


def _draw(weight: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One index a row of `weight` [rows, columns], with probability proportional to the weights; int64 [rows]."""
    total = np.cumsum(weight, axis=1)
    aim = random.random((len(weight), 1)) * total[:, -1:]
    return np.minimum((total <= aim).sum(axis=1), weight.shape[1] - 1)


def _times(length: np.ndarray, span: float, random: np.random.Generator) -> np.ndarray:
    """Ascending times for users [users] with so many interactions, int64 [sum of length], in seconds.

    A user is active for a stretch of the log, from days to all of it, that begins anywhere: so a cut by time leaves
    users on both sides of it, some with one side only.
    """
    stretch = span * random.beta(0.8, 1.2, size=len(length))
    start = random.random(len(length)) * (span - stretch)
    user = np.repeat(np.arange(len(length)), length)
    time = _START + start[user] + stretch[user] * random.random(len(user))
    return time[np.lexsort((time, user))].astype(np.int64)


def _shares(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum()


def _named(user: np.ndarray, item: np.ndarray, time: np.ndarray) -> Interactions:
    return Interactions.from_columns(pa.array(user), pa.array(item), time)
