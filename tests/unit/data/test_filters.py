"""Filters before the split: what stays, what each one took, and cores as their definition says."""

import numpy as np
import pytest

from createrec.config import FileConfig, FiltersConfig, read_yaml, validate
from createrec.data.filters import apply, core, first_rows
from createrec.data.interactions import Interactions
from createrec.data.prepare import prepare
from createrec.data.registry import Counts
from createrec.errors import ConfigError, DataError
from createrec.readers.columns import Reading


def table(user, item, time=None):
    names = [
        np.array([f"{role}{n}" for n in range(max(index) + 1)], dtype=object)
        for role, index in (("u", user), ("i", item))
    ]
    columns = (np.array(column, dtype=np.int64) for column in (user, item, time or range(len(user))))
    return Interactions(*columns, *names)


def left(filtered):
    found = filtered.interactions
    return list(zip(found.user_ids[found.user], found.item_ids[found.item], found.time.tolist(), strict=True))


def core_by_hand(pairs, users, items):
    """Takes away one user or item that has too few rows, until there is none."""
    rows = list(pairs)
    while True:
        for place, limit in ((0, users), (1, items)):
            counts = {}
            for row in rows:
                counts[row[place]] = counts.get(row[place], 0) + 1
            few = [name for name, count in counts.items() if limit is not None and count < limit]
            if few:
                rows = [row for row in rows if row[place] != few[0]]
                break
        else:
            return rows


@pytest.mark.parametrize("limits", [(3, 3), (2, 4), (4, None), (None, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_a_core_is_what_is_left_whatever_the_order_of_taking(seed, limits):
    generator = np.random.default_rng(seed)
    user, item = generator.integers(0, 12, 50), generator.integers(0, 10, 50)
    kept = core(user, item, *limits)
    assert list(zip(user[kept], item[kept], strict=True)) == core_by_hand(zip(user, item, strict=True), *limits)


def test_a_core_is_iterated():
    # i1 leaves for its single row, then u1 has one row too few, then i0 has.
    found = table([0, 0, 0, 1, 1], [0, 2, 2, 0, 1])
    filtered = apply(Reading(found), FiltersConfig(user_core=2, item_core=2))
    assert left(filtered) == [("u0", "i2", 1), ("u0", "i2", 2)]
    assert filtered.steps == ({"filter": "user_core and item_core", "value": [2, 2], "rows": 3},)
    assert (filtered.interactions.users, filtered.interactions.items) == (1, 1)


def test_each_core_alone():
    found = table([0, 0, 0, 1, 1], [0, 2, 2, 0, 1])
    assert apply(Reading(found), FiltersConfig(user_core=3)).steps[0] == {"filter": "user_core", "value": 3, "rows": 2}
    assert apply(Reading(found), FiltersConfig(item_core=2)).steps[0] == {"filter": "item_core", "value": 2, "rows": 1}


def test_first_of_repeats_is_the_earliest_and_of_equal_times_the_first_in_the_file():
    found = table([0, 0, 0, 0, 1], [0, 0, 1, 1, 0], [5, 3, 7, 7, 1])
    assert first_rows(found).tolist() == [False, True, True, False, True]


def test_filters_apply_in_order_and_count():
    found = table([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [1_500_000_000 + n * 86_400 for n in range(6)])
    reading = Reading(found, np.array([5.0, 1, 4, 4, 4, 4]), np.array([0, 0, 0, 0, 1, 0]), ("buy", "view"), rows=6)
    filters = FiltersConfig(events=("buy",), minimum_rating=4, since="2017-07-15", before="2017-07-19T02:40:00")
    filtered = apply(reading, filters)
    assert left(filtered) == [("u1", "i0", 1_500_172_800), ("u1", "i1", 1_500_259_200)]
    assert [(step["filter"], step["rows"]) for step in filtered.steps] == [
        ("events", 1),
        ("minimum_rating", 1),
        ("since", 1),
        ("before", 1),
    ]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6])
def test_dates_count_in_the_unit_of_the_times(scale):
    found = table([0, 1], [0, 0], [1_500_000_000 * scale, 1_600_000_000 * scale])
    assert left(apply(Reading(found), FiltersConfig(since="2020-01-01"))) == [("u1", "i0", 1_600_000_000 * scale)]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"events": ("sale",)}, "filters.events: no row is sale; the file has buy"),
        ({"minimum_rating": 6}, "filters.minimum_rating: 6.0 leaves no row of 2; ratings lie between 1 and 5"),
        (
            {"since": "2030-01-01"},
            "filters.since: 2030-01-01 leaves no row of 2; times lie between 2017-07-14 02:40:00",
        ),
        ({"since": "2020-13-01"}, "filters.since: 2020-13-01 is no date"),
        ({"user_core": 2}, "filters.user_core: 2 leaves no row"),
    ],
)
def test_a_filter_that_leaves_nothing(filters, message):
    found = table([0, 1], [0, 1], [1_500_000_000] * 2)
    with pytest.raises(DataError, match=message):
        apply(Reading(found, np.array([1.0, 5.0]), np.array([0, 0]), ("buy",)), FiltersConfig(**filters))


def test_settings(tmp_path):
    (tmp_path / "overlay.yaml").write_text("since: 2020-01-31\nbefore: 2021-01-31T12:00:00Z\n")
    written = read_yaml(tmp_path / "overlay.yaml")  # dates without quotes stay text
    assert FiltersConfig(**written).model_dump(exclude_defaults=True) == {
        "since": "2020-01-31",
        "before": "2021-01-31T12:00:00Z",
    }
    assert not FiltersConfig().active
    for wrong in ({"since": "yesterday"}, {"user_core": 0}, {"events": ()}, {"k_core": 5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            validate(wrong, "filters", FiltersConfig)


def test_a_filtered_paper_dataset_says_so_and_is_counted_before(tmp_path):
    from createrec.data.download import Fetched

    path = tmp_path / "t.csv"
    path.write_text("user,item,time\na,x,1500000000\na,y,1500000001\nb,x,1500000002\n")
    made = prepare(
        "paper",
        path,
        tmp_path / "out",
        file=FileConfig(),
        filters=FiltersConfig(user_core=2),
        fetched=Fetched(path, "0" * 64, "official", ""),
        expected=Counts(2, 2, 3),
    )
    assert made["label"] == "filtered (user_core 2)"
    assert (made["users"], made["interactions"]) == (1, 2)
    assert made["filters"] == [{"filter": "user_core", "value": 2, "rows": 1}]
