"""Every error a user can meet: one small tree, one line each, turned into exit codes at the edges only."""

from __future__ import annotations


class VermilionError(Exception):
    """Base of all errors that Vermilion raises on purpose."""

    exit_code = 1


class InputError(VermilionError):
    """What a user gave cannot be used.

    Parameters
    ----------
    expected : str
        What was expected, in a few words.
    found : str
        What came instead.
    where : str
        File, row and column (rows count from 1, the header not counted), or the argument's name.
    cure : str
        What to do about it.

    Examples
    --------
    >>> print(InputError("a column 'text'", "columns 'id', 'body'", "pool.csv", "name it with --text-column"))
    pool.csv: expected a column 'text', found columns 'id', 'body'; name it with --text-column
    """

    def __init__(self, expected: str, found: str, where: str, cure: str) -> None:
        self.expected, self.found, self.where, self.cure = expected, found, where, cure
        super().__init__(" ".join(f"{where}: expected {expected}, found {found}; {cure}".split()))


class MissingExtraError(VermilionError):
    """An optional library is not installed.

    Examples
    --------
    >>> print(MissingExtraError("sentence-transformers", "st"))
    sentence-transformers is not installed; pip install 'vermilion[st]'
    """

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed; pip install 'vermilion[{extra}]'")


class StoreError(VermilionError):
    """The run's store cannot be opened, is in use by another run, of a newer version, or damaged."""


class JournalError(VermilionError):
    """What was answered cannot be recorded (a full disk, another writer); what is not recorded is not answered."""


class UnknownDecisionError(VermilionError):
    """Feedback names a decision that this service never made."""


class ConflictError(VermilionError):
    """Somebody else was first: what was to be changed is no longer what it was expected to be."""


class ModelError(VermilionError):
    """A model folder or a weights file is missing, damaged or not what its hash says."""


class ClusterError(VermilionError):
    """A Ray cluster cannot be reached, or what runs on it failed for good."""


class ExpertError(VermilionError):
    """The expert cannot be used at all (no key, unknown model, refused); single failed answers are not errors."""


class UntrustedExpertError(VermilionError):
    """The expert does worse than the head on labelled texts; raised before the pool is touched."""

    exit_code = 3


class CapReachedError(VermilionError):
    """The next call might pass a cap; raised before it is made. The state can be resumed."""

    exit_code = 3


class PausedError(VermilionError):
    """The run waits for something outside it (a person's answers); the same command continues it."""

    exit_code = 3
