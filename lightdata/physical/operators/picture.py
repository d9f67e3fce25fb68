"""Images of a row: opened once, for all that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import DecodeError, RowError, SchemaError
from lightdata.io.uris.redaction import safe_url
from lightdata.kernels import geometry
from lightdata.kernels.decode import decode_file, to_raster, to_smaller_raster
from lightdata.kernels.header import read_header
from lightdata.kernels.raster import Raster
from lightdata.kernels.tally import row_in_hand
from lightdata.physical.stage import name_rows, uri_of
from lightdata.types.image import RAW, EncodedImage, ImageType, binary_values, iter_images, raw_image
from lightdata.types.operation import (
    AsImage,
    Decode,
    ExifTranspose,
    ImageOperation,
    Letterbox,
    Operation,
    Resize,
    ResizeShortest,
    ToMode,
)
from lightdata.types.tensor import is_tensor, tensor_rows

Pixels = NDArray[Any]


class Picture:
    """One image of a row, decoded at most once however many chains start from it."""

    def __init__(self, image: EncodedImage, *, is_shared: bool = False) -> None:
        self.header = image
        self._is_shared = is_shared
        self._made: dict[tuple[Operation, ...], Raster] = {}

    def raster(self, operations: tuple[Operation, ...]) -> Raster:
        """Give the image after some operations; shared beginnings are computed once."""
        made = self._made.get(operations)
        if made is None:
            made = self._make(operations)
            if self._is_shared:
                self._made[operations] = made
        return made

    def _make(self, operations: tuple[Operation, ...]) -> Raster:
        match operations:
            case ():
                return to_raster(self.header)
            case (Decode(mode=mode, exif_transpose=upright),) if self.header.encoding != RAW and not (
                mode is None and upright
            ):
                return Raster(decode_file(self.header.payload, mode or self.header.mode, upright=upright))
            case (*before, Decode(mode=mode)):
                image = self.raster(tuple(before))
                return image if mode is None else geometry.apply(ToMode(mode=mode), image)
            case (*before, AsImage()):
                return self.raster(tuple(before))
            case (*before, ExifTranspose()) if not _is_as_held(before):
                return self.raster(tuple(before))
            case (*before, Resize() | ResizeShortest() as operation):
                smaller = self._smaller(before, operation)
                return geometry.apply(operation, self.raster(tuple(before)) if smaller is None else smaller)
            case (*before, Letterbox() as operation) if (smaller := self._smaller(before, operation)) is not None:
                place = operation.placed(self.header.height, self.header.width)
                return geometry.letterboxed(smaller, operation, place)
            case (*before, ImageOperation() as operation):
                return geometry.apply(operation, self.raster(tuple(before)))
        raise TypeError(f"no kernel for {operations[-1]}; add a case to {__name__}")

    def pixels(self, operations: tuple[Operation, ...]) -> Pixels:
        """Give the pixels after some operations: ``[H, W]`` or ``[H, W, C]``."""
        return self.raster(operations).array()

    def _smaller(self, before: Sequence[Operation], operation: Resize | ResizeShortest | Letterbox) -> Raster | None:
        if operation.interpolation == "nearest" or not self._is_whole(before):
            return None
        return to_smaller_raster(self.header, *operation.target(self.header.height, self.header.width))

    def _is_whole(self, operations: Sequence[Operation]) -> bool:
        """Whether operations leave the image as its file has it."""
        idle = (Decode(), Decode(on_error="null"), ToMode(mode=self.header.mode))
        return all(isinstance(step, AsImage) or step in idle for step in operations)


def _is_as_held(operations: Sequence[Operation]) -> bool:
    """Whether an image may still lie as the camera was held: everything else is upright, whatever its file says."""
    return bool(operations) and isinstance(operations[0], Decode) and not operations[0].exif_transpose


def images_of(batch: pa.RecordBatch, column: str, stage: str) -> list[EncodedImage | None]:
    """List a column's images: an image column's, encoded bytes, or uint8 pixels.

    Raises
    ------
    DecodeError
        For the first that is none.
    """
    images: list[EncodedImage | None] = []
    name_rows(batch)
    for number, image in enumerate(headers_of(batch.column(column))):
        with naming_row(batch, number, stage):
            images.append(known(image))
    return images


def known(image: EncodedImage | DecodeError | None) -> EncodedImage | None:
    """Give an image whose header could be read, or raise what was wrong with it."""
    if isinstance(image, DecodeError):
        raise image
    return image


def headers_of(array: pa.Array) -> list[EncodedImage | DecodeError | None]:
    """List a column's images, or what is wrong with each."""
    if isinstance(array.type, ImageType):
        return list(iter_images(array))
    if pa.types.is_null(array.type):
        return [None] * len(array)
    make: Callable[[Any], EncodedImage] = read_header
    values: Iterable[Any] = ()
    if is_tensor(array.type):
        values, make = tensor_rows(array), lambda row: raw_image(_squeezed(row))
    else:
        values = binary_values(array)
    return [None if value is None else _header(make, value, number) for number, value in enumerate(values)]


def _header(make: Callable[[Any], EncodedImage], value: Any, number: int) -> EncodedImage | DecodeError:
    row_in_hand(number)
    try:
        return make(value)
    except DecodeError as error:
        return error
    except MemoryError as error:
        return DecodeError.of_memory(error)
    except SchemaError as error:
        return DecodeError(f"{error}")


class Place(NamedTuple):
    """Where a value comes from and what is done with it."""

    batch: pa.RecordBatch
    row: int
    stage: str
    url: str | None = None
    """The column of URLs that it was read from, if it was."""

    def of(self, error: RowError) -> RowError:
        """Copy an error saying where it happened."""
        return error.at(uri=self._uri(), row=self.row, stage=self.stage)

    def _uri(self) -> str | None:
        if self.url is None:
            return uri_of(self.batch, self.row)
        return safe_url(str(self.batch.column(self.url)[self.row]))


def naming_row(batch: pa.RecordBatch, number: int, stage: str) -> AbstractContextManager[None]:
    """Let errors say which row and file they come from."""
    return naming(Place(batch, number, stage))


@contextmanager
def naming(place: Place) -> Iterator[None]:
    """Let errors say where they come from."""
    try:
        yield
    except RowError as error:
        raise place.of(error) from error.__cause__
    except MemoryError as error:
        raise place.of(DecodeError.of_memory(error)) from error
    except SchemaError as error:
        raise place.of(DecodeError(f"{error}")) from error


def _squeezed(row: Pixels) -> Pixels:
    return row[..., 0] if row.ndim == 3 and row.shape[2] == 1 else row  # noqa: PLR2004 - [H, W, 1] is one channel
