"""Compute deferred columns: chains of image and tensor operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from lightdata.errors import DecodeError, RowError, SchemaError
from lightdata.expr.deferred import Chain
from lightdata.kernels import geometry, tensor
from lightdata.kernels.columns import column_of
from lightdata.kernels.decode import convert, decode_file, from_pillow, to_pillow, to_pixels
from lightdata.kernels.encode import codec_of, encode_image
from lightdata.kernels.header import count_frames, exif_tag, read_header
from lightdata.physical.stage import uri_of
from lightdata.types.image import (
    RAW,
    EncodedImage,
    ImageType,
    as_dynamic,
    binary_values,
    dynamic_images,
    iter_images,
    raw_image,
)
from lightdata.types.image_spec import MODES
from lightdata.types.operation import AsImage, Attribute, Decode, Encode, ImageOperation, Known, Operation, ToTensor
from lightdata.types.plain_array import plain_array
from lightdata.types.tensor import is_tensor, tensor_rows
from lightdata.types.tensor_operation import CosineSimilarity, TensorOperation

Pixels = NDArray[Any]


class Picture:
    """One image of a batch, decoded at most once however many chains start from it."""

    def __init__(self, image: EncodedImage, *, is_shared: bool = False) -> None:
        self.header = image
        self._is_shared = is_shared
        self._made: dict[tuple[Operation, ...], Image.Image] = {}

    def pillow(self, operations: tuple[Operation, ...]) -> Image.Image:
        """Give the image after some operations; shared beginnings are computed once."""
        made = self._made.get(operations)
        if made is None:
            made = self._make(operations)
            if self._is_shared:  # else a whole batch of decoded photos would wait for nobody
                self._made[operations] = made
        return made

    def _make(self, operations: tuple[Operation, ...]) -> Image.Image:
        match operations:
            case ():
                return to_pillow(self.header)
            case (Decode(mode=mode, exif_transpose=upright),) if self.header.encoding != RAW:
                return decode_file(self.header.payload, mode, upright=upright)
            case (*before, Decode(mode=mode)):
                image = self.pillow(tuple(before))
                return image if mode is None else convert(image, mode)
            case (*before, AsImage()):
                return self.pillow(tuple(before))
            case (*before, ImageOperation() as operation):
                return geometry.apply(operation, self.pillow(tuple(before)))
        raise TypeError(f"no kernel for {operations[-1]}; add a case to {__name__}")

    def pixels(self, operations: tuple[Operation, ...]) -> Pixels:
        """Give the pixels after some operations: ``[H, W]`` or ``[H, W, C]``."""
        plain = all(isinstance(step, AsImage) or step == Decode() for step in operations)
        return to_pixels(self.header) if plain and not self._made else np.asarray(self.pillow(operations))


class Pictures:
    """The image columns of one batch, shared by all chains on it."""

    def __init__(self, batch: pa.RecordBatch, *, is_shared: bool = False) -> None:
        self.batch = batch
        self._is_shared = is_shared
        self._columns: dict[str, list[Picture | None]] = {}

    def of(self, column: str, stage: str) -> list[Picture | None]:
        """List a column's images."""
        if column not in self._columns:
            self._columns[column] = self._read(self.batch.column(column), stage)
        return self._columns[column]

    def _read(self, array: pa.Array, stage: str) -> list[Picture | None]:
        if isinstance(array.type, ImageType):
            return [None if image is None else self._picture(image) for image in iter_images(array)]
        if is_tensor(array.type):
            return self.each(tensor_rows(array), lambda row: self._picture(raw_image(_squeezed(row))), stage)
        if pa.types.is_null(array.type):
            return [None] * len(array)
        return self.each(binary_values(array), lambda payload: self._picture(read_header(payload)), stage)

    def _picture(self, image: EncodedImage) -> Picture:
        return Picture(image, is_shared=self._is_shared)

    def each(self, values: Iterable[Any], make: Callable[[Any], Any], stage: str) -> list[Any]:
        """Apply a function to every value that is not null; errors say which row and file."""
        made: list[Any] = []
        for number, value in enumerate(values):
            try:
                made.append(None if value is None else make(value))
            except RowError as error:
                raise error.at(uri=uri_of(self.batch, number), row=number, stage=stage) from error.__cause__
            except (SchemaError, MemoryError) as error:
                place = {"uri": uri_of(self.batch, number), "row": number, "stage": stage}
                raise DecodeError(f"{error}", **place) from error  # type: ignore[arg-type]
        return made


def compute_chains(batch: pa.RecordBatch, chains: Iterable[Chain]) -> dict[str, pa.Array]:
    """Compute deferred columns, by name."""
    chains = list(chains)
    pictures = Pictures(batch, is_shared=len(chains) > 1)
    return {chain.name: compute_chain(chain, batch, pictures) for chain in chains}


def compute_chain(chain: Chain, batch: pa.RecordBatch, pictures: Pictures) -> pa.Array:
    """Compute one deferred column; a null input gives null."""
    base = batch.column(chain.column)
    operations = chain.operations
    if not operations:
        return base
    if isinstance(base.type, ImageType) and all(isinstance(step, AsImage) for step in operations):
        return as_dynamic(base)
    kind = chain.type_in({chain.column: base.type})
    split = next(
        (place for place, step in enumerate(operations) if not isinstance(step, ImageOperation)),
        len(operations),
    )
    images = tuple(step for step in operations[:split] if isinstance(step, ImageOperation))
    rest = operations[split:]
    if rest and isinstance(rest[0], TensorOperation):
        return _tensor_chain(tensor_rows(base), rest, kind, batch)
    rows = pictures.of(chain.column, str(chain))
    match rest:
        case ():
            return _image_column(pictures, rows, chain, kind)
        case (Attribute() as attribute,):
            return plain_array(pictures.each(rows, lambda row: _answer(row, images, attribute), str(chain)), kind)
        case (Encode() as encode,):
            codec = codec_of(encode.format, encode.options)
            encoded = pictures.each(
                rows, lambda row: encode_image(row.pillow(images), codec, encode.options), str(chain)
            )
            return plain_array(encoded, kind)
        case (ToTensor() as to, *more):
            pixels = pictures.each(rows, lambda row: row.pixels(images), str(chain))
            return _tensor_chain(pixels, (to, *more), kind, batch)
    raise TypeError(f"no kernel for {rest}; add a case to {__name__}")


def _image_column(pictures: Pictures, rows: list[Picture | None], chain: Chain, kind: ImageType) -> pa.Array:
    operations = chain.operations
    if kind.spec.is_fixed:
        return column_of(pictures.each(rows, lambda row: row.pixels(operations), str(chain)), kind)
    return dynamic_images(pictures.each(rows, lambda row: from_pillow(row.pillow(operations)), str(chain)))


def _answer(picture: Picture, operations: tuple[ImageOperation, ...], attribute: Attribute) -> Any:
    """Answer from the header where it tells; only a turn by EXIF orientation needs the image."""
    header = picture.header
    known = Known(header.mode, header.height, header.width)
    for operation in operations:
        known = operation.known(known) if not isinstance(operation, AsImage | Decode) else _decoded(known, operation)
    if None in known or any(isinstance(step, Decode) and not step.exif_transpose for step in operations):
        image = picture.pillow(operations)
        known = Known(image.mode, image.height, image.width)
    match attribute.name:
        case "width":
            return known.width
        case "height":
            return known.height
        case "mode":
            return known.mode
        case "channels":
            return MODES[str(known.mode)][1]
        case "format":
            return RAW if operations else header.encoding
        case "n_frames":
            return 1 if operations or header.encoding == RAW else count_frames(header.payload)
        case _:
            return None if operations or header.encoding == RAW else exif_tag(header.payload, int(attribute.tag or 0))


def _decoded(known: Known, operation: AsImage | Decode) -> Known:
    mode = operation.mode if isinstance(operation, Decode) else None
    return known if mode is None else Known(mode, known.height, known.width)


def _tensor_chain(
    rows: Sequence[Pixels | None], operations: Sequence[Operation], kind: pa.DataType, batch: pa.RecordBatch
) -> pa.Array:
    """Apply tensor operations to rows of equal shape together, and to others one by one."""
    others = [_other_rows(step, batch) for step in operations]
    present = [number for number, row in enumerate(rows) if row is not None]
    results: list[Pixels | None] = [None] * len(rows)
    for numbers in _runs_of_equal_shape(rows, present):
        stack = np.stack([np.asarray(rows[number]) for number in numbers])
        for step, other in zip(operations, others, strict=True):
            stack = _apply(step, stack, None if other is None else other(numbers))
        for place, number in enumerate(numbers):
            results[number] = stack[place]
    return column_of(results, kind)


def _runs_of_equal_shape(rows: Sequence[Pixels | None], present: list[int]) -> Iterable[list[int]]:
    runs: dict[tuple[int, ...], list[int]] = {}
    for number in present:
        runs.setdefault(np.shape(rows[number]), []).append(number)  # type: ignore[arg-type]  # present rows are arrays
    return runs.values()


def _apply(step: Operation, stack: Pixels, other: Pixels | None) -> Pixels:
    if isinstance(step, ToTensor):
        return tensor.to_tensor(stack, step)
    if isinstance(step, TensorOperation):
        return tensor.apply(step, stack, other)
    raise TypeError(f"no kernel for {step}; add a case to {__name__}")


def _other_rows(step: Operation, batch: pa.RecordBatch) -> Callable[[list[int]], Pixels] | None:
    if not isinstance(step, CosineSimilarity):
        return None
    if not isinstance(step.other, Chain):
        vector = np.asarray(step.other)
        return lambda _: vector
    rows = tensor_rows(compute_chain(step.other, batch, Pictures(batch)))
    return lambda numbers: np.stack([np.asarray(rows[number]) for number in numbers])


def _squeezed(row: Pixels) -> Pixels:
    return row[..., 0] if row.ndim == 3 and row.shape[2] == 1 else row  # noqa: PLR2004 - [H, W, 1] is one channel
