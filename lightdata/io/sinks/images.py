"""Write one image file a row."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import EncodeError, RowError, SchemaError
from lightdata.io.sinks.sink import StagedFile, left_out
from lightdata.kernels.columns import pixel_rows
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.encode import Codec, codec_of, encode_pixels
from lightdata.kernels.tally import row_in_hand
from lightdata.types.file_name import checked_name, filled_template, in_braces, name_columns
from lightdata.types.image import EncodedImage, ImageType, iter_images
from lightdata.types.image_spec import mode_of
from lightdata.types.result_type import image_known
from lightdata.types.schema import Schema, describe

_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif")
"""What is taken off a file's name to name another; any other dot is part of the name."""

_Pixels = EncodedImage | NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSink:
    """Image files named by a column, a template, or their place in the output."""

    column: str
    file_format: str
    options: Mapping[str, Any]
    name: str | None = None
    """A column of names, or a template such as ``{label}/{row:06d}`` with columns and the row's number."""

    on_error: str = "raise"

    @property
    def is_numbered(self) -> bool:
        """Numbered unless a column or template names them."""
        return self.name is None

    @property
    def task_rows(self) -> int:
        """Few: every row is a file of its own."""
        return 1

    def columns(self) -> tuple[str, ...]:
        """The images, and what names them."""
        return tuple(dict.fromkeys((self.column, *self._name_columns())))

    def check(self, schema: Schema) -> None:
        """Refuse columns that are no images, and modes the format cannot hold."""
        kind = schema[self.column]
        codec = codec_of(self.file_format, self.options)
        known = image_known(kind)
        if known is None or pa.types.is_large_binary(kind):
            raise SchemaError(
                f"write_images: column {self.column!r} is {describe(kind)}; it takes images, or uint8 pixels [H, W] or "
                "[H, W, 1|3|4]. Scale floats to 0..255 and cast them to uint8 first"
            )
        if known.mode is not None and known.mode not in codec.modes and not self._is_exact(codec.name, known.mode):
            raise SchemaError(
                f"write_images: {codec.name} cannot hold {describe(kind)}; convert it with .image.to_mode('RGB'), "
                "or choose PNG or TIFF"
            )

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write every image that is not null."""
        codec = codec_of(self.file_format, self.options)
        row = 0
        for batch in batches:
            images, names = self._images(batch), self._name_values(batch)
            for number in range(batch.num_rows):
                row_in_hand(number)
                try:
                    yield self._staged(
                        images[number], {key: name[number] for key, name in names.items()}, codec, staging
                    )
                except RowError as error:
                    if self.on_error == "raise":
                        raise error.at(row=number) from error.__cause__
                    yield left_out(error, row=row, name=None)
                row += 1

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Every image stands for itself."""

    def final_name(self, number: int) -> str:
        """Number the files."""
        return f"{number:06d}.{codec_of(self.file_format).suffix}"

    def __str__(self) -> str:
        return f"images[{self.column} as {self.file_format}]"

    def _is_exact(self, codec: str, mode: str) -> bool:
        return codec == "WEBP" and mode in ("L", "LA")

    def _staged(self, image: _Pixels | None, names: Mapping[str, Any], codec: Codec, staging: Path) -> StagedFile:
        if image is None:
            return StagedFile("", None, 0, 0)
        name = None if self.name is None else checked_name(self._rendered(names), codec.suffix)
        content = encode_pixels(*_pixels_of(image), codec, self.options)
        path = staging / f"{uuid.uuid4().hex}.{codec.suffix}"
        path.write_bytes(content)
        return StagedFile(str(path), name, 1, len(content))

    def _images(self, batch: pa.RecordBatch) -> Sequence[_Pixels | None]:
        column = batch.column(self.column)
        return iter_images(column) if isinstance(column.type, ImageType) else pixel_rows(column)

    def _name_columns(self) -> tuple[str, ...]:
        return () if self.name is None else name_columns(self.name)

    def _name_values(self, batch: pa.RecordBatch) -> dict[str, list[Any]]:
        return {name: batch.column(name).to_pylist() for name in self._name_columns()}

    def _rendered(self, values: Mapping[str, Any]) -> str:
        """Fill in a row's values; its number is only known at commit, so ``{row}`` stays."""
        if nulls := [name for name, value in values.items() if value is None]:
            raise EncodeError(f"{nulls[0]} is null, which cannot name a file")
        if self.name is not None and "{" not in self.name:
            stem, suffix = os.path.splitext(os.path.basename(str(values[self.name])))
            return in_braces(stem if suffix.lower() in _SUFFIXES else stem + suffix)
        return filled_template(self.name or "", values)


def _pixels_of(image: _Pixels) -> tuple[NDArray[Any], str]:
    """Give an image as an array, and its mode."""
    if isinstance(image, EncodedImage):
        return to_pixels(image), image.mode
    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image  # noqa: PLR2004 - one channel
    mode = mode_of(pixels.shape, pixels.dtype)
    if mode is None:
        raise EncodeError(
            f"a {pixels.dtype} array of shape {pixels.shape} is no image; images are uint8 [H, W] or [H, W, 1|3|4]. "
            "Scale floats to 0..255 and cast them to uint8 first"
        )
    return pixels, mode
