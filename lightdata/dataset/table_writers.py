"""The verbs that run a query and write its rows to tables in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from lightdata.dataset.writing import PathLike, Writing, destination
from lightdata.errors import ArgumentError
from lightdata.io.location import FileSystem
from lightdata.io.sinks.part_sizes import PartSizes

if TYPE_CHECKING:
    # Each verb imports the sink that it needs.
    from lightdata.io.sinks.commit import WriteMode
    from lightdata.io.sinks.image_layout import ImageLayout
    from lightdata.io.sinks.result import WriteResult
    from lightdata.io.sinks.table_formats import TableFormat
    from lightdata.io.sinks.table_sink import TableSink

_PARQUET_CODECS = ("snappy", "gzip", "brotli", "lz4", "zstd", "none")


class TableWriters(Writing):
    """The formats of tables; :class:`Writing` says what all verbs have in common."""

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
