"""The type of a chain of operations, from the type of its column alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.types.image import ImageType
from lightdata.types.image_spec import MODES, mode_of
from lightdata.types.operation import Attribute, Encode, ImageOperation, Known, Operation, ToTensor
from lightdata.types.tensor import TensorType, is_tensor
from lightdata.types.tensor_operation import TensorOperation
from lightdata.types.uri_operation import ReadUri, WriteUri


def image_known(dtype: pa.DataType) -> Known | None:
    """Say what is known of a column as images, or ``None`` if it cannot hold any.

    Images, encoded bytes and uint8 tensors can; a plan learns a tensor's shape only from its type.
    """
    match dtype:
        case ImageType(spec=spec):
            return Known(spec.mode, spec.height, spec.width)
        case pa.FixedShapeTensorType():
            shape = tuple(dtype.shape)
            mode = mode_of(shape, np.dtype(dtype.value_type.to_pandas_dtype()))
            return None if mode is None else Known(mode, shape[0], shape[1])
        case TensorType():
            return Known() if any(dtype.dtype == stored for stored, _ in MODES.values()) else None
    return Known() if pa.types.is_large_binary(dtype) or pa.types.is_null(dtype) else None


def output_type(operations: tuple[Operation, ...], dtype: pa.DataType) -> pa.DataType:
    """Give the type of a chain of operations on a column of ``dtype``.

    Raises
    ------
    SchemaError
        If an operation does not apply to what comes before it.
    """
    known = image_known(dtype)
    for number, operation in enumerate(operations):
        match operation:
            case ReadUri() if number == 0 and _is_text(dtype):
                dtype, known = pa.large_binary(), Known()
            case ReadUri():
                raise SchemaError(f"this needs paths or URLs as text, not a column of type {dtype}")
            case WriteUri() if number == len(operations) - 1:
                _check_writable(operations[:-1], dtype)
                return pa.large_string()
            case Attribute() if known is not None and number == len(operations) - 1:
                return operation.dtype
            case Encode() if known is not None and all(isinstance(one, WriteUri) for one in operations[number + 1 :]):
                dtype, known = pa.large_binary(), None
            case ImageOperation() if known is not None:
                known = operation.known(known)
                dtype = known.as_type()
            case ToTensor() if known is not None:
                dtype, known = operation.output_type(known), None
            case TensorOperation() if is_tensor(dtype):
                dtype, known = operation.output_type(dtype), None
            case _:
                needs = (
                    "a tensor" if isinstance(operation, TensorOperation) else "an image, encoded bytes or uint8 pixels"
                )
                raise SchemaError(f"this needs {needs}, not a column of type {dtype}")
    return dtype


def _is_text(dtype: pa.DataType) -> bool:
    return pa.types.is_large_string(dtype) or pa.types.is_null(dtype)


def _check_writable(before: tuple[Operation, ...], dtype: pa.DataType) -> None:
    """Refuse to write what has no bytes of its own."""
    if isinstance(dtype, ImageType) and (dtype.spec.is_fixed or before):
        raise SchemaError(f"a column of type {dtype} holds pixels; encode them first, as in .image.encode('png')")
    if not (isinstance(dtype, ImageType) or pa.types.is_large_binary(dtype) or _is_text(dtype)):
        raise SchemaError(f"this needs bytes, text or encoded images, not a column of type {dtype}")
