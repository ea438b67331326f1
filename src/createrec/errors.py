"""Errors for people: each message names the file, line or key, what was expected and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class CreaterecError(Exception):
    """Base of every error that the command line prints as one line, without a traceback.

    Attributes:
        status: the command's exit status: 2 = refused, and refused again if nothing is changed; 1 = it failed.
    """

    status = 1


class ConfigError(CreaterecError):
    """A key, value or name in the configuration is not understood."""

    status = 2


class DataError(CreaterecError):
    """A data file does not hold what its format promises."""

    status = 2


class DownloadError(CreaterecError):
    """A file could not be fetched, or what came is not what was expected."""


class CheckpointError(CreaterecError):
    """A checkpoint is damaged or belongs to another run."""

    status = 2


class StorageError(CreaterecError):
    """A file cannot be written: the disk is full, the folder is read-only, or another process is at work in it."""


class TrainingError(CreaterecError):
    """Training cannot go on: a loss is not finite, or memory ran out."""


def known_names(name: object, known: Iterable[str]) -> str:
    """What to answer to an unknown name: those there are, and the nearest of them.

    >>> known_names("dropuot", ["blocks", "dropout"])
    "known: blocks, dropout; did you mean 'dropout'?"
    """
    known = list(known)
    nearest = get_close_matches(str(name), known, n=1)
    return f"known: {', '.join(known)}" + (f"; did you mean '{nearest[0]}'?" if nearest else "")
