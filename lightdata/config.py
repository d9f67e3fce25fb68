"""Settings of this process: how a query may use the machine."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

MOST_IMAGE_PIXELS = 178_956_970
"""Beyond this Pillow refuses an image by itself; from half of it on it warns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a query may use this machine."""

    workers: int | None = None
    """Worker processes; ``None`` takes one for each core, ``0`` runs everything in the calling process."""

    memory_limit_bytes: int | None = None
    """Bytes that a query may take beyond what idle processes do: in all workers, between them, and in Polars where it
    sorts, joins or groups. ``config(memory_limit="2GB")`` sets it too. ``None`` takes half of what was free on this
    machine, or in this container, when the first query asked. A batch of as many rows as you ask for is yours, however
    large, and so is what you keep."""

    batch_bytes: int | None = None
    """Decoded bytes that one batch of images may take, or one image; ``None`` takes 32 MiB, or less where the memory
    limit asks for it."""

    max_image_pixels: int = MOST_IMAGE_PIXELS
    """Pixels of an image, or of one frame of it. The default is the most there can be: Pillow refuses larger ones."""

    max_image_expansion: float = 100_000
    """Times the bytes of its file that the pixels of an image may take, if they take more than 64 MiB. A GIF of 35
    bytes can say that it is 8192x8192; a large page that is blank comes to 80,000."""

    max_frames: int = 10_000
    """Frames of one image file."""

    max_file_bytes: int = 2 << 30
    """Bytes of what is read whole: a file that is an image or a row of ``read_binary_files``, a member of an archive, a
    record, a row of ``.npy``. ``config(max_file_bytes="4GB")`` is understood too."""

    max_expansion: float = 200
    """Times its packed size that something packed may expand to, if that is more than 16 MiB: TFRecord, CSV, JSON and
    text files, archives and their members; of row groups of Parquet, if it is more than 256 MiB."""

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


MOST_BATCH_BYTES = 32 << 20
"""Decoded bytes of a batch, where memory allows: enough to make its cost small."""

LEAST_BATCH_BYTES = 64 << 10

BATCHES_IN_WORK = 16
"""Batches' bytes that a worker may need at once. It makes one of another, twice where a user's function or a file
format keeps a copy, while two tasks wait and results are on the way, which have half of it."""

_BESIDE = 4
"""The part of the limit that batches of the calling process are cut for, one in so many."""

_LEAST_BYTES = 64 << 20
"""The limit where next to nothing is free: a query with less would not get far either."""

_current = Config()
_found_bytes = 0


def memory_limit() -> int:
    """Give the bytes that a query may take.

    Where nobody has set them they are found at first use and then remembered. Queries run inside others and beside
    others, and what warm workers hold would later be taken for somebody else's.
    """
    global _found_bytes  # noqa: PLW0603 - one process is on one machine
    if _current.memory_limit_bytes is not None:
        return _current.memory_limit_bytes
    if not _found_bytes:
        from lightdata.free_memory import free_bytes  # noqa: PLC0415 - only where nobody has set it

        _found_bytes = max(free_bytes() // 2, _LEAST_BYTES)
    return _found_bytes


def batch_limit() -> int:
    """Give the decoded bytes that a batch may take: a worker is told, and beside the calling process others work."""
    return _current.batch_bytes or batch_bytes_for(memory_limit() // _BESIDE)


def batch_bytes_for(limit_bytes: int) -> int:
    """Give the decoded bytes of a batch for a process that may take so many bytes."""
    return max(min(limit_bytes // BATCHES_IN_WORK, MOST_BATCH_BYTES), LEAST_BATCH_BYTES)


def config(**changes: Any) -> Config:
    """Change the settings of this process; without arguments, read them.

    ``memory_limit`` takes bytes or text such as ``"2GB"`` and sets ``memory_limit_bytes``; ``max_file_bytes`` takes
    both too.

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
    if "memory_limit" in changes:
        changes = _with_limit(**changes)
    if isinstance(changes.get("max_file_bytes"), str):
        changes = {**changes, "max_file_bytes": _bytes_of(changes["max_file_bytes"], "max_file_bytes")}
    known = {field.name for field in fields(Config)}
    if unknown := changes.keys() - known:
        names = ", ".join(sorted({*known, "memory_limit"}))
        raise ValueError(f"config has no setting {', '.join(sorted(unknown))}; it has {names}")
    _current = _checked(replace(_current, **changes))
    return _current


def config_from(settings: Config) -> None:
    """Take over the settings of another process."""
    global _current  # noqa: PLW0603 - one process has one configuration
    _current = settings


def _with_limit(*, memory_limit: int | str | None, **changes: Any) -> dict[str, Any]:
    if "memory_limit_bytes" in changes:
        raise ValueError("memory_limit and memory_limit_bytes are one setting; give one of them")
    if memory_limit is None:
        return {**changes, "memory_limit_bytes": None}
    return {**changes, "memory_limit_bytes": _bytes_of(memory_limit, "memory_limit")}


def _bytes_of(size: int | str, name: str) -> int:
    from lightdata.byte_count import bytes_of  # noqa: PLC0415 - only who sets it needs it

    return bytes_of(size, name=name)


def _checked(settings: Config) -> Config:
    if settings.workers is not None and not _is_count(settings.workers, least=0):
        raise ValueError(f"workers must be 0 or more, or None; got {settings.workers!r}")
    for name in ("memory_limit_bytes", "batch_bytes"):
        value = getattr(settings, name)
        if not (_is_count(value, least=1) or value is None):
            raise ValueError(f"{name} must be a positive number; got {value!r}")
    _check_limits(settings)
    if settings.on_error not in ("raise", "null", "skip"):
        raise ValueError(f"on_error must be 'raise', 'null' or 'skip'; got {settings.on_error!r}")
    check_max_errors(settings.max_errors)
    for name in ("row_timeout", "stall_warning_s"):
        seconds = getattr(settings, name)
        if seconds is not None and not _is_seconds(seconds):
            raise ValueError(f"{name} must be a positive number of seconds, or None; got {seconds!r}")
    return _checked_decoder(settings)


def _check_limits(settings: Config) -> None:
    """Refuse limits on files that no file could keep, or that nothing here could hold to."""
    for name in ("max_image_pixels", "max_frames", "max_file_bytes"):
        if not _is_count(value := getattr(settings, name), least=1):
            raise ValueError(f"{name} must be a positive whole number; got {value!r}")
    if settings.max_image_pixels > MOST_IMAGE_PIXELS:
        raise ValueError(f"max_image_pixels can be at most {MOST_IMAGE_PIXELS}; Pillow refuses larger images itself")
    for name in ("max_image_expansion", "max_expansion"):
        value = getattr(settings, name)
        if not (isinstance(value, int | float) and not isinstance(value, bool) and value >= 1):
            raise ValueError(f"{name} must be a number of times, 1 or more; got {value!r}")


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
