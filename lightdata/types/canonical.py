"""One Arrow form for every column, whether or not it has been through Polars.

Polars never hands back the storage it was given (``string`` returns as ``large_string``, ``binary`` as views, dates
change unit). So that a schema can be told from the plan alone, every column enters and leaves in the form Polars
would return it in, with views turned into large binary: pyarrow cannot filter or concatenate views, and they keep
whole buffers alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.types.image import DYNAMIC_STORAGE, FIXED_STORAGE, ImageType
from lightdata.types.tensor import STORAGE, TensorType

if TYPE_CHECKING:
    import polars as pl

_AS_THEY_ARE = {pa.null(), pa.bool_(), pa.float32(), pa.float64(), pa.large_binary(), pa.large_string()}
_AS_THEY_ARE |= {pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()}
"""Types that come back from Polars as they went in: of these it need not be asked, nor imported."""


def canonical_type(dtype: pa.DataType) -> pa.DataType:
    """Give the type a column of ``dtype`` has everywhere inside lightdata.

    >>> canonical_type(pa.list_(pa.string())).equals(pa.large_list(pa.large_string()))
    True

    Raises
    ------
    SchemaError
        If there is none.
    """
    match dtype:
        case ImageType(spec=spec):
            return ImageType(spec, FIXED_STORAGE if spec.is_fixed else DYNAMIC_STORAGE)
        case TensorType():
            return TensorType(dtype.dtype, STORAGE)
        case pa.FixedShapeTensorType():
            return _tensor_type(dtype)
        case pa.BaseExtensionType():
            return dtype
        case pa.ListType() | pa.LargeListType() | pa.ListViewType() | pa.LargeListViewType():
            return pa.large_list(canonical_type(dtype.value_type))
        case pa.FixedSizeListType():
            return pa.list_(canonical_type(dtype.value_type), dtype.list_size)
        case pa.StructType():
            _refuse(dtype)
            return pa.struct([(field.name, canonical_type(field.type)) for field in dtype])
    if pa.types.is_string(dtype) or pa.types.is_string_view(dtype):
        return pa.large_string()
    if pa.types.is_binary(dtype) or pa.types.is_binary_view(dtype) or pa.types.is_fixed_size_binary(dtype):
        return pa.large_binary()
    return dtype if dtype in _AS_THEY_ARE else _through_polars(dtype)


def canonical(batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """Cast the columns of Arrow data to their canonical types; columns that have them are not copied."""
    types = [canonical_type(field.type) for field in batch.schema]
    if all(field.type.equals(kind) for field, kind in zip(batch.schema, types, strict=True)):
        return batch
    columns = [canonical_array(column, kind) for column, kind in zip(batch.columns, types, strict=True)]
    return type(batch).from_arrays(columns, names=batch.schema.names)


def canonical_array(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Cast one column to ``kind``, looking inside extension types."""
    if array.type.equals(kind):
        return array
    if isinstance(array, pa.ChunkedArray):
        return pa.chunked_array([canonical_array(chunk, kind) for chunk in array.chunks], kind)
    if isinstance(kind, pa.BaseExtensionType):
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        return pa.ExtensionArray.from_storage(kind, storage.cast(kind.storage_type))
    return array.cast(kind)


def to_polars_schema(types: Mapping[str, pa.DataType]) -> dict[str, pl.DataType]:
    """Give Arrow types as the dtypes Polars would hold them in.

    Raises
    ------
    SchemaError
        If Polars has no dtype for a column.
    """
    import polars as pl  # noqa: PLC0415 - workers mostly need none

    for kind in types.values():
        _refuse(kind)
    # Not pyarrow's empty_table(): it imports pandas wherever that is installed, a second nobody asked for.
    empty = pa.Table.from_batches([], schema=pa.schema(list(types.items())))
    try:
        frame = pl.from_arrow(empty)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError) as error:
        raise SchemaError(f"Polars cannot hold these columns: {error}") from error
    return dict(frame.schema)  # type: ignore[union-attr]  # a table gives a frame


def from_polars_schema(schema: Mapping[str, pl.DataType]) -> dict[str, pa.DataType]:
    """Give Polars dtypes as canonical Arrow types."""
    return {name: _from_polars(dtype) for name, dtype in schema.items()}


def _refuse(kind: pa.DataType) -> None:
    if why := _refusal(kind):
        raise SchemaError(f"Polars cannot hold {kind}: {why}")


@lru_cache(maxsize=1024)
def _refusal(kind: pa.DataType) -> str | None:
    """Say what there is in a type over which Polars panics; it prints a page of text before it raises."""
    if pa.types.is_union(kind):
        return "it has no unions"
    if pa.types.is_interval(kind):
        return "it has no intervals of months and days"
    if pa.types.is_timestamp(kind) and kind.tz:
        return _refused_zone(kind.tz)
    if pa.types.is_dictionary(kind):
        return _refusal(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _refusal(kind.storage_type)
    fields = [kind.field(number) for number in range(kind.num_fields)]
    if len({field.name for field in fields}) < len(fields):
        return "it has two fields of one name"
    return next(filter(None, (_refusal(field.type) for field in fields)), None)


def _refused_zone(zone: str) -> str | None:
    import polars as pl  # noqa: PLC0415 - as above

    try:
        pl.Series(dtype=pl.Datetime(time_zone=zone))
    except pl.exceptions.PolarsError as error:
        return str(error).partition(". ")[0]
    return None


@lru_cache(maxsize=1024)
def _from_polars(dtype: pl.DataType) -> pa.DataType:
    import polars as pl  # noqa: PLC0415 - as above

    return canonical_type(pl.DataFrame(schema={"": dtype}).to_arrow().schema.field(0).type)


def _tensor_type(tensor: pa.FixedShapeTensorType) -> pa.DataType:
    value = tensor.value_type
    if not (pa.types.is_integer(value) or pa.types.is_floating(value)):
        raise SchemaError(f"tensors of one shape hold integers or floats, not {value}")
    return pa.fixed_shape_tensor(value, tensor.shape) if _is_in_order(tensor) else tensor


def _is_in_order(tensor: pa.FixedShapeTensorType) -> bool:
    """Whether a type says, and need not, that the axes of its tensors are as they lie in memory."""
    return tensor.permutation is not None and list(tensor.permutation) == sorted(tensor.permutation)


@lru_cache(maxsize=1024)
def _through_polars(dtype: pa.DataType) -> pa.DataType:
    import polars as pl  # noqa: PLC0415 - as above

    held = to_polars_schema({"": dtype})
    try:
        return pl.DataFrame(schema=held).to_arrow().schema.field(0).type
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise SchemaError(f"Polars cannot hold {dtype}: {error}") from error
