"""The verbs that run a query and write its rows to images, arrays and shards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from lightdata.dataset.table_writers import TableWriters
from lightdata.dataset.writing import PathLike, check_on_error, destination
from lightdata.errors import ArgumentError
from lightdata.io.location import FileSystem
from lightdata.io.sinks.part_sizes import PartSizes
from lightdata.types.file_name import check_template

if TYPE_CHECKING:
    # Each verb imports the sink that it needs.
    from lightdata.io.sinks.commit import WriteMode
    from lightdata.io.sinks.result import WriteResult

OnError = Literal["raise", "skip"]


class Writers(TableWriters):
    """The formats that a query can be written in; :class:`Writing` says what all verbs have in common."""

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
