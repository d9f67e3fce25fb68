"""The image column: one extension type in two forms.

``Image`` holds images of any mode and size, encoded or as pixels, in a struct; ``Image[mode, HxW]`` holds raw
pixels of one mode and size, so that a batch is a zero-copy NumPy view. Both keep payloads as binary: Polars moves
binary as views and Parquet stores it at its own size, where lists of uint8 cost four times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import SchemaError
from lightdata.types.image_spec import MODES, ImageSpec, mode_of, pixel_shape
from lightdata.types.plain_array import borders_of, plain_array

NAME = "lightdata.image"

Payload = bytes | memoryview
"""The bytes of one value: a copy, or a view of an Arrow buffer."""

RAW = "raw"
"""The ``encoding`` of a payload that is pixels, row by row, channels last, in native byte order."""

DYNAMIC_STORAGE = pa.struct(
    [
        pa.field("payload", pa.large_binary()),
        pa.field("encoding", pa.large_string()),
        pa.field("mode", pa.large_string()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
    ]
)

FIXED_STORAGE = pa.large_binary()


class EncodedImage(NamedTuple):
    """One row of an ``Image`` column."""

    payload: Payload
    """A whole file, or pixels if ``encoding`` is :data:`RAW`."""

    encoding: str
    """Pillow's format name in lower case, or :data:`RAW`."""

    mode: str
    """The mode the pixels have, or will have once decoded."""

    height: int
    """Pixels, after EXIF orientation."""

    width: int
    """Pixels, after EXIF orientation."""

    @property
    def decoded_bytes(self) -> int:
        """The bytes its pixels take."""
        dtype, channels = MODES[self.mode]
        return self.height * self.width * channels * dtype.itemsize


class ImageType(pa.ExtensionType):
    """Images; parameters live in :attr:`spec`.

    The storage is kept as it was received: Arrow readers and Polars hand back other binary types than they were
    given, and a type that ignored this would read wrong offsets.
    """

    def __init__(self, spec: ImageSpec | None = None, storage: pa.DataType | None = None) -> None:
        self.spec = spec or ImageSpec()
        super().__init__(storage or (FIXED_STORAGE if self.spec.is_fixed else DYNAMIC_STORAGE), NAME)

    def __arrow_ext_serialize__(self) -> bytes:
        return self.spec.to_text().encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> ImageType:
        return cls(ImageSpec.from_text(serialized.decode()), storage_type)

    def __arrow_ext_class__(self) -> type[ImageArray]:
        return ImageArray

    def __eq__(self, other: object) -> bool:
        # pyarrow's own comparison forgets the parameters.
        return isinstance(other, ImageType) and (self.spec, self.storage_type) == (
            other.spec,
            other.storage_type,
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # pyarrow's own would not ask the method above

    def __hash__(self) -> int:
        return hash((NAME, self.spec))

    def __str__(self) -> str:
        return str(self.spec)


class ImageArray(pa.ExtensionArray):
    """An Arrow array of images."""

    def to_numpy_ndarray(self) -> NDArray[Any]:
        """View the pixels of a fixed column without a copy.

        Returns
        -------
        uint8 (or the mode's dtype) [N, H, W] or [N, H, W, C]

        Raises
        ------
        SchemaError
            If the images differ in mode or size, or a row is null.
        """
        spec: ImageSpec = self.type.spec
        if self.null_count:
            raise SchemaError("a column with null images has no array view; drop_nulls or fill them first")
        return binary_view(self.storage, spec.dtype, spec.shape)


def binary_view(payload: pa.Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """View equal-sized binary values as one array ``[N, *shape]`` without a copy.

    Raises
    ------
    SchemaError
        If a value has another size.
    """
    if payload.type != pa.large_binary():
        payload = payload.cast(pa.large_binary())
    at, values = borders_of(payload), payload.buffers()[2]
    item = int(np.prod(shape)) * dtype.itemsize
    if len(payload) and not (np.diff(at) == item).all():
        raise SchemaError(f"a payload does not hold {item} bytes, as shape {shape} of {dtype} needs")
    count = len(payload) * int(np.prod(shape))
    if count == 0:
        return np.empty((len(payload), *shape), dtype)
    return np.frombuffer(values, dtype, count=count, offset=int(at[0])).reshape(len(payload), *shape)


def binary_from_ndarray(rows: NDArray[Any]) -> pa.Array:
    """Wrap the rows of ``[N, ...]`` as binary values; copies only what is not contiguous."""
    rows = np.ascontiguousarray(rows)
    stride = rows[0].nbytes if len(rows) else 0
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * stride
    return pa.Array.from_buffers(
        pa.large_binary(),
        len(rows),
        [None, pa.py_buffer(offsets), pa.py_buffer(rows.reshape(-1).view(np.uint8))],
    )


def fixed_images(pixels: NDArray[Any], mode: str) -> ImageArray:
    """Wrap ``[N, H, W]`` or ``[N, H, W, C]`` as a column of one mode and size.

    >>> fixed_images(np.zeros((2, 4, 5, 3), np.uint8), "RGB").type.spec
    ImageSpec(mode='RGB', height=4, width=5)
    """
    spec = ImageSpec(mode, pixels.shape[1], pixels.shape[2])
    return pa.ExtensionArray.from_storage(ImageType(spec), binary_from_ndarray(pixels))


def dynamic_images(images: Sequence[EncodedImage | None]) -> ImageArray:
    """Build a column that may hold images of any mode, size and encoding."""
    fields = list(zip(*(image or (None,) * 5 for image in images), strict=True)) or [()] * 5
    arrays = [plain_array(values, field.type) for values, field in zip(fields, DYNAMIC_STORAGE, strict=True)]
    return images_of_fields(arrays, [image is None for image in images] if None in images else None)


def images_of_fields(fields: Sequence[pa.Array], nulls: Sequence[bool] | None = None) -> ImageArray:
    """Build a column that may hold any images of its payloads, encodings, modes, heights and widths."""
    mask = None if nulls is None else plain_array(nulls, pa.bool_())
    storage = pa.StructArray.from_arrays(list(fields), fields=list(DYNAMIC_STORAGE), mask=mask)
    return pa.ExtensionArray.from_storage(ImageType(), storage)


def raw_image(pixels: NDArray[Any], mode: str | None = None) -> EncodedImage:
    """Describe pixels ``[H, W]`` or ``[H, W, C]`` as a row of an ``Image`` column.

    Raises
    ------
    SchemaError
        If no mode stores arrays of this shape and dtype.
    """
    found = mode or mode_of(pixels.shape, pixels.dtype)
    if found is None:
        raise SchemaError(f"no image mode holds {pixels.dtype} pixels of shape {pixels.shape}")
    return EncodedImage(np.ascontiguousarray(pixels).tobytes(), RAW, found, pixels.shape[0], pixels.shape[1])


def raw_pixels(image: EncodedImage) -> NDArray[Any]:
    """View the pixels of a raw payload: ``[H, W]`` or ``[H, W, C]``."""
    return np.frombuffer(image.payload, MODES[image.mode][0]).reshape(
        pixel_shape(image.mode, image.height, image.width)
    )


def iter_images(array: pa.Array) -> list[EncodedImage | None]:
    """List the rows of an image array of either form; payloads are views, not copies."""
    spec: ImageSpec = array.type.spec
    storage = array.storage
    if spec.is_fixed:
        mode, height, width = spec.mode, spec.height, spec.width
        return [
            None if payload is None else EncodedImage(payload, RAW, str(mode), int(height or 0), int(width or 0))
            for payload in binary_values(storage)
        ]
    payloads, *rest = storage.flatten()
    columns = zip(binary_values(payloads), *(column.to_pylist() for column in rest), strict=True)
    valid = storage.is_valid().to_pylist() if storage.null_count else repeat(True, len(storage))
    return [EncodedImage(*row) if ok else None for ok, row in zip(valid, columns, strict=True)]


def binary_values(payload: pa.Array) -> list[memoryview | None]:
    """List binary values as views of the Arrow buffer."""
    if payload.type != pa.large_binary():
        payload = payload.cast(pa.large_binary())
    at, values = borders_of(payload).tolist(), payload.buffers()[2]
    view = memoryview(values if values is not None else b"").cast("B")  # Arrow's own view gives signed numbers
    slices: list[memoryview | None] = [view[start:end] for start, end in pairwise(at)]
    if payload.null_count:
        slices = [piece if ok else None for piece, ok in zip(slices, payload.is_valid().to_pylist(), strict=True)]
    return slices


def as_dynamic(array: ImageArray) -> ImageArray:
    """Give a column of either form as the form that holds any mode and size."""
    if not array.type.spec.is_fixed:
        return array
    spec: ImageSpec = array.type.spec
    count = len(array)
    columns = [
        array.storage.cast(pa.large_binary()),
        *(
            plain_array([value] * count, kind)
            for value, kind in (
                (RAW, pa.large_string()),
                (spec.mode, pa.large_string()),
                (spec.height, pa.int32()),
                (spec.width, pa.int32()),
            )
        ),
    ]
    mask = array.storage.is_null() if array.null_count else None
    storage = pa.StructArray.from_arrays(columns, fields=list(DYNAMIC_STORAGE), mask=mask)
    return pa.ExtensionArray.from_storage(ImageType(), storage)
