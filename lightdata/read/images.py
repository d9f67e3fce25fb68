"""Image files, and files as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Unpack

import polars as pl

from lightdata.dataset.dataset import Dataset
from lightdata.errors import ArgumentError
from lightdata.io.file_rows import FileRowsSource
from lightdata.io.files import Partitioning, as_paths
from lightdata.io.formats.archived_files import ARCHIVES, ArchivedFilesFormat
from lightdata.io.source import OnError
from lightdata.plan.node import DecodeImages, Drop, Plan, ReadFiles, Scan, SplitFrames
from lightdata.read.options import FileOptions, Paths, checked, checked_on_error, endings_of, file_list
from lightdata.types.image_spec import MODES

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "avif", "heic", "heif")
"""What :func:`read_images` takes from folders."""


def read_images(
    paths: Paths,
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    include_paths: bool = False,
    partitioning: Partitioning | Literal["hive", "dir"] | None = None,
    partition_filter: Callable[[dict[str, str]], bool] | None = None,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = IMAGE_EXTENSIONS,
    shuffle: Literal["files"] | int | None = None,
    filesystem: Any = None,
    on_error: OnError | None = None,
    max_errors: float | None = None,
    exif_transpose: bool = True,
    frames: Literal["first", "all"] = "first",
) -> Dataset:
    """Read image files into a column ``image``; no image is opened until rows are asked for.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
        Folders are searched to the bottom, sorted by name, without hidden names. Of archives (``.zip``, ``.tar``,
        ``.tar.gz``, ``.tgz``) the images inside are read; their paths are ``archive.zip::folder/name.jpg``.
    size : (height, width), optional
        Resize to so many pixels, bilinear.
    mode : str, optional
        Convert, e.g. to "RGB" or "L". By default each image keeps what its file says; palettes become colours, and
        16-bit grey stays 16-bit.
    include_paths : bool
        Add a column ``path``.
    partitioning : "hive", or a :class:`Partitioning`, optional
        Make columns of the names of folders: of ``label=cat/`` for "hive"; with names of yours for
        ``Partitioning("dir", field_names=["label"])``.
    partition_filter : function of the folders' values, optional
        Keeps the files for which it is true.
    ignore_missing_paths : bool
        Go on where a path does not exist.
    file_extensions : sequence of str, optional
        What to take from folders and patterns; ``None`` for every file.
    shuffle : "files" or int, optional
        Read files in random order; a number is the seed.
    filesystem : fsspec or pyarrow filesystem, optional
        Where paths are; by default they say so themselves.
    on_error : "raise", "null" or "skip"
        What becomes of an image that cannot be read or decoded. "raise" decodes only what somebody looks at, so a
        broken image that is only copied passes; "null" and "skip" decode every image to know. By default what
        ``config().on_error`` says. :meth:`Dataset.errors` lists what failed.
    max_errors : int or float, optional
        Rows that may fail before a run is given up: a count, or a share below 1.
    exif_transpose : bool
        Turn images upright as their EXIF orientation says.
    frames : "first" or "all"
        "all" gives one row for each frame of a GIF, TIFF, WebP, PNG, AVIF or HEIF file, as Pillow composes them, and
        adds a column ``frame`` (int64, from 0 on). A file with a broken frame gives the frames before it, then one
        error, or one null row. At most 10,000 frames of a file.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (5, 4)).save(Path(folder, "a.png"))
    ...     read_images(folder).show()
    {'image': <Image RGB 4x5>}
    """
    on_error = checked_on_error(on_error)
    _check_images(size, mode, frames)
    plan = _bytes_of_files(
        paths,
        "image",
        on_error,
        partitioning=partitioning,
        partition_filter=partition_filter,
        ignore_missing_paths=ignore_missing_paths,
        file_extensions=file_extensions,
        shuffle=shuffle,
        filesystem=filesystem,
        max_errors=max_errors,
    )
    shape = None if size is None else (int(size[0]), int(size[1]))
    if frames == "all":
        plan = SplitFrames(input=plan, column="image", exif_transpose=exif_transpose, on_error=on_error)
        dataset = _reshaped(Dataset(plan), mode, shape)
    else:
        decode = DecodeImages(
            input=plan, column="image", mode=mode, size=shape, exif_transpose=exif_transpose, on_error=on_error
        )
        dataset = Dataset(decode)
    return dataset if include_paths else dataset.drop("path")


def read_binary_files(paths: Paths, **files: Unpack[FileOptions]) -> Dataset:
    """Read whole files into a column ``bytes``; for ``files`` see :class:`~lightdata.read.options.FileOptions`.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.bin").write_bytes(b"ab")
    ...     read_binary_files(folder).take_all()
    [{'bytes': b'ab'}]
    """
    options = checked(files, read_binary_files)
    on_error = options.pop("on_error", "raise")
    include_paths = options.pop("include_paths", False)
    plan = _bytes_of_files(paths, "bytes", on_error, **options)
    return Dataset(plan if include_paths else Drop(input=plan, columns=("path",)))


def _bytes_of_files(paths: Paths, column: str, on_error: OnError, **options: Any) -> Plan:
    """Plan the paths of files and what is in them; of archives, of the files inside."""
    if not _are_archives(paths):
        listed = Scan(source=file_list(paths, **options))
        filesystem = options.get("filesystem")
        return ReadFiles(input=listed, path="path", column=column, filesystem=filesystem, on_error=on_error)
    extensions = options.pop("file_extensions", None)
    endings = None if extensions is None else tuple(f".{one}" for one in endings_of(extensions))
    archives = file_list(paths, **options)
    return Scan(
        source=FileRowsSource.open(archives, ArchivedFilesFormat(column=column, endings=endings), on_error=on_error)
    )


def _are_archives(paths: Paths) -> bool:
    are = [path.lower().endswith(ARCHIVES) for path in as_paths(paths)]
    if any(are) and not all(are):
        raise ArgumentError("some paths are archives, and some are not; read them apart and join them with ld.concat")
    return all(are)


def _reshaped(frames: Dataset, mode: str | None, size: tuple[int, int] | None) -> Dataset:
    image: Any = pl.col("image")
    converted = image if mode is None else image.image.to_mode(mode)
    scaled = converted if size is None else converted.image.resize(*size)
    return frames if scaled is image else frames.with_columns(scaled)


def _check_images(size: Any, mode: str | None, frames: str) -> None:
    if size is not None and not _is_size(size):
        raise ArgumentError(f"size must be (height, width) in pixels; got {size!r}")
    if mode is not None and mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
    if frames not in ("first", "all"):
        raise ArgumentError(f"frames must be 'first' or 'all'; got {frames!r}")


def _is_size(size: Any) -> bool:
    match size:
        case [int(height), int(width)]:
            return height > 0 and width > 0
    return False
