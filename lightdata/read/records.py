"""Files that hold rows."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal, Unpack

import polars as pl
import pyarrow as pa

from lightdata.dataset.dataset import Dataset
from lightdata.errors import ArgumentError
from lightdata.io.file_rows import FileRowsSource
from lightdata.io.lazy_frame import LazyFrameSource
from lightdata.plan.node import DecodeImages, Plan, Scan
from lightdata.read.options import FileOptions, Paths, rows_of
from lightdata.types.declare import declared_schema
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema


def read_numpy(paths: Paths, **files: Unpack[FileOptions]) -> Dataset:
    """Read NumPy files, one row for each entry of the first axis; nothing is ever unpickled.

    The array of a ``.npy`` file is the column ``data``: numbers, times or text, or tensors of one shape. Those of an
    ``.npz`` archive are columns of their own names, and have one length. Byte order and Fortran order are taken care
    of; an array of no axis is one row.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
    files
        See :class:`~lightdata.read.options.FileOptions`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "images.npy"), np.zeros((5, 32, 32, 3), np.uint8))
    ...     print(read_numpy(folder).schema())
    data: Tensor[uint8, (32, 32, 3)]

    Raises
    ------
    ArgumentError
        If the first file holds something other than numbers, times or text.
    """
    from lightdata.io.formats.numpy import NumpyFormat  # noqa: PLC0415 - each format is for those who read it

    return _rows(rows_of(paths, NumpyFormat(), files, read_numpy))


def read_tfrecords(
    paths: Paths,
    *,
    schema: Any = None,
    compression: Literal["auto", "GZIP", "ZLIB"] | None = "auto",
    resync: bool = False,
    sequences: bool | None = None,
    **files: Unpack[FileOptions],
) -> Dataset:
    """Read TFRecord files of ``tf.train.Example`` messages, a column for each feature, without TensorFlow.

    Every checksum is checked. A feature that has no more than one value in any of the first 1,000 records of the first
    file (or the first 64 MiB) becomes a plain column, others become lists; where it is missing the row is null,
    and a plain one where it is empty. A record that is no message, or does not fit the columns, fails by itself;
    damage ends the file.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
    schema : mapping of column to type, optional
        What to read, instead of what the first records hold; other features are left out. Values may be text,
        booleans, and integers or floats of another size; one, a list, or a tensor of a shape that the file does not
        tell: ``{"caption": pl.String, "box": ld.tensor_type("float32", (4,))}``.
    compression : "auto", "GZIP", "ZLIB" or None
        By default the first bytes tell.
    resync : bool
        Go on behind damage, at the next record whose checksums hold. What lies between is one row that fails: see
        ``on_error``.
    sequences : bool, optional
        Read ``tf.train.SequenceExample`` messages: features of the context as above, feature lists as lists of the
        value of each step, or of lists where steps have several. By default the first message tells.
    files
        See :class:`~lightdata.read.options.FileOptions`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from lightdata import from_items
    >>> with TemporaryDirectory() as folder:
    ...     _ = from_items([{"label": 7, "boxes": [0.5, 1.0]}]).write_tfrecords(folder)
    ...     read_tfrecords(folder).take_all()
    [{'boxes': [0.5, 1.0], 'label': 7}]

    Raises
    ------
    ArgumentError
        If ``schema`` has a type that no feature can be read as.
    DecodeError
        If the first file is damaged at its start.
    """
    from lightdata.io.formats.tfrecord.format import TFRecordFormat  # noqa: PLC0415 - as above

    file_format = TFRecordFormat(
        stored=declared_schema(schema),
        is_given=schema is not None,
        compression=compression,
        resync=resync,
        are_sequences=sequences,
    )
    return _rows(rows_of(paths, file_format, files, read_tfrecords))


def read_parquet(paths: Paths, *, image_columns: Sequence[str] | None = None, **files: Unpack[FileOptions]) -> Dataset:
    """Read Parquet files; only the columns and row groups that a query needs are read.

    Images and tensors that lightdata, Hugging Face datasets, Ray Data and Daft wrote come back as such. Everything is
    validated in full.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
    image_columns : sequence of str, optional
        Columns of encoded images: bytes, or structs with a field ``bytes``. By default those that the files' own
        metadata call images; an empty list leaves all as they are stored.
    files
        See :class:`~lightdata.read.options.FileOptions`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     pl.DataFrame({"n": [1, 2]}).write_parquet(Path(folder, "a.parquet"))
    ...     read_parquet(folder).filter(pl.col("n") > 1).take_all()
    [{'n': 2}]

    Raises
    ------
    SchemaError
        If a column of the first file cannot be held.
    """
    from lightdata.io.formats.parquet import ParquetFormat  # noqa: PLC0415 - as above

    named = None if image_columns is None else tuple(image_columns)
    source = rows_of(paths, ParquetFormat(image_columns=named), files, read_parquet)
    return _rows(source, source.file_format.encoded_images)


def read_csv(
    paths: Paths,
    *,
    separator: str = ",",
    quote_char: str | None = '"',
    has_header: bool = True,
    null_values: str | Sequence[str] = "",
    schema_overrides: Any = None,
    **files: Unpack[FileOptions],
) -> Dataset:
    r"""Read CSV files; a line with too few or too many values fails by itself.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
        Also compressed: ``.csv.gz``, ``.csv.zst``, ``.csv.bz2``, ``.csv.lz4``; with tabs between values, ``.tsv`` too.
    separator : str
    quote_char : str, optional
        ``None`` where nothing is quoted.
    has_header : bool
        Whether the first line names the columns; they are ``f0``, ``f1`` and so on where it does not.
    null_values : str or sequence of str
        What stands for a missing value, unless it is quoted.
    schema_overrides : mapping of column to type, optional
        Types are inferred from the first 4 MiB; name those of columns that change later on.
    files
        See :class:`~lightdata.read.options.FileOptions`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("path,label\n1.jpg,cat\n")
    ...     read_csv(folder).take_all()
    [{'path': '1.jpg', 'label': 'cat'}]
    """
    from lightdata.io.formats.csv_table import CsvFormat, check_convertible  # noqa: PLC0415 - as above

    for name, char in (("separator", separator), ("quote_char", quote_char)):
        if char is not None and (not isinstance(char, str) or len(char.encode()) != 1 or char in "\r\n"):
            raise ArgumentError(f"read_csv: {name} is one ASCII character that ends no line; got {char!r}")
    if separator is None or separator == quote_char:
        raise ArgumentError(f"read_csv: separator must be another character than quote_char; got {separator!r}")
    nulls = (null_values,) if isinstance(null_values, str) else tuple(null_values or ())
    if not nulls or not all(isinstance(one, str) for one in nulls):
        raise ArgumentError(f"read_csv: null_values is text, or several; got {null_values!r}")
    overrides = declared_schema(schema_overrides)
    check_convertible(overrides or Schema({}))
    file_format = CsvFormat(
        separator=separator,
        quote_char=quote_char,
        has_header=has_header,
        null_values=nulls,
        overrides=overrides,
    )
    return _rows(rows_of(paths, file_format, files, read_csv))


def read_json(paths: Paths, *, schema: Any = None, **files: Unpack[FileOptions]) -> Dataset:
    r"""Read JSON files: objects one a line, or one array of them; a line that is wrong fails by itself.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
        Also compressed: ``.jsonl.gz``, ``.jsonl.zst``, ``.jsonl.bz2``, ``.jsonl.lz4``.
    schema : mapping of column to type, optional
        All columns; by default they are inferred from the first 4 MiB.
    files
        See :class:`~lightdata.read.options.FileOptions`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.jsonl").write_text('{"n": 1, "tags": ["a"]}\n')
    ...     read_json(folder).take_all()
    [{'n': 1, 'tags': ['a']}]
    """
    from lightdata.io.formats.json_lines import JsonFormat, parsed_type  # noqa: PLC0415 - as above

    known = declared_schema(schema)
    stored = None if known is None else pa.schema([(name, parsed_type(kind)) for name, kind in known.items()])
    return _rows(rows_of(paths, JsonFormat(stored=stored, declared=known), files, read_json))


def read_text(
    paths: Paths, *, encoding: str = "utf-8", drop_empty_lines: bool = True, **files: Unpack[FileOptions]
) -> Dataset:
    r"""Read text files, a row for each line, into a column ``text``; a line in another encoding fails by itself.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("one\n\ntwo\n")
    ...     read_text(folder).take_all()
    [{'text': 'one'}, {'text': 'two'}]
    """
    from lightdata.io.formats.text import TextFormat  # noqa: PLC0415 - as above

    return _rows(rows_of(paths, TextFormat(encoding=encoding, drop_empty_lines=drop_empty_lines), files, read_text))


def read_arrow(paths: Paths, **files: Unpack[FileOptions]) -> Dataset:
    """Read Arrow IPC files (Feather 2), mapped into memory, and streams; every batch is validated in full.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     pl.DataFrame({"n": [1, 2]}).write_ipc(Path(folder, "a.arrow"))
    ...     read_arrow(folder).count()
    2
    """
    from lightdata.io.formats.arrow_ipc import ArrowFormat  # noqa: PLC0415 - as above

    return _rows(rows_of(paths, ArrowFormat(), files, read_arrow))


def read_webdataset(paths: Paths, *, columns: Sequence[str] | None = None, **files: Unpack[FileOptions]) -> Dataset:
    """Read WebDataset shards: tar archives in which ``a/1.jpg`` and ``a/1.cls`` are the row whose key is ``a/1``.

    Columns have the names of endings. Images become images, ``txt`` and ``json`` text, ``cls`` whole numbers, ``npy``
    tensors; anything else is bytes. ``__key__`` is the key.

    Parameters
    ----------
    paths : file, folder, pattern or list of them
    columns : sequence of str, optional
        Endings to read, without the dot; by default those of the first 100 rows.
    files
        See :class:`~lightdata.read.options.FileOptions`.
    """
    from lightdata.io.formats.webdataset import WebDatasetFormat, is_image  # noqa: PLC0415 - as above

    asked = None if columns is None else tuple(one.lstrip(".").lower() for one in columns if one != "__key__")
    source = rows_of(paths, WebDatasetFormat(asked=asked), files, read_webdataset)
    return _rows(source, [name for name in source.file_format.schema or () if is_image(name)])


def read_lance(uri: str, *, version: int | str | None = None) -> Dataset:
    """Read a Lance dataset, through Polars.

    Raises
    ------
    ArgumentError
        If Lance is not installed.
    """
    if find_spec("lance") is None:
        raise ArgumentError("read_lance needs the package pylance; install lightdata[lance]")
    return Dataset(Scan(source=LazyFrameSource.open(pl.scan_lance(uri, version=version))))


def _is_open(kind: pa.DataType) -> bool:
    return isinstance(kind, ImageType) and not kind.spec.is_fixed


def _rows(source: FileRowsSource[Any], images: Sequence[str] = ()) -> Dataset:
    """Scan files; columns of encoded bytes that are images are taken for such, and decoded when somebody looks.

    Where rows may fail every image is decoded to know, those that the files hold as images too.
    """
    plan: Plan = Scan(source=source)
    held = (
        [] if source.on_error == "raise" else [name for name, kind in (source.schema or {}).items() if _is_open(kind)]
    )
    for column in [*images, *held]:
        plan = DecodeImages(input=plan, column=column, on_error=source.on_error)
    return Dataset(plan)
