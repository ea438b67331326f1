"""Errors for people: each message names the file, line or key, what was expected and what to do."""


class CreaterecError(Exception):
    """Base of every error that the command line prints as one message, without a traceback."""


class ConfigError(CreaterecError):
    """A key, value or name in the configuration is not understood."""


class DataError(CreaterecError):
    """A data file does not hold what its format promises."""


class DownloadError(CreaterecError):
    """A file could not be fetched, or what came is not what was expected."""


class CheckpointError(CreaterecError):
    """A checkpoint is damaged or belongs to another run."""


class StorageError(CreaterecError):
    """A file cannot be written: the disk is full, the folder is read-only, or another process is at work in it."""


class TrainingError(CreaterecError):
    """Training cannot go on: a loss is not finite, or memory ran out."""
