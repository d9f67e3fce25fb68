"""Everything lightdata raises on purpose.

::

    LightdataError
    ├── PlanError                    the query is wrong; raised when it is built
    │   ├── ArgumentError            (ValueError)   an argument has a value that cannot work
    │   ├── ColumnNotFoundError      (KeyError)     a step names a column that is not there
    │   ├── ExpressionError          (ValueError)   an expression that cannot be planned
    │   ├── SchemaError              (TypeError)    a column has the wrong type for a step
    │   └── ModelError               (ValueError)   a model that cannot be used as asked
    ├── RowError                     one row could not be processed
    │   ├── ReadError                (OSError)      its bytes could not be read
    │   ├── DecodeError              (ValueError)   its bytes are not what they should be
    │   │   └── LimitError           it asks for more than a limit of ``config`` lets a file take
    │   ├── EncodeError              (ValueError)   its value cannot be written in this format
    │   ├── WriteError               (OSError)      its value could not be written where it should be
    │   ├── FunctionError            (RuntimeError) a user's function raised, and the query was to go on
    │   ├── LostRowError             (RuntimeError) it ended each worker that looked at it
    │   └── HungRowError             (TimeoutError) it took longer than ``row_timeout``
    ├── DeviceError                  (RuntimeError) the device that was asked for cannot be used
    ├── OutputExistsError            (FileExistsError) writing would replace files
    ├── NotRunError                  (RuntimeError) what only a run can tell was asked before there was one
    └── ExecutionError               (RuntimeError) a run failed for no fault of a row
        ├── WorkerDiedError          a worker process ended while it held work, and would again
        ├── RowTimeoutError          (TimeoutError) a row took longer than ``row_timeout``
        └── TooManyErrorsError       more rows failed than ``max_errors`` lets go

A mistake in a user's function is raised as the user's own exception, with a note naming the stage and the row; where
the query is to go on (``on_error``), it becomes a FunctionError. Every row that failed is one record of
``Dataset.errors()``, whose ``code`` is one of :data:`CODES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Self

MAX_MESSAGE = 500
"""Characters of a foreign message that are kept: some decoders quote their whole input."""

CODES = {
    "read_failed": "the bytes of a row could not be read",
    "decode_failed": "the bytes of a row are not what they should be",
    "over_limit": "a file asks for more than a setting of config allows, such as max_image_pixels or max_file_bytes",
    "encode_failed": "a value cannot be written in the format that was asked for",
    "write_failed": "a value could not be written where it should be",
    "function_failed": "a user's function raised",
    "worker_died": "each worker that looked at the row died; the cause says how",
    "timeout": "a row took longer than row_timeout",
}
"""Why rows fail, in words that do not change from version to version."""


ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Exceptions that ask for an end: of whatever else is raised, be it no ``Exception``, a row may be the reason."""


class LightdataError(Exception):
    """Base of every error that lightdata raises on purpose."""


class PlanError(LightdataError):
    """The query is wrong; raised when it is built, before any work."""


class ArgumentError(PlanError, ValueError):
    """An argument has a value that cannot work."""

    @classmethod
    def unknown(cls, name: str, *, step: str, known: Iterable[str]) -> Self:
        """Name an argument that there is not, and the nearest that there is.

        >>> str(ArgumentError.unknown("label", step="a model", known=["labels", "top_k"]))
        "a model has no argument 'label'; did you mean labels? It takes labels, top_k"
        """
        names = list(known)
        close = _nearest(name, names)
        hint = f"did you mean {close}? It" if close else "it"
        return cls(f"{step} has no argument {name!r}; {hint} takes {', '.join(names)}")


class ColumnNotFoundError(PlanError, KeyError):
    """A step names a column that is not there."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the message in quotes

    @classmethod
    def for_step(cls, name: str, *, step: str, available: Iterable[str]) -> Self:
        """Name the column, the step and the nearest column that exists.

        >>> str(ColumnNotFoundError.for_step("lable", step="filter", available=["image", "label"]))
        "column 'lable' not found in filter; did you mean 'label'? Columns: image, label"
        """
        names = list(available)
        close = _nearest(name, names)
        hint = f"did you mean {close!r}? " if close else ""
        return cls(f"column {name!r} not found in {step}; {hint}Columns: {', '.join(names) or '(none)'}")


class ExpressionError(PlanError, ValueError):
    """An expression that cannot be planned."""


class SchemaError(PlanError, TypeError):
    """A column has the wrong type for a step."""


class ModelError(PlanError, ValueError):
    """A model that cannot be used as asked."""


class RowError(LightdataError):
    """One row could not be processed.

    Parameters
    ----------
    message : str
        What went wrong, without the place.
    uri : str, optional
        The file the row came from.
    row : int, optional
        The row within its batch.
    stage : str, optional
        The step that failed.
    cause : str, optional
        The class of the exception, or the signal, behind it.
    attempts : int
        How often it was tried.
    """

    code: ClassVar[str] = "row_failed"
    """Why, as one of :data:`CODES`; each kind of error has its own."""

    def __init__(
        self,
        message: str,
        *,
        uri: str | None = None,
        row: int | None = None,
        stage: str | None = None,
        cause: str | None = None,
        attempts: int = 1,
    ) -> None:
        self.message, self.uri, self.row, self.stage = _short(message), uri, row, stage
        self.cause, self.attempts = cause, attempts
        place = [str(uri) if uri else None, f"row {row}" if row is not None and not uri else None, stage]
        super().__init__(f"{': '.join(part for part in [*place, self.message] if part)}")

    def __reduce__(self) -> tuple[Any, ...]:
        places: dict[str, Any] = {"uri": self.uri, "row": self.row, "stage": self.stage}
        return partial(type(self), **places, cause=self.cause, attempts=self.attempts), (self.message,)

    def at(self, *, uri: str | None = None, row: int | None = None, stage: str | None = None) -> Self:
        """Copy this error with the place filled in where it was unknown, and the class of what caused it."""
        origin = self.__cause__
        return type(self)(
            self.message,
            uri=self.uri or uri,
            row=self.row if self.row is not None else row,
            stage=self.stage or stage,
            cause=self.cause or (None if origin is None else type(origin).__name__),
            attempts=self.attempts,
        )

    def moved(self, rows: int) -> Self:
        """Copy this error with its row counted from so many rows before."""
        row = None if self.row is None else self.row + rows
        places: dict[str, Any] = {"uri": self.uri, "row": row, "stage": self.stage}
        return type(self)(self.message, **places, cause=self.at().cause, attempts=self.attempts)


class ReadError(RowError, OSError):
    """The bytes of a row could not be read."""

    code = "read_failed"


class DecodeError(RowError, ValueError):
    """The bytes of a row are not what they should be."""

    code = "decode_failed"

    @classmethod
    def of_memory(cls, error: MemoryError) -> Self:
        """Tell of a row that there was no memory for."""
        failure = cls(f"MemoryError: {words_of(error) or 'there was not enough memory for it'}", cause="MemoryError")
        failure.__cause__ = error
        return failure


class LimitError(DecodeError):
    """A file asks for more than a limit of ``config`` lets it take."""

    code = "over_limit"


class EncodeError(RowError, ValueError):
    """A value cannot be written in the format that was asked for."""

    code = "encode_failed"


class WriteError(RowError, OSError):
    """A value could not be written where it should be."""

    code = "write_failed"


class FunctionError(RowError, RuntimeError):
    """A user's function raised for a row, and the query was to go on."""

    code = "function_failed"

    @classmethod
    def of(cls, error: BaseException, *, uri: str | None, row: int, stage: str) -> Self:
        """Tell of a user's exception, whatever its own words are."""
        kind = type(error).__name__
        return cls(f"{kind}: {words_of(error)}", uri=uri, row=row, stage=stage, cause=kind)


class LostRowError(RowError, RuntimeError):
    """A row ended each worker that looked at it."""

    code = "worker_died"


class HungRowError(RowError, TimeoutError):
    """A row took longer than ``row_timeout``."""

    code = "timeout"


class DeviceError(LightdataError, RuntimeError):
    """The device that was asked for cannot be used."""


class OutputExistsError(LightdataError, FileExistsError):
    """Writing would replace files that exist."""


class NotRunError(LightdataError, RuntimeError):
    """What only a run can tell was asked before there was one."""


class ExecutionError(LightdataError, RuntimeError):
    """A run failed for no fault of a row."""


class WorkerDiedError(ExecutionError):
    """A worker process ended while it held work."""


class RowTimeoutError(ExecutionError, TimeoutError):
    """A row took longer than ``row_timeout``."""


class TooManyErrorsError(ExecutionError):
    """More rows failed than ``max_errors`` lets go."""


def words_of(error: BaseException) -> str:
    """Give an exception's message; some classes of others cannot show theirs."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ that raises
        return "(its message cannot be shown)"


def _nearest(name: str, names: list[str]) -> str | None:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    return next(iter(difflib.get_close_matches(name, names, n=1)), None)


def noted(error: BaseException, words: str) -> None:
    """Say where an exception comes from; some classes of others cannot be changed."""
    with suppress(Exception):
        error.add_note(words)


def _short(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
