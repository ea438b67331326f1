"""Splitting by time (paper, Section 4.2) and by leaving one out (Table 3), and the queries a split asks.

Rows are sorted by (user, time, original row number): whole-day timestamps make ties common, and ties keep the
file's order. After that every fold is a prefix of each user's rows, so a split is the sorted rows and two
lengths a user. One split serves every evaluation switch: the switches choose queries, never training rows.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as serialized

from createrec.config import EvaluationConfig, LeaveOneOutSetup, TemporalSetup
from createrec.errors import DataError
from createrec.files import atomic_path, with_sorted_header

if TYPE_CHECKING:  # it loads pyarrow, which nobody needs who has a split
    from createrec.data.interactions import Interactions

# The random targets of `target: random` are drawn per user, the same for every model.
TARGET_SEED = 17
# Of the validation users that are drawn where the setup does not want all.
VALIDATION_SEED = 17
# Settings of a setup that a split carries with it.
SWITCHES = ("retrain", "new_users", "validation_users")
FEW_TEST_USERS = 300
"""With fewer, one more hit moves Recall by a third of a point and more."""


@dataclass(frozen=True)
class Queries:
    """One question a user: after this history, at which rank does the target stand?

    Attributes:
        user: int64 [queries], ascending in a fold.
        target: int64 [queries], item index.
        history: int64 [sum of lengths], item indices, oldest first, one query after the other.
        offsets: int64 [queries + 1] into `history`.
    """

    user: np.ndarray
    target: np.ndarray
    history: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def target_is_seen(self) -> np.ndarray:
        """Mask [queries]: the target occurs in its own history."""
        query = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        seen = np.zeros(len(self), dtype=bool)
        seen[query[self.history == self.target[query]]] = True
        return seen


@dataclass(frozen=True)
class Split:
    """Every user's rows in order, and how many of them each fold may learn from.

    Attributes:
        items: int64 [n], item indices sorted by (user, time, original row).
        times: int64 [n].
        offsets: int64 [users + 1] into `items`.
        item_count: size of the catalogue, items unseen in training included.
        train_length: int64 [users], leading rows to learn from when validating; 0 = not a training user.
        train_validation_length: int64 [users], the same for the final model.
        test_cut, validation_cut: last training timestamp of the two folds; None for leave-one-out.
        retrain: whether the tested model learns from the validation rows, too.
        new_users: whether users without training rows are asked about, too.
        validation_users: how many of the validation users are asked about, drawn once; None = all.
    """

    items: np.ndarray
    times: np.ndarray
    offsets: np.ndarray
    item_count: int
    train_length: np.ndarray
    train_validation_length: np.ndarray
    test_cut: float | None
    validation_cut: float | None
    retrain: bool = True
    new_users: bool = False
    validation_users: int | None = None

    @property
    def users(self) -> int:
        return len(self.offsets) - 1

    @property
    def switches(self) -> dict[str, Any]:
        """What the setup decides beside the two lengths, as plain values."""
        return {name: getattr(self, name) for name in SWITCHES}

    @cached_property
    def row_user(self) -> np.ndarray:
        """User of each row, int64 [n]."""
        return np.repeat(np.arange(self.users), np.diff(self.offsets))

    @cached_property
    def position(self) -> np.ndarray:
        """Place of each row in its user's order, int64 [n]."""
        return np.arange(len(self.items)) - self.offsets[self.row_user]

    def lengths(self, fold: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from, and rows known in all, of each user in a fold: int64 [users] each."""
        if fold == "validation":
            return self.train_length, self.train_validation_length
        retrained = self.retrain and fold != "unretrained"
        return self.train_validation_length if retrained else self.train_length, np.diff(self.offsets)

    def training_rows(self, fold: str) -> np.ndarray:
        """Mask [n] of the rows that a fold may learn from."""
        return self.position < self.lengths(fold)[0][self.row_user]

    def queries(self, fold: str, evaluation: EvaluationConfig, draw: int = 0) -> Queries:
        """The fold's queries: one target for each user with rows after the cut, if they were in training.

        The history is everything before the target, rows after the cut included (facts: docs/protocol.md).

        Args:
            draw: which of the draws of random targets, from 0.
        """
        before = self.train_length if fold == "validation" else self.train_validation_length
        known = self.lengths(fold)[1]
        user, position = self.row_user, self.position
        asked = before > 0
        if self.new_users:
            cut = self.validation_cut if fold == "validation" else self.test_cut
            before = np.bincount(user[self.times <= cut], minlength=self.users)
            asked = np.ones(self.users, dtype=bool)
        usable = np.ones(len(self.items), dtype=bool)
        if evaluation.drop_cold_items:
            warm = np.zeros(self.item_count, dtype=bool)
            warm[self.items[self.training_rows(fold)]] = True
            usable = warm[self.items]
        first_place = np.maximum(before, 1) if evaluation.without_history == "next" else before
        candidates = np.flatnonzero(usable & asked[user] & (position >= first_place[user]) & (position < known[user]))
        query_user, first, count = np.unique(user[candidates], return_index=True, return_counts=True)
        if evaluation.target == "first":
            chosen = first
        elif evaluation.target == "last":
            chosen = first + count - 1
        else:
            drawn = np.random.default_rng(TARGET_SEED).random((draw + 1, self.users))[draw, query_user]
            chosen = first + (drawn * count).astype(np.int64)
        target_row = candidates[chosen]
        target_position = np.zeros(self.users, dtype=np.int64)
        target_position[query_user] = position[target_row]
        in_history = usable & (position < target_position[user])
        if evaluation.history_strict:
            target_time = np.full(self.users, np.iinfo(np.int64).min)
            target_time[query_user] = self.times[target_row]
            in_history &= self.times < target_time[user]
        lengths = np.bincount(user[in_history], minlength=self.users)[query_user]
        kept = lengths > 0 if evaluation.without_history == "skip" else np.ones(len(query_user), dtype=bool)
        if fold == "validation" and self.validation_users is not None and kept.sum() > self.validation_users:
            generator = np.random.default_rng(VALIDATION_SEED)
            drawn = generator.choice(np.flatnonzero(kept), self.validation_users, replace=False)
            kept = np.isin(np.arange(len(kept)), drawn)
        return Queries(
            user=query_user[kept],
            target=self.items[target_row[kept]],
            history=self.items[in_history][np.repeat(kept, lengths)],
            offsets=np.concatenate([[0], np.cumsum(lengths[kept])]),
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that training and evaluation read."""
        digest = hashlib.sha256(f"{self.item_count}".encode())
        for part in (self.items, self.times, self.offsets, self.train_length, self.train_validation_length):
            digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
        if self.switches != {"retrain": True, "new_users": False, "validation_users": None}:
            # Only then, so that a split without them keeps the hash that its records name.
            digest.update(json.dumps(self.switches).encode())
        return digest.hexdigest()

    def save(self, path: Path | str) -> None:
        arrays = {
            "items": self.items.astype(np.int32),
            "times": self.times,
            "offsets": self.offsets,
            "train_length": self.train_length,
            "train_validation_length": self.train_validation_length,
        }
        metadata = {
            "item_count": str(self.item_count),
            "cuts": f"{self.test_cut} {self.validation_cut}",
            "switches": json.dumps(self.switches),
        }
        with atomic_path(path) as temporary:
            temporary.write_bytes(with_sorted_header(serialized(arrays, metadata)))

    @classmethod
    def load(cls, path: Path | str) -> "Split":
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing, damaged or of another kind.
        """
        from safetensors import safe_open

        try:
            arrays: dict[str, Any] = load_file(path)
            with safe_open(path, "np") as file:
                metadata = file.metadata()
            cuts = [None if cut == "None" else float(cut) for cut in metadata["cuts"].split()]
            arrays["items"] = arrays["items"].astype(np.int64)
            switches = json.loads(metadata.get("switches", "{}"))  # absent in splits of older versions
            return cls(
                **arrays, item_count=int(metadata["item_count"]), test_cut=cuts[0], validation_cut=cuts[1], **switches
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a split ({error}); delete it and run `createrec split` again") from None


def _cut(
    row_user: np.ndarray, times: np.ndarray, usable: np.ndarray, quantile: float, minimum: int
) -> tuple[np.ndarray, float]:
    """One temporal cut inside the `usable` rows: learnt rows a user, and the cut itself.

    Users with fewer than `minimum` usable rows are dropped first; the quantile is over what is left; a user
    belongs to training if their second interaction is at or before the cut.
    """
    users = row_user[-1] + 1
    rows = np.bincount(row_user[usable], minlength=users)
    kept = usable & (rows[row_user] >= minimum)
    if not kept.any():
        raise DataError(f"nothing to split: no user has {minimum} interactions or more")
    cut = float(np.quantile(times[kept], quantile))
    before = np.bincount(row_user[kept & (times <= cut)], minlength=users)
    return np.where(before >= 2, before, 0), cut


def split(interactions: "Interactions", setup: TemporalSetup | LeaveOneOutSetup) -> Split:
    """Splits a dataset; a pure function of the interactions and the setup.

    Raises:
        DataError: no user has enough interactions to be split.
    """
    if not len(interactions):
        raise DataError("nothing to split: the dataset has no interactions")
    order = np.lexsort((np.arange(len(interactions)), interactions.time, interactions.user))
    user, items, times = interactions.user[order], interactions.item[order], interactions.time[order]
    counts = np.bincount(user, minlength=interactions.users)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if isinstance(setup, LeaveOneOutSetup):
        enough = counts >= 3
        if not enough.any():
            raise DataError("nothing to split: no user has 3 interactions or more")
        lengths = np.where(enough, counts - 2, 0), np.where(enough, counts - 1, 0)
        cuts: tuple[float | None, float | None] = (None, None)
        switches: dict[str, Any] = {}
    else:
        everything = np.ones(len(user), dtype=bool)
        outer, test_cut = _cut(user, times, everything, setup.test_quantile, setup.minimum_interactions)
        known = np.arange(len(user)) - offsets[user] < outer[user]
        if not known.any():
            raise DataError(f"nothing to learn from: no user has two interactions at or before the cut {test_cut:.0f}")
        inner, validation_cut = _cut(user, times, known, setup.validation_quantile, setup.minimum_interactions)
        lengths, cuts = (inner, outer), (test_cut, validation_cut)
        switches = {name: getattr(setup, name) for name in SWITCHES}
    return Split(items, times, offsets, interactions.items, *lengths, *cuts, **switches)


def refuse_degenerate(interactions: "Interactions", setup: TemporalSetup | LeaveOneOutSetup) -> None:
    """Data that can be split by the letter, and mean nothing to a recommender, are found here and not after a training.

    Raises:
        DataError: all interactions are of one user, one item, or one time that is to be split.
    """
    if not len(interactions):
        return  # `split` itself says so
    if interactions.items == 1:
        raise DataError(f"nothing to rank: all {len(interactions):,} interactions are with one item; check the columns")
    if interactions.users == 1:
        raise DataError(
            f"nothing to learn from others: all {len(interactions):,} interactions are of one user; check the columns"
        )
    if isinstance(setup, TemporalSetup) and interactions.time.min() == interactions.time.max():
        raise DataError(
            f"nothing to split in time: all {len(interactions):,} interactions are at the time {interactions.time[0]}; "
            "check the column, or leave one out (--setup leave-one-out), with the file's order as that of events"
        )


def refuse_without_queries(split: Split) -> None:
    """Without a question no model can be tested, and without one of validation none can be watched.

    Raises:
        DataError: nobody can be asked.
    """
    if not len(split.queries("test", EvaluationConfig())):
        raise DataError(
            "no test user: of the users that can be learnt from, none has interactions after the cut "
            f"{split.test_cut:.0f}; lower test_quantile or minimum_interactions, or leave one out"
            if split.test_cut is not None
            else "no test user"
        )
    if not split.retrain and not len(split.queries("validation", EvaluationConfig())):
        raise DataError(
            "no validation user, and this setup stops trainings on them: none has interactions between the cuts "
            f"{split.validation_cut:.0f} and {split.test_cut:.0f}; lower validation_quantile"
        )


def statistics(split: Split) -> dict[str, Any]:
    """What a split contains; train = rows that the tested model may learn from.

    `test_users_with_history` are those with rows at or before the cut; the others have later rows alone.
    """
    rows = split.training_rows("test")
    warm = np.zeros(split.item_count, dtype=bool)
    warm[split.items[rows]] = True
    test = split.queries("test", EvaluationConfig())
    validation = split.queries("validation", EvaluationConfig())
    with_history = split.queries("test", EvaluationConfig(target="first", without_history="skip"))
    return {
        "users": split.users,
        "items": split.item_count,
        "interactions": len(split.items),
        "test_cut": split.test_cut,
        "validation_cut": split.validation_cut,
        "train_interactions": int(rows.sum()),
        "train_users": int((split.lengths("test")[0] > 0).sum()),
        "train_items": int(warm.sum()),
        "test_users": len(test),
        "test_users_with_history": len(with_history),
        "validation_users": len(validation),
        "cold_targets": float((~warm[test.target]).mean()) if len(test) else 0.0,
        "seen_targets": float(test.target_is_seen.mean()) if len(test) else 0.0,
        "split_hash": split.hash,
        "warnings": _warnings(split, test, len(validation), int((~warm[test.target]).sum())),
    }


def _warnings(split: Split, test: Queries, validation: int, cold: int) -> list[str]:
    """What a reader of results on this split should know, each in one sentence.

    Args:
        test: the test's queries.
        validation: how many queries of validation there are.
        cold: how many of the test's targets do not occur in training.
    """
    found = []
    if len(test) < FEW_TEST_USERS:
        better = (
            "" if split.test_cut is None else "; leaving one out (--setup leave-one-out, table3) tests more of them"
        )
        found.append(f"{len(test):,} test users are few: differences between models will hardly show{better}")
    if not validation:
        found.append("no validation user: no search and no learning curve is possible; lower validation_quantile")
    if len(test) and cold == len(test):
        found.append("no test target occurs in training: with drop_cold_items nobody is left to ask")
    if seen := int(test.target_is_seen.sum()):
        found.append(
            f"{100 * seen / len(test):.1f} % of the test targets are items that their users had before; where seen "
            "items leave the ranking none of them can be a hit: set remove_seen: false for data with repeats"
        )
    return found
