"""Where datasets come from: files, and what is in memory already."""

from __future__ import annotations

import inspect
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.dataset.combining import ConcatMethod, concat_plans, plan_of
from lightdata.dataset.dataset import Dataset
from lightdata.dataset.exchange import sql_plan, tables_around
from lightdata.errors import ArgumentError
from lightdata.io.files import FileListSource, Partitioning, as_paths, check_paths
from lightdata.io.lazy_frame import held_schema
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.io.numpy import NumpySource
from lightdata.kernels.columns import column_from
from lightdata.kernels.rows import batch_from_rows
from lightdata.plan.node import DecodeImages, Drop, OnError, Plan, ReadFiles, Scan
from lightdata.types.canonical import canonical
from lightdata.types.image_spec import MODES
from lightdata.types.plain_array import number_array
from lightdata.types.tensor import fixed_tensors

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "avif")
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
    on_error: OnError = "raise",
    exif_transpose: bool = True,
) -> Dataset:
    """Read image files into a column ``image``; no image is opened until rows are asked for.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
        Folders are searched to the bottom, sorted by name, without hidden names.
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
        broken image that is only copied passes; "null" and "skip" decode every image to know.
    exif_transpose : bool
        Turn images upright as their EXIF orientation says.

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
    _check_images(size, mode, on_error)
    source = _listing(
        paths,
        partitioning=partitioning,
        partition_filter=partition_filter,
        ignore_missing_paths=ignore_missing_paths,
        extensions=file_extensions,
        shuffle=shuffle,
        filesystem=filesystem,
    )
    plan: Plan = Scan(source=source)
    plan = ReadFiles(input=plan, path="path", column="image", filesystem=filesystem, on_error=on_error)
    plan = DecodeImages(
        input=plan,
        column="image",
        mode=mode,
        size=None if size is None else (int(size[0]), int(size[1])),
        exif_transpose=exif_transpose,
        on_error=on_error,
    )
    return Dataset(plan if include_paths else Drop(input=plan, columns=("path",)))


def read_binary_files(
    paths: Paths,
    *,
    include_paths: bool = False,
    partitioning: Partitioning | Literal["hive", "dir"] | None = None,
    partition_filter: Callable[[dict[str, str]], bool] | None = None,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    shuffle: Literal["files"] | int | None = None,
    filesystem: Any = None,
    on_error: OnError = "raise",
) -> Dataset:
    """Read whole files into a column ``bytes``; arguments are those of :func:`read_images`."""
    _check_on_error(on_error)
    source = _listing(
        paths,
        partitioning=partitioning,
        partition_filter=partition_filter,
        ignore_missing_paths=ignore_missing_paths,
        extensions=file_extensions,
        shuffle=shuffle,
        filesystem=filesystem,
    )
    plan = ReadFiles(input=Scan(source=source), path="path", column="bytes", filesystem=filesystem, on_error=on_error)
    return Dataset(plan if include_paths else Drop(input=plan, columns=("path",)))


def read_numpy(
    paths: Paths, *, include_paths: bool = False, ignore_missing_paths: bool = False, filesystem: Any = None
) -> Dataset:
    """Read ``.npy`` files into a column ``data``: numbers, or tensors of one shape; nothing is ever unpickled.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "images.npy"), np.zeros((5, 32, 32, 3), np.uint8))
    ...     print(read_numpy(folder).schema())
    data: Tensor[uint8, (32, 32, 3)]
    """
    source = NumpySource.open(
        paths, filesystem=filesystem, ignore_missing_paths=ignore_missing_paths, include_paths=include_paths
    )
    return Dataset(Scan(source=source))


def read_tfrecords(
    paths: Paths, *, include_paths: bool = False, ignore_missing_paths: bool = False, filesystem: Any = None
) -> Dataset:
    """Read TFRecord files of ``tf.train.Example`` messages, a column for each feature, without TensorFlow.

    Checksums are always checked. A feature with one value in every record becomes a plain column, others become
    lists. Columns are only known when records are read.
    """
    from lightdata.io.tfrecord import TFRecordSource  # noqa: PLC0415 - protobuf is for those who read records

    check_paths(paths, filesystem, ignore_missing_paths=ignore_missing_paths)
    source = TFRecordSource(
        paths=as_paths(paths),
        filesystem=filesystem,
        ignore_missing_paths=ignore_missing_paths,
        include_paths=include_paths,
    )
    return Dataset(Scan(source=source))


def read_parquet(
    paths: Paths, *, include_paths: bool = False, ignore_missing_paths: bool = False, filesystem: Any = None
) -> Dataset:
    """Read Parquet files; images and tensors written by lightdata, and tensors written by Ray, come back as such."""
    from lightdata.io.parquet import ParquetSource  # noqa: PLC0415 - so is its reader

    source = ParquetSource.open(
        paths, filesystem=filesystem, ignore_missing_paths=ignore_missing_paths, include_paths=include_paths
    )
    return Dataset(Scan(source=source))


def range(n: int) -> Dataset:  # noqa: A001 - Ray's word
    """Make the integers ``0 .. n - 1`` in a column ``id``.

    >>> range(2).take_all()
    [{'id': 0}, {'id': 1}]
    """
    if not isinstance(n, int) or n < 0:
        raise ArgumentError(f"range takes a number of rows of 0 or more; got {n!r}")
    return Dataset(Scan(source=RangeSource(n)))


def from_items(items: Iterable[Any]) -> Dataset:
    """Make a dataset of rows: mappings of column to value, or plain values for a column ``item``.

    >>> from_items(["a", "b"]).take_all()
    [{'item': 'a'}, {'item': 'b'}]
    """
    rows = [item if isinstance(item, Mapping) else {"item": item} for item in items]
    return Dataset(Scan(source=MemorySource(pa.Table.from_batches([batch_from_rows(rows)]))))


def from_numpy(arrays: NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]) -> Dataset:
    """Make a dataset of the rows of an array ``[N, ...]`` (column ``data``), of several, or of one for each column.

    >>> from_numpy(np.zeros((3, 2, 2))).schema()
    data: Tensor[float64, (2, 2)]
    """
    columns = arrays if isinstance(arrays, Mapping) else {"data": arrays}
    whole = {
        name: array if isinstance(array, np.ndarray) else np.concatenate(list(array)) for name, array in columns.items()
    }
    if any(array.ndim == 0 for array in whole.values()) or len({len(array) for array in whole.values()}) > 1:
        raise ArgumentError("from_numpy takes arrays with an axis of rows, of one length")
    table = {name: number_array(array) if array.ndim == 1 else fixed_tensors(array) for name, array in whole.items()}
    return from_arrow(pa.table(table))


def from_arrow(tables: pa.Table | pa.RecordBatch | Sequence[pa.Table | pa.RecordBatch]) -> Dataset:
    """Make a dataset of Arrow tables, without a copy where types allow.

    >>> from_arrow(pa.table({"a": [1]})).take_all()
    [{'a': 1}]
    """
    parts = [tables] if isinstance(tables, pa.Table | pa.RecordBatch) else list(tables)
    if not parts:
        raise ArgumentError("from_arrow needs at least one table")
    whole = [part if isinstance(part, pa.Table) else pa.Table.from_batches([part]) for part in parts]
    return Dataset(Scan(source=MemorySource(canonical(pa.concat_tables(whole)))))


def from_polars(frames: pl.DataFrame | pl.LazyFrame | Sequence[pl.DataFrame | pl.LazyFrame]) -> Dataset:
    """Make a dataset of Polars frames; a lazy one runs when rows are asked for, and Polars optimizes across.

    >>> from_polars(pl.LazyFrame({"a": [1, 2]}).filter(pl.col("a") > 1)).take_all()
    [{'a': 2}]

    Raises
    ------
    SchemaError
        If a column cannot be held.
    """
    whole = [frames] if isinstance(frames, pl.DataFrame | pl.LazyFrame) else list(frames)
    if not whole:
        raise ArgumentError("from_polars needs at least one frame")
    eager = [frame for frame in whole if isinstance(frame, pl.DataFrame)]
    if len(eager) < len(whole):
        lazy = [frame.lazy() for frame in whole]
        return Dataset(plan_of("from_polars", lazy[0] if len(lazy) == 1 else pl.concat(lazy)))
    for frame in eager:
        held_schema(frame.schema)
    return from_arrow([frame.to_arrow() for frame in eager])


def concat(items: Iterable[Any], *, how: ConcatMethod = "vertical") -> Dataset:
    """Put the rows of datasets one after another, or their columns side by side.

    Parameters
    ----------
    items : iterable of Dataset, Polars frames, Arrow tables
    how : "vertical", "vertical_relaxed", "diagonal", "diagonal_relaxed", "horizontal", "horizontal_extend"
        As Polars' ``concat``; images of different kinds in one column become plain images in all of them.

    Examples
    --------
    >>> concat([range(1), range(2)]).take_all()
    [{'id': 0}, {'id': 0}, {'id': 1}]

    Raises
    ------
    ArgumentError
        If there is nothing to put together.
    SchemaError
        If columns do not fit together.
    """
    plans = [plan_of("concat", item) for item in items]
    if not plans:
        raise ArgumentError("concat needs at least one dataset")
    if how not in get_args(ConcatMethod):
        raise ArgumentError(f"concat: how must be one of {', '.join(get_args(ConcatMethod))}; got {how!r}")
    return Dataset(concat_plans(plans, how))


def sql(query: str, /, **tables: Any) -> Dataset:
    """Ask datasets, Polars frames and Arrow tables in SQL, in Polars' dialect; nothing runs until rows are asked for.

    A query names tables of ``tables``, and variables where it is called. Only columns that it needs are read. Without
    ``order by``, groups and joined rows come in any order.

    >>> numbers = range(5)
    >>> sql("select id from numbers where id > 2 order by id desc").take_all()
    [{'id': 4}, {'id': 3}]

    Raises
    ------
    PlanError
        If the query is wrong.
    """
    frame = inspect.currentframe()
    around = tables_around(query, None if frame is None else frame.f_back)
    return Dataset(sql_plan(query, {**around, **tables}))


def from_pandas(frames: Any) -> Dataset:
    """Make a dataset of pandas frames; cells that are arrays become tensors."""
    whole = list(frames) if isinstance(frames, list | tuple) else [frames]
    return from_arrow([pa.table({str(name): _pandas_column(frame[name]) for name in frame.columns}) for frame in whole])


def _pandas_column(series: Any) -> pa.Array:
    values = list(series) if series.dtype == object else []
    if any(hasattr(value, "__array__") and np.ndim(value) for value in values):
        return column_from(values, column=str(series.name))
    return pa.Array.from_pandas(series)


def _listing(
    paths: Paths,
    *,
    partitioning: Partitioning | Literal["hive", "dir"] | None,
    extensions: Sequence[str] | None,
    shuffle: Literal["files"] | int | None,
    filesystem: Any,
    ignore_missing_paths: bool,
    **options: Any,
) -> FileListSource:
    check_paths(paths, filesystem, ignore_missing_paths=ignore_missing_paths)
    if partitioning == "dir":
        raise ArgumentError("partitioning='dir' needs names: use ld.Partitioning('dir', field_names=['label'])")
    return FileListSource(
        paths=as_paths(paths),
        extensions=None if extensions is None else _endings(extensions),
        filesystem=filesystem,
        ignore_missing_paths=ignore_missing_paths,
        partitioning=Partitioning("hive") if partitioning == "hive" else partitioning,
        shuffle_seed=_seed(shuffle),
        **options,
    ).resolved()


def _endings(extensions: str | Sequence[str]) -> tuple[str, ...]:
    listed = [extensions] if isinstance(extensions, str) else extensions
    return tuple(one.lower().lstrip(".") for one in listed)


def _seed(shuffle: Literal["files"] | int | None) -> int | None:
    match shuffle:
        case None | int():
            return shuffle
        case "files":
            return secrets.randbits(32)  # drawn once, so that this dataset has one order however often it runs
    raise ArgumentError(f"shuffle must be 'files', a seed or None; got {shuffle!r}")


def _check_images(size: Any, mode: str | None, on_error: str) -> None:
    if size is not None and not _is_size(size):
        raise ArgumentError(f"size must be (height, width) in pixels; got {size!r}")
    if mode is not None and mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
    _check_on_error(on_error)


def _is_size(size: Any) -> bool:
    match size:
        case [int(height), int(width)]:
            return height > 0 and width > 0
    return False


def _check_on_error(on_error: str) -> None:
    if on_error not in ("raise", "null", "skip"):
        raise ArgumentError(f"on_error must be 'raise', 'null' or 'skip'; got {on_error!r}")
