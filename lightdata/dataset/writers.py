"""The verbs that run a query and write its rows to files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lightdata.dataset.writing import Writing, check_on_error, destination
from lightdata.errors import ArgumentError
from lightdata.io.location import FileSystem
from lightdata.io.sinks.part_sizes import PartSizes
from lightdata.types.file_name import check_template

if TYPE_CHECKING:
    # Each verb imports the sink that it needs.
    from lightdata.io.sinks.commit import WriteMode
    from lightdata.io.sinks.image_layout import ImageLayout
    from lightdata.io.sinks.result import WriteResult
    from lightdata.io.sinks.table_formats import TableFormat
    from lightdata.io.sinks.table_sink import TableSink

PathLike = str | os.PathLike[str]
OnError = Literal["raise", "skip"]

_PARQUET_CODECS = ("snappy", "gzip", "brotli", "lz4", "zstd", "none")


class Writers(Writing):
    """The formats that a query can be written in.

    What all verbs have in common:

    path : folder, or the URL of one
        Made if it is not there. URLs, and paths of ``filesystem``, are staged on this machine and uploaded at the end.
    mode : "error", "overwrite", "append" or "ignore"
        What to do where the folder holds such output: refuse, replace it (other files stay), number new files on after
        the last, or do nothing, without running the query. Files named by their rows are never added to: one that is
        there is an error unless it may be replaced.
    resume : bool
        Go on where the same query was killed, or failed with ``resume=True``: what it had written is not done again.
        With ``mode="error"`` nothing is done where the output is complete. Another query there is an error.
    filesystem : optional
        An fsspec or pyarrow filesystem that the path belongs to.
    min_rows_per_file, max_rows_per_file, max_file_bytes : int, optional
        The rows of a part, the last one excepted, and the bytes at which a new one is begun. By default a part has
        about 128 rows with images, more without.
    partition_cols : sequence of str, optional
        Columns that name folders, ``label=cat/part-00000.parquet``, and are left out of the files; read them again with
        ``partitioning=ld.Partitioning("hive")``. Values are quoted as in URLs; null is ``__HIVE_DEFAULT_PARTITION__``.
    on_error : "raise" or "skip"
        What to do with a row that cannot be encoded: stop, or leave it out and list it in ``WriteResult.errors``.

    Beside the files an empty ``_SUCCESS`` says that all are there, and ``_errors.parquet``, where rows failed, lists
    them as ``WriteResult.errors`` does. pyarrow and lightdata pass over names that begin with ``_``; to read a folder
    with ``_errors.parquet``, Polars is told ``hidden_file_prefix="_"``.
    """

    def write_images(
        self,
        path: PathLike,
        column: str,
        file_format: str = "png",
        *,
        name: str | None = None,
        mode: WriteMode = "error",
        on_error: OnError = "raise",
        resume: bool = False,
        filesystem: FileSystem = None,
        **options: Any,
    ) -> WriteResult:
        """Write one image file a row.

        Parameters
        ----------
        path, mode, on_error, resume, filesystem
            As for all verbs that write.
        column : str
            Images, or uint8 pixels ``[H, W]`` or ``[H, W, 1|3|4]``; 16-bit grey goes to PNG and TIFF. Null images
            are left out, and listed in ``errors``.
        file_format : "png", "jpeg", "webp", "tiff" or "bmp"
        name : str, optional
            A column whose values name the files, or a template of columns and ``{row}``, such as
            ``"{label}/{row:06d}"``. By default files are numbered.
        options
            Pillow's for the format, such as ``quality=90``. PNG without options is made without Pillow, many times
            faster and about a tenth larger; ``compress_level=6`` gives the files that Pillow would make.

        Raises
        ------
        OutputExistsError
            If files would be replaced.
        EncodeError
            If the format cannot hold an image.
        """
        from lightdata.io.sinks.images import ImageSink  # noqa: PLC0415 - only for queries that are written
        from lightdata.kernels.encode import codec_of  # noqa: PLC0415 - only for queries that are written

        codec_of(file_format, options)
        check_template(name)
        sink = ImageSink(
            column=column,
            file_format=file_format.lower(),
            options=options,
            name=name,
            on_error=check_on_error(on_error),
        )
        return self._write(destination(path, mode, filesystem, resume=resume), sink)

    def write_parquet(
        self,
        path: PathLike,
        *,
        partition_cols: Sequence[str] | None = None,
        compression: str = "snappy",
        image_format: str | None = None,
        image_layout: Literal["lightdata", "huggingface"] = "lightdata",
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write Parquet files, ``part-00000.parquet`` and on.

        Parameters
        ----------
        path, partition_cols, min_rows_per_file, max_rows_per_file, max_file_bytes, mode, resume, filesystem
            As for all verbs that write.
        compression : "snappy", "zstd", "gzip", "brotli", "lz4" or "none"
        image_format : "png", "jpeg", "webp", "tiff" or "bmp", optional
            The format that all images get; those that have it keep their bytes. By default files stay as they came,
            with all that is in them, and pixels stay pixels.
        image_layout : "lightdata" or "huggingface"
            ``lightdata`` keeps the types of images and tensors: plain pyarrow and Ray see images as a struct with the
            bytes in ``payload``, Polars as an extension type of that. ``huggingface`` writes images as
            ``struct<bytes: binary, path: string>``, which ``datasets`` reads as its ``Image`` feature, pixels as PNG
            unless ``image_format`` says otherwise, and tensors of one shape as nested lists.

        Raises
        ------
        OutputExistsError
            If there is output of this kind that may not be replaced.
        """
        from lightdata.io.sinks.image_layout import ImageLayout  # noqa: PLC0415 - only for queries that are written
        from lightdata.io.sinks.table_formats import ParquetFormat  # noqa: PLC0415 - only for queries that are written

        if compression not in _PARQUET_CODECS:
            raise ArgumentError(f"compression is one of {', '.join(map(repr, _PARQUET_CODECS))}; got {compression!r}")
        layout = ImageLayout(style=image_layout, image_format=image_format)
        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        sink = _table(ParquetFormat(compression=compression), partition_cols, sizes, layout)
        return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)

    def write_csv(
        self,
        path: PathLike,
        *,
        partition_cols: Sequence[str] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write CSV files with a header, ``part-00000.csv`` and on: numbers, text, dates and booleans.

        A null is empty, an empty text is ``""``. The parameters are as for all verbs that write.

        Raises
        ------
        SchemaError
            If a column has images, tensors, bytes or nested values.
        """
        from lightdata.io.sinks.table_formats import CsvFormat  # noqa: PLC0415 - only for queries that are written

        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        sink = _table(CsvFormat(), partition_cols, sizes)
        return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)

    def write_json(
        self,
        path: PathLike,
        *,
        partition_cols: Sequence[str] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write JSON files with one object a line, ``part-00000.json`` and on.

        Numbers (NaN and infinities become null), text, times, and lists and structs of them.
        The parameters are as for all verbs that write.

        Raises
        ------
        SchemaError
            If a column has images, tensors or bytes.
        """
        from lightdata.io.sinks.table_formats import JsonFormat  # noqa: PLC0415 - only for queries that are written

        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        sink = _table(JsonFormat(), partition_cols, sizes)
        return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)

    def write_arrow(
        self,
        path: PathLike,
        *,
        partition_cols: Sequence[str] | None = None,
        compression: Literal["lz4", "zstd"] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write Arrow IPC files, ``part-00000.arrow`` and on; every column keeps its type.

        Without ``compression`` readers can map them into memory. The other parameters are as for all verbs that write.
        """
        from lightdata.io.sinks.table_formats import ArrowFormat  # noqa: PLC0415 - only for queries that are written

        if compression not in (None, "lz4", "zstd"):
            raise ArgumentError(f"compression of Arrow files is 'lz4', 'zstd' or None; got {compression!r}")
        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        sink = _table(ArrowFormat(compression=compression), partition_cols, sizes)
        return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)

    def write_tfrecords(
        self,
        path: PathLike,
        *,
        partition_cols: Sequence[str] | None = None,
        compression: Literal["GZIP", "ZLIB"] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write TFRecord files of ``tf.train.Example`` messages, ``part-00000.tfrecords`` and on.

        Integers and booleans become ``int64_list``, floats ``float_list`` (float64 is rounded to float32), text,
        bytes and images ``bytes_list``: an image is the bytes of its file, or a PNG where it is pixels. Lists become
        several values. So do tensors of one shape, row by row; their shape is not written, and given again when they
        are read, as in ``read_tfrecords(..., schema={"x": ld.tensor_type("float32", (2, 3))})``. A null is a missing
        feature.

        Parameters
        ----------
        path, partition_cols, min_rows_per_file, max_rows_per_file, max_file_bytes, mode, resume, filesystem
            As for all verbs that write.
        compression : "GZIP" or "ZLIB", optional
            Of the whole files; their names then end in ``.gz`` or ``.zlib``.

        Raises
        ------
        SchemaError
            If a column is of a type that no feature holds, such as dates or lists of lists.
        EncodeError
            If a value is out of the range of int64 or float32, a list holds a null, or tensors have many shapes of
            more than one dimension.
        """
        from lightdata.io.formats.tfrecord.table import TFRecordTable  # noqa: PLC0415 - protobuf is for those who write it

        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        sink = _table(TFRecordTable(compression=compression), partition_cols, sizes)
        return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)

    def write_numpy(
        self,
        path: PathLike,
        column: str,
        *,
        single_file: bool = False,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write one column as NumPy files ``[N, ...]``, ``part-00000.npy`` and on.

        Parameters
        ----------
        path, min_rows_per_file, max_rows_per_file, max_file_bytes, mode, resume, filesystem
            As for all verbs that write; with ``single_file``, ``path`` is the file.
        column : str
        single_file : bool
            Write all rows as one array, also if there are none; they need not fit in memory.

        Raises
        ------
        EncodeError
            If rows differ in shape or are null: nothing is ever pickled.
        """
        from lightdata.io.sinks.numpy_sink import NumpySink  # noqa: PLC0415 - only for queries that are written

        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        if not single_file:
            sink = NumpySink(column=column, sizes=sizes)
            return self._write(destination(path, mode, filesystem, resume=resume), sink, multiple_of=sizes.multiple_of)
        folder, name = _split(os.fspath(path))
        to = destination(folder, mode, filesystem, resume=resume, file=name)
        sink = NumpySink(column=column, sizes=sizes, single=name)
        schema = self._known_schema()
        return self._write(to, sink, joined=lambda files, staging: sink.joined(files, staging, schema))

    def write_webdataset(
        self,
        path: PathLike,
        *,
        extensions: Mapping[str, str] | None = None,
        image_format: str = "png",
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        max_file_bytes: int | None = None,
        mode: WriteMode = "error",
        on_error: OnError = "raise",
        resume: bool = False,
        filesystem: FileSystem = None,
    ) -> WriteResult:
        """Write WebDataset shards, ``shard-000000.tar`` and on, with a member ``{key}.{extension}`` for each value.

        The key is the column ``__key__``, or ``key``, or else the number of the row. The extension says how readers
        decode: a column named as one (``jpg``, ``txt``, ``cls``, ``json``, ``npy``, ``left.jpg``) is written as such;
        others get one by their type, text ``caption.txt``, integers ``label.cls``, tensors ``x.npy``, bytes ``x.bin``,
        all else ``x.json``. Images keep the bytes and the extension of their files. Nulls have no member.

        Parameters
        ----------
        path, min_rows_per_file, max_rows_per_file, max_file_bytes, mode, on_error, resume, filesystem
            As for all verbs that write.
        extensions : mapping, optional
            Extensions of columns, such as ``{"label": "cls", "photo": "jpg"}``.
        image_format : "png", "jpeg", "webp", "tiff" or "bmp"
            The format of images that are pixels.

        Raises
        ------
        ArgumentError
            If rows without keys would be added to a folder: numbers would name two rows.
        EncodeError
            If a key is null, repeats itself in a shard, or is no file name.
        """
        from lightdata.io.sinks.webdataset_sink import WebDatasetSink  # noqa: PLC0415 - only for queries that are written
        from lightdata.kernels.encode import codec_of  # noqa: PLC0415 - only for queries that are written

        codec_of(image_format)
        sizes = PartSizes(
            min_rows_per_file=min_rows_per_file, max_rows_per_file=max_rows_per_file, max_file_bytes=max_file_bytes
        )
        to = destination(path, mode, filesystem, resume=resume)
        sink = WebDatasetSink(
            extensions=dict(extensions or {}),
            image_format=image_format,
            sizes=sizes,
            on_error=check_on_error(on_error),
            needs_keys=to.mode == "append",
        )
        return self._write(to, sink, multiple_of=sizes.multiple_of)


def _table(
    file_format: TableFormat, partition_cols: Sequence[str] | None, sizes: PartSizes, layout: ImageLayout | None = None
) -> TableSink:
    from lightdata.io.sinks.table_sink import TableSink  # noqa: PLC0415 - only for queries that are written

    if isinstance(partition_cols, str):
        raise ArgumentError(f"partition_cols is a list of columns; got {partition_cols!r}, write [{partition_cols!r}]")
    names = tuple(partition_cols or ())
    if len(set(names)) < len(names):
        raise ArgumentError(f"partition_cols names a column twice: {', '.join(names)}")
    return TableSink(file_format=file_format, partition_cols=names, sizes=sizes, layout=layout)


def _split(path: str) -> tuple[str, str]:
    """Split the path of a file in its folder and its name, which ends with ``.npy``.

    >>> _split("out/x.npy"), _split("memory://x"), _split("x.npy")
    (('out', 'x.npy'), ('memory://', 'x.npy'), ('.', 'x.npy'))
    """
    folder, slash, name = path.replace(os.sep, "/").rpartition("/")
    if not name:
        raise ArgumentError(f"{path!r} is a folder; with single_file=True the path is that of the file")
    folder = folder + slash if folder.endswith(("/", ":")) or not folder else folder
    return folder or ".", name if name.endswith(".npy") else f"{name}.npy"
