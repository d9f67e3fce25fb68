"""Compute deferred columns: chains of image and tensor operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.config import batch_limit
from lightdata.errors import DecodeError, RowError
from lightdata.expr.deferred import Chain, is_deferred
from lightdata.kernels import tensor
from lightdata.kernels.columns import column_of
from lightdata.kernels.decode import from_raster
from lightdata.kernels.encode import codec_of, encode_image
from lightdata.kernels.frames import count_frames
from lightdata.kernels.header import exif_tag
from lightdata.kernels.stacked_rows import StackedRows
from lightdata.kernels.tally import row_in_hand
from lightdata.physical.operators.picture import Picture, Place, headers_of, naming
from lightdata.physical.stage import Context, name_rows
from lightdata.types.image import RAW, EncodedImage, ImageType, as_dynamic, dynamic_images
from lightdata.types.image_spec import MODES
from lightdata.types.operation import AsImage, Attribute, Decode, Encode, ImageOperation, Known, Operation, ToTensor
from lightdata.types.plain_array import plain_array
from lightdata.types.tensor import tensor_rows
from lightdata.types.tensor_operation import CosineSimilarity, TensorOperation
from lightdata.types.uri_operation import ReadUri

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class PixelWork:
    """A chain that looks at images: what it makes of one, and the column of all that it made."""

    chain: Chain
    images: tuple[ImageOperation, ...]
    rest: tuple[Operation, ...]
    kind: pa.DataType
    column: str
    """The column of the batch that holds the images: the chain's own, or what was read for it."""

    url: str | None
    """The column that says where they were read from, if the chain did that."""

    decodes: tuple[ImageOperation, ...]
    """The first operations, as far as an image that they cannot be done on gives null."""

    @classmethod
    def of(cls, chain: Chain, kind: pa.DataType, start: Chain) -> PixelWork:
        """Split a chain where it stops making images; ``start`` is what is left of it to do, from a column on."""
        images: list[ImageOperation] = []
        for step in start.operations:
            if not isinstance(step, ImageOperation):
                break
            images.append(step)
        lenient = [
            place for place, step in enumerate(images, 1) if isinstance(step, Decode) and step.on_error == "null"
        ]
        rest, decodes = start.operations[len(images) :], tuple(images[: max(lenient, default=0)])
        url = chain.column if isinstance(chain.operations[0], ReadUri) else None
        return cls(chain, tuple(images), rest, kind, start.column, url, decodes)

    @property
    def needs_pixels(self) -> bool:
        """Whether it looks further than the header; a rare turn by EXIF orientation aside."""
        return not any(isinstance(step, Attribute) for step in self.rest)

    def value(
        self, picture: Picture | DecodeError | None, place: Place, failed: dict[str, RowError], lost: Sequence[RowError]
    ) -> Any:
        """Compute one row; an image that may be broken and is goes to ``failed``, by its column.

        So does one that is ``lost``, which nobody is to look at.
        """
        if lost and self.decodes:
            failed[self.column] = place.of(lost[0])
            return None
        try:
            if isinstance(picture, DecodeError):
                raise picture
            if picture is not None and self.decodes and not self.needs_pixels:
                picture.raster(self.decodes)  # the header alone does not tell whether it can be decoded
            return None if picture is None else self._made_of(picture)
        except (DecodeError, MemoryError) as error:
            if not self.decodes:
                raise
            failed[self.column] = place.of(DecodeError.of_memory(error) if isinstance(error, MemoryError) else error)
            return None

    def _made_of(self, picture: Picture) -> Any:
        match self.rest:
            case () if not self.kind.spec.is_fixed:
                return from_raster(picture.raster(self.images))
            case () | (ToTensor(), *_):
                return picture.pixels(self.images)
            case (Attribute() as attribute,):
                return _answer(picture, self.images, attribute)
            case (Encode() as encode,):
                codec = codec_of(encode.format, encode.options)
                return encode_image(picture.raster(self.images).pillow(), codec, encode.options)
        raise TypeError(f"no kernel for {self.rest}; add a case to {__name__}")

    def weight(self, value: Any) -> int:
        """Tell the bytes that a row takes in the column."""
        match value:
            case EncodedImage(payload=payload):
                return len(payload)
            case np.ndarray():
                first = self.rest[0] if self.rest else None
                return value.size * np.dtype(first.dtype).itemsize if isinstance(first, ToTensor) else value.nbytes
            case bytes():
                return len(value)
        return 0

    def as_column(self, rows: StackedRows, batch: pa.RecordBatch) -> pa.Array:
        """Build the column of all rows."""
        match self.rest:
            case () if not self.kind.spec.is_fixed:
                return dynamic_images(rows.listed())
            case ():
                return column_of(rows.whole(), self.kind)
            case (ToTensor(), *_):
                return _tensor_chain(rows.whole(), self.rest, self.kind, batch)
        return plain_array(rows.listed(), self.kind)


def compute_chains(batch: pa.RecordBatch, chains: Iterable[Chain]) -> dict[str, pa.Array]:
    """Compute deferred columns, by name; a null input gives null."""
    wanted = list(chains)
    parts = list(compute_parts(batch, wanted, Context()))
    if len(parts) == 1:
        return parts[0][1]
    return {chain.name: pa.concat_arrays([made[chain.name] for _, made in parts]) for chain in wanted}


def compute_parts(
    batch: pa.RecordBatch, chains: Iterable[Chain], context: Context
) -> Iterator[tuple[pa.RecordBatch, dict[str, pa.Array]]]:
    """Compute deferred columns, by name, for the rows of a batch, part by part: pixels may be many times their files.

    All chains of one row are computed before the next row is looked at: what they share is computed once, and only
    the row at hand holds decoded images that are not a result. What a batch already has under a deferred name is
    taken from there. Images that may be broken and are go to the failures of ``context``; before any other error is
    raised, the rows before it are given.
    """
    made: dict[str, pa.Array | PixelWork] = {chain.name: _without_pixels(chain, batch) for chain in chains}
    work = [one for one in made.values() if isinstance(one, PixelWork)]
    start = 0
    for found in _values(work, batch, context) if work else ():
        for rows, columns in _columns(work, found, _Rows(batch, start, context.failures)):
            others = {name: one.slice(start, len(rows)) for name, one in made.items() if not isinstance(one, PixelWork)}
            start += rows.num_rows
            yield rows, {name: columns.pop(name) if name in columns else others[name] for name in made}
    if not work:
        yield batch, made


class _Rows(NamedTuple):
    """Where some rows are in their batch, and where those that fail are told."""

    batch: pa.RecordBatch
    start: int
    failures: list[RowError]


def _columns(
    work: Sequence[PixelWork], found: list[StackedRows], place: _Rows
) -> Iterator[tuple[pa.RecordBatch, dict[str, pa.Array]]]:
    """Build columns of values, which are then let go; where there is no memory for all rows at once, of each half."""
    count = len(found[0])
    rows = place.batch.slice(place.start, count)
    made: list[dict[str, pa.Array]] = []
    try:
        made.append({one.chain.name: one.as_column(values, rows) for one, values in zip(work, found, strict=True)})
    except MemoryError as error:
        if count == 1:
            located = Place(place.batch, place.start, str(work[0].chain), work[0].url).of(DecodeError.of_memory(error))
            if not all(one.decodes for one in work):
                raise located from error
            place.failures.append(located)
            found[:] = [StackedRows(1) for _ in work]
            for values in found:
                values.append(None)
    if made:
        found.clear()
        yield rows, made.pop()
    elif count == 1:
        yield from _columns(work, found, place)
    else:
        first, rest = ([one.part(*ends) for one in found] for ends in ((0, count // 2), (count // 2, count)))
        yield from _columns(work, first, place)
        yield from _columns(work, rest, place._replace(start=place.start + count // 2))


def _start(chain: Chain, batch: pa.RecordBatch) -> Chain:
    """Give what is left to do of a chain, from the longest beginning on that the batch has as a column."""
    held = set(filter(is_deferred, batch.schema.names))
    for length in range(len(chain.operations), 0, -1) if held else ():
        name = Chain(chain.column, chain.operations[:length]).name
        if name in held:
            return Chain(name, chain.operations[length:])
    return chain


def _without_pixels(chain: Chain, batch: pa.RecordBatch) -> pa.Array | PixelWork:
    """Compute a chain that looks at no image, or say what there is to do."""
    start = _start(chain, batch)
    base = batch.column(start.column)
    operations = start.operations
    if not operations:
        return base
    if isinstance(base.type, ImageType) and all(isinstance(step, AsImage) for step in operations):
        return as_dynamic(base)
    kind = chain.type_in({start.column: base.type, chain.column: batch.column(chain.column).type})
    if isinstance(operations[0], TensorOperation):
        return _tensor_chain(tensor_rows(base), operations, kind, batch)
    return PixelWork.of(chain, kind, start)


def lets_images_go(chains: Iterable[Chain]) -> bool:
    """Whether an image that cannot be decoded gives null in some of the chains."""
    return any(isinstance(step, Decode) and step.on_error == "null" for one in chains for step in one.operations)


def _values(work: Sequence[PixelWork], batch: pa.RecordBatch, context: Context) -> Iterator[list[StackedRows]]:
    """Compute what each chain makes of each row, row by row, and pass it on before it takes too much memory."""
    name_rows(batch)
    images = {
        one.column: [None] * batch.num_rows if one.decodes and context.lost else headers_of(batch.column(one.column))
        for one in work
    }
    looks = Counter(one.column for one in work if one.needs_pixels or one.decodes)
    stages = [str(one.chain) for one in work]
    most, size = batch_limit(), 0
    values = [StackedRows(batch.num_rows) for _ in work]
    for number in range(batch.num_rows):
        row = {
            column: Picture(image, is_shared=looks[column] > 1) if isinstance(image, EncodedImage) else image
            for column, all_rows in images.items()
            for image in (all_rows[number],)
        }
        failed: dict[str, RowError] = {}
        made = []
        row_in_hand(number)
        try:
            for one, stage in zip(work, stages, strict=True):
                place = Place(batch, number, stage, one.url)
                with naming(place):
                    made.append(one.value(row[one.column], place, failed, context.lost))
        except RowError:
            if len(values[0]):
                yield values
            raise
        context.failures += failed.values()
        if failed:
            context.lost.clear()
        weight = sum(one.weight(value) for one, value in zip(work, made, strict=True))
        if size + weight > most and len(values[0]):
            yield values
            values, size = [StackedRows(batch.num_rows - number) for _ in work], 0
            name_rows(batch)
        size += weight
        for rows, value in zip(values, made, strict=True):
            rows.append(value)
    yield values


def _answer(picture: Picture, operations: tuple[ImageOperation, ...], attribute: Attribute) -> Any:
    """Answer from the header where it tells; only a turn by EXIF orientation needs the image."""
    header = picture.header
    known = Known(header.mode, header.height, header.width)
    for operation in operations:
        known = operation.known(known) if not isinstance(operation, AsImage | Decode) else _decoded(known, operation)
    if None in known or any(isinstance(step, Decode) and not step.exif_transpose for step in operations):
        image = picture.raster(operations)
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
    rows: Sequence[Pixels | None] | Pixels, operations: Sequence[Operation], kind: pa.DataType, batch: pa.RecordBatch
) -> pa.Array:
    """Apply tensor operations to rows of equal shape together, and to others one by one."""
    others = [_other_rows(step, batch) for step in operations]

    def applied(stack: Pixels, numbers: list[int]) -> Pixels:
        for step, other in zip(operations, others, strict=True):
            stack = _apply(step, stack, None if other is None else other(numbers))
        return stack

    if isinstance(rows, np.ndarray):
        return column_of(applied(rows, list(range(len(rows)))), kind)
    present = [number for number, row in enumerate(rows) if row is not None]
    results: list[Pixels | None] = [None] * len(rows)
    for numbers in _runs_of_equal_shape(rows, present):
        stack = applied(np.stack([np.asarray(rows[number]) for number in numbers]), numbers)
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
