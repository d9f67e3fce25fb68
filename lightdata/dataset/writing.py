"""The verbs that run a query and write its rows to files."""

from __future__ import annotations

import os
from typing import Any, Literal

from lightdata.dataset.consumption import Consumption
from lightdata.io.commit import WriteMode, WriteResult, check_target, commit, staging_in
from lightdata.io.images import ImageSink, check_template
from lightdata.io.part_sinks import NumpySink, ParquetSink
from lightdata.io.sink import Sink, StagedFile
from lightdata.io.tfrecord.sink import TFRecordSink
from lightdata.kernels.encode import codec_of
from lightdata.plan.node import Write
from lightdata.plan.verify import verify_step


class Writing(Consumption):
    """A query that can be written.

    Files are written by the workers into a hidden folder inside the target and moved into place together at the
    end; a run that fails leaves nothing.
    """

    def write_images(
        self,
        path: str | os.PathLike[str],
        column: str,
        file_format: str = "png",
        *,
        name: str | None = None,
        mode: WriteMode = "error",
        **options: Any,
    ) -> WriteResult:
        """Write one image file a row.

        Parameters
        ----------
        path : folder
        column : str
            Images, or uint8 pixels ``[H, W]`` or ``[H, W, 1|3|4]``; 16-bit grey goes to PNG and TIFF. Null images
            are left out.
        file_format : "png", "jpeg", "webp", "tiff" or "bmp"
        name : str, optional
            A column whose values name the files, or a template of columns and ``{row}``, such as
            ``"{label}/{row:06d}"``. By default files are numbered.
        mode : "error" or "overwrite"
            Whether files of the same name may be replaced; numbered files of a longer output before are removed then.
        options
            Pillow's for the format, such as ``quality=90``.

        Raises
        ------
        OutputExistsError
            If files would be replaced.
        EncodeError
            If the format cannot hold an image.
        """
        codec_of(file_format, options)
        check_template(name)
        sink = ImageSink(column=column, file_format=file_format.lower(), options=options, name=name)
        return self._write(path, sink, mode)

    def write_parquet(
        self, path: str | os.PathLike[str], *, compression: str = "snappy", mode: WriteMode = "error"
    ) -> WriteResult:
        """Write Parquet files, ``part-00000.parquet`` and on, into a folder.

        Images and tensors keep their types; an untouched image column keeps the bytes of its files.
        """
        return self._write(path, ParquetSink(compression=compression), mode)

    def write_numpy(self, path: str | os.PathLike[str], column: str, *, mode: WriteMode = "error") -> WriteResult:
        """Write one column as NumPy files ``[N, ...]``, ``part-00000.npy`` and on, into a folder.

        Raises
        ------
        EncodeError
            If rows differ in shape or are null: nothing is ever pickled.
        """
        return self._write(path, NumpySink(column=column), mode)

    def write_tfrecords(
        self,
        path: str | os.PathLike[str],
        *,
        compression: Literal["GZIP", "ZLIB"] | None = None,
        mode: WriteMode = "error",
    ) -> WriteResult:
        """Write TFRecord files of ``tf.train.Example`` messages, ``part-00000.tfrecords`` and on, into a folder.

        Integers and booleans become ``int64_list``, floats ``float_list`` (float64 is rounded to float32), text,
        bytes and images ``bytes_list``: an image is the bytes of its file, or a PNG where it is pixels. Lists become
        several values. So do tensors of one shape, row by row; their shape is not written, and given again when they
        are read, as in ``read_tfrecords(..., schema={"x": ld.tensor_type("float32", (2, 3))})``. A null is a missing
        feature.

        Parameters
        ----------
        path : folder
        compression : "GZIP" or "ZLIB", optional
            Of the whole files; their names then end in ``.gz`` or ``.zlib``.
        mode : "error" or "overwrite"
            Whether files of the same name may be replaced.

        Raises
        ------
        SchemaError
            If a column is of a type that no feature holds, such as dates or lists of lists.
        EncodeError
            If a value is out of the range of int64 or float32, a list holds a null, or tensors have many shapes of
            more than one dimension.
        """
        return self._write(path, TFRecordSink(compression=compression), mode)

    def _write(self, path: str | os.PathLike[str], sink: Sink, mode: WriteMode) -> WriteResult:
        verify_step(Write(input=self._plan, sink=sink, directory=""))
        target = check_target(path, sink, mode)
        with staging_in(target) as staging:
            files: list[StagedFile] = []
            plan = Write(input=self._plan, sink=sink, directory=str(staging.absolute()))
            for batch in self._run(plan, verb=f"write {sink}"):
                files.extend(StagedFile(**row) for row in batch.to_pylist())
            return commit(target, sink, files, mode=mode)
