"""Image dataframes on one workstation.

>>> import lightdata as ld
>>> ld.range(3).filter(ld.col("id") > 0).take_all()
[{'id': 1}, {'id': 2}]
"""

from polars import col, lit, when

from lightdata.config import Config, config
from lightdata.dataset.dataset import Dataset
from lightdata.errors import (
    ArgumentError,
    ColumnNotFoundError,
    DecodeError,
    DeviceError,
    EncodeError,
    ExecutionError,
    ExpressionError,
    LightdataError,
    ModelError,
    NotRunError,
    OutputExistsError,
    PlanError,
    ReadError,
    RowError,
    SchemaError,
    WorkerDiedError,
    WriteError,
)
from lightdata.expr.registry import register as _register_namespaces
from lightdata.io.files import Partitioning
from lightdata.io.sinks.commit import WriteResult
from lightdata.kernels.decode import decode_pixels
from lightdata.read.images import read_binary_files, read_images
from lightdata.read.interchange import from_huggingface, from_tf, from_torch
from lightdata.read.objects import (
    from_arrow,
    from_items,
    from_numpy,
    from_pandas,
    from_polars,
    range,  # noqa: A004 - Ray's word
)
from lightdata.read.records import (
    read_arrow,
    read_csv,
    read_json,
    read_lance,
    read_numpy,
    read_parquet,
    read_text,
    read_tfrecords,
    read_webdataset,
)
from lightdata.read.together import concat, sql
from lightdata.report.stats import Stats
from lightdata.types.declare import image_type, tensor_type
from lightdata.types.registry import register as _register_types
from lightdata.types.schema import Schema

_register_types()
_register_namespaces()

__all__ = [
    "ArgumentError",
    "ColumnNotFoundError",
    "Config",
    "Dataset",
    "DecodeError",
    "DeviceError",
    "EncodeError",
    "ExecutionError",
    "ExpressionError",
    "LightdataError",
    "ModelError",
    "NotRunError",
    "OutputExistsError",
    "Partitioning",
    "PlanError",
    "ReadError",
    "RowError",
    "Schema",
    "SchemaError",
    "Stats",
    "WorkerDiedError",
    "WriteError",
    "WriteResult",
    "col",
    "concat",
    "config",
    "decode_pixels",
    "from_arrow",
    "from_huggingface",
    "from_items",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "from_tf",
    "from_torch",
    "image_type",
    "lit",
    "range",
    "read_arrow",
    "read_binary_files",
    "read_csv",
    "read_images",
    "read_json",
    "read_lance",
    "read_numpy",
    "read_parquet",
    "read_text",
    "read_tfrecords",
    "read_webdataset",
    "sql",
    "tensor_type",
    "when",
]
