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
    │   ├── EncodeError              (ValueError)   its value cannot be written in this format
    │   └── WriteError               (OSError)      its value could not be written where it should be
    ├── DeviceError                  (RuntimeError) the device that was asked for cannot be used
    ├── OutputExistsError            (FileExistsError) writing would replace files
    ├── NotRunError                  (RuntimeError) what only a run can tell was asked before there was one
    └── ExecutionError               (RuntimeError) a run failed for no fault of a row
        └── WorkerDiedError          a worker process ended while it held work

A mistake in a user's function is raised as the user's own exception, with a note naming the stage and the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

_MAX_MESSAGE = 500
"""Characters of a foreign message that are kept: some decoders quote their whole input."""


class LightdataError(Exception):
    """Base of every error that lightdata raises on purpose."""


class PlanError(LightdataError):
    """The query is wrong; raised when it is built, before any work."""


class ArgumentError(PlanError, ValueError):
    """An argument has a value that cannot work."""


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
        import difflib  # noqa: PLC0415 - only a mistake needs it

        names = list(available)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
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
    """

    def __init__(
        self, message: str, *, uri: str | None = None, row: int | None = None, stage: str | None = None
    ) -> None:
        self.message, self.uri, self.row, self.stage = _short(message), uri, row, stage
        place = [str(uri) if uri else None, f"row {row}" if row is not None and not uri else None, stage]
        super().__init__(f"{': '.join(part for part in [*place, self.message] if part)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_row_error, (type(self), self.message, self.uri, self.row, self.stage)

    def at(self, *, uri: str | None = None, row: int | None = None, stage: str | None = None) -> Self:
        """Copy this error with the place filled in where it was unknown."""
        return type(self)(
            self.message,
            uri=self.uri or uri,
            row=self.row if self.row is not None else row,
            stage=self.stage or stage,
        )


class ReadError(RowError, OSError):
    """The bytes of a row could not be read."""


class DecodeError(RowError, ValueError):
    """The bytes of a row are not what they should be."""


class EncodeError(RowError, ValueError):
    """A value cannot be written in the format that was asked for."""


class WriteError(RowError, OSError):
    """A value could not be written where it should be."""


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


def _rebuild_row_error(
    cls: type[RowError], message: str, uri: str | None, row: int | None, stage: str | None
) -> RowError:
    return cls(message, uri=uri, row=row, stage=stage)


def _short(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
