"""Compute deferred columns: chains of image and tensor operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.expr.deferred import Chain
from lightdata.kernels import tensor
from lightdata.kernels.columns import column_of
from lightdata.kernels.decode import from_pillow
from lightdata.kernels.encode import codec_of, encode_image
from lightdata.kernels.header import count_frames, exif_tag
from lightdata.physical.operators.picture import Picture, images_of, naming_row
from lightdata.types.image import RAW, EncodedImage, ImageType, as_dynamic, dynamic_images
from lightdata.types.image_spec import MODES
from lightdata.types.operation import AsImage, Attribute, Decode, Encode, ImageOperation, Known, Operation, ToTensor
from lightdata.types.plain_array import plain_array
from lightdata.types.tensor import tensor_rows
from lightdata.types.tensor_operation import CosineSimilarity, TensorOperation

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class PixelWork:
    """A chain that looks at images: what it makes of one, and the column of all that it made."""

    chain: Chain
    images: tuple[ImageOperation, ...]
    rest: tuple[Operation, ...]
    kind: pa.DataType

    @classmethod
    def of(cls, chain: Chain, kind: pa.DataType) -> PixelWork:
        """Split a chain where it stops making images."""
        images: list[ImageOperation] = []
        for step in chain.operations:
            if not isinstance(step, ImageOperation):
                break
            images.append(step)
        return cls(chain, tuple(images), chain.operations[len(images) :], kind)

    @property
    def needs_pixels(self) -> bool:
        """Whether it looks further than the header; a rare turn by EXIF orientation aside."""
        return not any(isinstance(step, Attribute) for step in self.rest)

    def value(self, picture: Picture) -> Any:
        """Compute one row."""
        match self.rest:
            case () if not self.kind.spec.is_fixed:
                return from_pillow(picture.pillow(self.images))
            case () | (ToTensor(), *_):
                return picture.pixels(self.images)
            case (Attribute() as attribute,):
                return _answer(picture, self.images, attribute)
            case (Encode() as encode,):
                codec = codec_of(encode.format, encode.options)
                return encode_image(picture.pillow(self.images), codec, encode.options)
        raise TypeError(f"no kernel for {self.rest}; add a case to {__name__}")

    def column(self, values: list[Any], batch: pa.RecordBatch) -> pa.Array:
        """Build the column of all rows."""
        match self.rest:
            case () if not self.kind.spec.is_fixed:
                return dynamic_images(values)
            case ():
                return column_of(values, self.kind)
            case (ToTensor(), *_):
                return _tensor_chain(values, self.rest, self.kind, batch)
        return plain_array(values, self.kind)


def compute_chains(batch: pa.RecordBatch, chains: Iterable[Chain]) -> dict[str, pa.Array]:
    """Compute deferred columns, by name; a null input gives null.

    All chains of one row are computed before the next row is looked at: what they share is computed once, and only
    the row at hand holds decoded images that are not a result.
    """
    made: dict[str, pa.Array | PixelWork] = {chain.name: _without_pixels(chain, batch) for chain in chains}
    work = [one for one in made.values() if isinstance(one, PixelWork)]
    columns = {
        one.chain.name: one.column(values, batch) for one, values in zip(work, _values(work, batch), strict=True)
    }
    return {**made, **columns}


def _without_pixels(chain: Chain, batch: pa.RecordBatch) -> pa.Array | PixelWork:
    """Compute a chain that looks at no image, or say what there is to do."""
    base = batch.column(chain.column)
    operations = chain.operations
    if not operations:
        return base
    if isinstance(base.type, ImageType) and all(isinstance(step, AsImage) for step in operations):
        return as_dynamic(base)
    kind = chain.type_in({chain.column: base.type})
    if isinstance(operations[0], TensorOperation):
        return _tensor_chain(tensor_rows(base), operations, kind, batch)
    return PixelWork.of(chain, kind)


def _values(work: Sequence[PixelWork], batch: pa.RecordBatch) -> list[list[Any]]:
    """Compute what each chain makes of each row, row by row."""
    images: dict[str, list[EncodedImage | None]] = {}
    for one in work:
        if one.chain.column not in images:
            images[one.chain.column] = images_of(batch, one.chain.column, str(one.chain))
    looks = Counter(one.chain.column for one in work if one.needs_pixels)
    values: list[list[Any]] = [[] for _ in work]
    for number in range(batch.num_rows if work else 0):
        row = {
            column: Picture(image, is_shared=looks[column] > 1)
            for column, all_rows in images.items()
            if (image := all_rows[number]) is not None
        }
        for one, made in zip(work, values, strict=True):
            picture = row.get(one.chain.column)
            with naming_row(batch, number, str(one.chain)):
                made.append(None if picture is None else one.value(picture))
    return values


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
    rows = tensor_rows(compute_chains(batch, [step.other])[step.other.name])
    return lambda numbers: np.stack([np.asarray(rows[number]) for number in numbers])
