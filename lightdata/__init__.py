"""Image dataframes on one workstation.

>>> import lightdata as ld
>>> ld.range(3).filter(ld.col("id") > 0).take_all()
[{'id': 1}, {'id': 2}]
"""

import gc as _gc
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

# What needs no other library. A submodule is named like the function config: once both are here, nothing puts the
# submodule in its place.
from lightdata.config import Config, config
from lightdata.errors import (
    ArgumentError,
    ColumnNotFoundError,
    DecodeError,
    DeviceError,
    EncodeError,
    ExecutionError,
    ExpressionError,
    LightdataError,
    LimitError,
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
from lightdata.expr.registry import register as _register_with_polars
from lightdata.import_hook import when_imported as _when_imported
from lightdata.types.registry import register as _register_with_pyarrow

if TYPE_CHECKING:
    # What is imported when somebody first asks for it: here for type checkers, below for Python.
    from polars import col, lit, when

    from lightdata.dataset.dataset import Dataset
    from lightdata.inference.model import Model
    from lightdata.inference.versions import show_versions
    from lightdata.io.files import Partitioning
    from lightdata.io.sinks.result import WriteResult
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
    from lightdata.types.schema import Schema
else:
    _DEFERRED = {
        "polars": "col lit when",
        "lightdata.dataset.dataset": "Dataset",
        "lightdata.inference.model": "Model",
        "lightdata.inference.versions": "show_versions",
        "lightdata.io.files": "Partitioning",
        "lightdata.io.sinks.result": "WriteResult",
        "lightdata.kernels.decode": "decode_pixels",
        "lightdata.read.images": "read_binary_files read_images",
        "lightdata.read.interchange": "from_huggingface from_tf from_torch",
        "lightdata.read.objects": "from_arrow from_items from_numpy from_pandas from_polars range",
        "lightdata.read.records": "read_arrow read_csv read_json read_lance read_numpy read_parquet read_text "
        "read_tfrecords read_webdataset",
        "lightdata.read.together": "concat sql",
        "lightdata.report.stats": "Stats",
        "lightdata.types.declare": "image_type tensor_type",
        "lightdata.types.schema": "Schema",
    }
    """Public names, by the module that is imported when somebody asks for one of them."""

    _MODULES = {name: module for module, names in _DEFERRED.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        is_collecting = _gc.isenabled()
        _gc.disable()  # all that an import makes stays: looking it through again and again takes a tenth of the time
        try:
            if _MODULES[name] != "polars":
                _import_module("pyarrow")  # before the locks of our own modules: see types/registry.py
            found = globals()[name] = getattr(_import_module(_MODULES[name]), name)
        finally:
            if is_collecting:
                _gc.enable()
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})


_when_imported("polars", _register_with_polars)
_when_imported("pyarrow", _register_with_pyarrow)

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
    "LimitError",
    "Model",
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
    "show_versions",
    "sql",
    "tensor_type",
    "when",
]
