"""Settings of this process: how a query may use the machine."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a query may use this machine."""

    workers: int | None = None
    """Worker processes; ``None`` takes one for each core, ``0`` runs everything in the calling process."""

    memory_limit_bytes: int = 2 << 30
    """Bytes in flight between the workers and the consumer before workers pause; half of it is Polars' where a query
    sorts, joins or groups, which then spills what it can to disk."""

    batch_bytes: int = 32 << 20
    """Decoded bytes that one batch of images may take."""

    max_image_pixels: int = 178_956_970
    """Pixels above which an image is refused as a decompression bomb; at most Pillow's own limit, the default."""

    exact_pixels: bool = False
    """Make every pixel as Pillow makes it of the whole file. Otherwise large JPEG files that are resized next are
    decoded at a part of their size, and resizing may differ from Pillow's by one grey level."""

    progress: bool = True
    """Show one progress line for work that lasts longer than a second, on a terminal."""

    optimize: bool = True
    """Rewrite queries before they run; ``False`` runs them as written."""

    on_error: Literal["raise", "null", "skip"] = "raise"
    """What becomes of rows that fail, where a reader or step does not say: the run ends, the value is null, or the row
    is left out. Operations in expressions never leave rows out: they give null then."""

    max_errors: float | None = None
    """Failed rows that are let go before a run is given up: a count, or as a float below 1 a share of the rows."""

    row_timeout: float | None = None
    """Seconds without a sign of life after which a worker is ended; the row it hung on then fails. Signs are the end of
    a row, of a file that was read, and of a call of a model or of a function that takes batches."""

    stall_warning_s: float | None = 60
    """Seconds without progress after which the log says what each worker holds."""

    decoder_python: str | None = None
    """The Python interpreter of an environment with tensorflow-io, which decodes DICOM, OpenEXR and Radiance HDR."""

    decoder_timeout_s: float = 60
    """Seconds that it may take for one file."""


_current = Config()


def config(**changes: Any) -> Config:
    """Change the settings of this process; without arguments, read them.

    >>> before = config()
    >>> config(workers=2).workers
    2
    >>> config(workers=before.workers) == before
    True

    Raises
    ------
    ValueError
        For a setting that does not exist or a value that cannot work.
    """
    global _current  # noqa: PLW0603 - one process has one configuration
    if not changes:  # asked several times in every query
        return _current
    known = {field.name for field in fields(Config)}
    if unknown := changes.keys() - known:
        raise ValueError(f"config has no setting {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    _current = _checked(replace(_current, **changes))
    return _current


def config_from(settings: Config) -> None:
    """Take over the settings of another process."""
    global _current  # noqa: PLW0603 - one process has one configuration
    _current = settings


def _checked(settings: Config) -> Config:
    if settings.workers is not None and not _is_count(settings.workers, least=0):
        raise ValueError(f"workers must be 0 or more, or None; got {settings.workers!r}")
    for name in ("memory_limit_bytes", "batch_bytes", "max_image_pixels"):
        if not _is_count(getattr(settings, name), least=1):
            raise ValueError(f"{name} must be a positive number; got {getattr(settings, name)!r}")
    if settings.max_image_pixels > Config().max_image_pixels:
        raise ValueError("max_image_pixels cannot be raised: Pillow refuses larger images itself")
    if settings.on_error not in ("raise", "null", "skip"):
        raise ValueError(f"on_error must be 'raise', 'null' or 'skip'; got {settings.on_error!r}")
    check_max_errors(settings.max_errors)
    for name in ("row_timeout", "stall_warning_s"):
        seconds = getattr(settings, name)
        if seconds is not None and not _is_seconds(seconds):
            raise ValueError(f"{name} must be a positive number of seconds, or None; got {seconds!r}")
    return _checked_decoder(settings)


def check_max_errors(most: Any) -> None:
    """Refuse what is neither a count nor a share.

    Raises
    ------
    ValueError
        If it is.
    """
    is_share = isinstance(most, float) and 0 <= most < 1
    if most is not None and not is_share and not _is_count(most, least=0):
        raise ValueError(f"max_errors must be a number of rows, a share such as 0.01, or None; got {most!r}")


def _checked_decoder(settings: Config) -> Config:
    timeout_s, python = settings.decoder_timeout_s, settings.decoder_python
    if not _is_seconds(timeout_s):
        raise ValueError(f"decoder_timeout_s must be a positive number of seconds; got {timeout_s!r}")
    if python is None:
        return settings
    import shutil  # noqa: PLC0415 - only who names an interpreter needs it, and it imports decompressors

    found = shutil.which(os.fspath(python)) if isinstance(python, str | os.PathLike) else None
    if found is None:
        raise ValueError(f"decoder_python must be a Python interpreter, or None; got {python!r}")
    # A link stays: the environment of an interpreter is found by where its link is.
    return replace(settings, decoder_python=os.path.abspath(found))


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_count(value: Any, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
