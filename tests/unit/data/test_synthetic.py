"""Made data: the demo's two signals are there, and made shapes have the counts that were asked for."""

from collections import Counter

import numpy as np
import pytest

from createrec.data.prepare import dataset_hash
from createrec.data.synthetic import demo_interactions, shaped


@pytest.fixture(scope="module")
def demo():
    return demo_interactions()


def sequences(interactions):
    """Items of each user in order of time."""
    order = np.lexsort((interactions.time, interactions.user))
    ends = np.cumsum(np.bincount(interactions.user))[:-1]
    return np.split(interactions.item[order], ends)


def hit_rate(scores, known, targets, k=10):
    """Share of users [users] whose target is among the best k of scores [users, items] that they do not know."""
    scores = np.where(known, -np.inf, scores)
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    return (best == targets[:, None]).any(axis=1).mean()


def test_order_and_neighbours_both_tell_more_than_popularity(demo):
    histories = [items[:-1] for items in sequences(demo)]
    targets = np.array([items[-1] for items in sequences(demo)])
    known = np.zeros((demo.users, demo.items))
    follows = np.zeros((demo.items, demo.items))
    for user, items in enumerate(histories):
        known[user, items] = 1
        np.add.at(follows, (items[:-1], items[1:]), 1)
    count = known.sum(axis=0)
    together = known.T @ known / np.sqrt(np.outer(count + 1, count + 1))
    np.fill_diagonal(together, 0)
    last = np.array([items[-1] for items in histories])

    popularity = hit_rate(np.broadcast_to(count, known.shape), known, targets)
    order = hit_rate(follows[last], known, targets)
    graph = hit_rate(known @ together, known, targets)
    assert order > 3 * popularity
    assert graph > 3 * popularity

    # The graph's signal is no mere echo of the chains: it stays when every frequent successor is ruled out.
    chained = follows[last] >= 8
    unchained = ~chained[np.arange(demo.users), targets]
    rest = hit_rate((known @ together)[unchained], (known + chained)[unchained] > 0, targets[unchained])
    by_popularity = hit_rate(
        np.broadcast_to(count, known.shape)[unchained], (known + chained)[unchained] > 0, targets[unchained]
    )
    assert rest > 1.5 * by_popularity


def test_demo_has_the_shape_of_a_log(demo):
    assert demo.users == 3000
    assert 780 <= demo.items <= 800
    lengths = np.bincount(demo.user)
    assert lengths.min() >= 5
    pairs = Counter(zip(demo.user.tolist(), demo.item.tolist(), strict=True))
    assert max(pairs.values()) == 1
    count = np.sort(np.bincount(demo.item))[::-1]
    assert count[: demo.items // 10].sum() > 0.3 * len(demo)  # skewed


def test_a_cut_in_time_leaves_warm_test_users_and_cold_ones(demo):
    cut = np.quantile(demo.time, 0.8)
    before = np.bincount(demo.user, demo.time <= cut)
    after = np.bincount(demo.user, demo.time > cut)
    assert ((before >= 2) & (after >= 1)).sum() > 0.25 * demo.users
    assert ((before == 0) & (after >= 1)).sum() > 0


def test_same_seed_same_data():
    small = {"users": 100, "items": 80}
    hashes = [dataset_hash(demo_interactions(**small, seed=seed)) for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]
    hashes = [dataset_hash(shaped(50, 40, 400, seed=seed)) for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("counts", [(4905, 2420, 53258), (8283, 181304, 881456), (3, 2, 6), (5, 9, 9), (1, 1, 1)])
def test_shaped_has_exactly_the_counts_and_long_tails(counts):
    made = shaped(*counts)
    assert (made.users, made.items, len(made)) == counts
    assert (np.diff(made.time)[np.diff(made.user) == 0] >= 0).all()
    if counts[0] > 1000:
        lengths, popularity = np.bincount(made.user), np.bincount(made.item)
        assert lengths.max() > 10 * np.median(lengths)
        assert popularity.max() > 10 * np.median(popularity)
        repeats = len(made) - len(np.unique(made.user * made.items + made.item))
        assert repeats < 0.001 * len(made)


@pytest.mark.parametrize("counts", [(5, 2, 4), (2, 5, 4), (2, 2, 5)])
def test_impossible_shapes_are_refused(counts):
    with pytest.raises(ValueError, match="cannot cover"):
        shaped(*counts)
