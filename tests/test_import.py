"""What an import of lightdata imports, what it registers, and when."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.types.image import dynamic_images, fixed_images, raw_image
from lightdata.types.tensor import tensors

ROOT = Path(__file__).parents[1]
SOURCE = (ROOT / "lightdata/__init__.py").read_text()

DEFERRED = [
    "polars",
    "pyarrow",
    "numpy",
    "PIL",
    "onnxruntime",
    "joblib",
    "fsspec",
    "tqdm",
    "pandas",
    "torch",
    "cloudpickle",
    "multiprocessing",
    "asyncio",
]


def fresh(program, *args):
    """Run a program in an interpreter of its own, warnings being errors, and give what it printed."""
    command = [sys.executable, "-W", "error", "-W", "ignore:.*considered unstable", "-c", program, *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A Parquet file with images of one size, images of many, and tensors."""
    path = tmp_path_factory.mktemp("typed") / "typed.parquet"
    columns = {
        "many": dynamic_images([raw_image(np.zeros((rows, 4, 3), np.uint8)) for rows in (2, 3)]),
        "x": tensors([np.zeros((rows, 2), np.float32) for rows in (2, 3)]),
        "one": fixed_images(np.zeros((2, 3, 4), np.uint8), "L"),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_an_import_imports_no_other_library():
    """After an import of lightdata none of the libraries it stands on is imported."""
    program = f"import sys, lightdata; print([one for one in {DEFERRED!r} if one in sys.modules])"
    assert fresh(program) == "[]\n"


def test_beside_polars_an_import_imports_no_other_library():
    """A program that has Polars imports lightdata without pyarrow, NumPy or another library."""
    rest = [one for one in DEFERRED if one != "polars"]
    found = f"[one for one in {rest!r} if one in sys.modules]"
    assert fresh(
        f"import sys, polars; before = {found}; import lightdata as ld; ld.col('a'); print({found} == before)"
    ) == ("True\n")


def test_a_first_query_imports_no_more_than_it_needs(tmp_path):
    """Rows of a folder are read without fsspec, joblib, asyncio, pyarrow.compute, ONNX Runtime, or sinks."""
    ld.from_items([{"image": np.zeros((2, 3, 3), np.uint8)}]).write_images(tmp_path / "photos", "image")
    unwanted = [
        "fsspec",
        "joblib",
        "asyncio",
        "pyarrow.compute",
        "onnxruntime",
        "urllib3",
        "pandas",
        "tqdm",
        "lightdata.io.sinks.commit",
    ]
    program = f"""
import sys, lightdata as ld
assert len(ld.read_images(sys.argv[1]).take(1)) == 1
print([one for one in {unwanted!r} if one in sys.modules])
"""
    assert fresh(program, tmp_path / "photos") == "[]\n"


def test_table_type_checkers_and_exports_agree():
    """Each name of ``__all__`` is imported at once, or from one module for type checkers and by the table."""
    tree = ast.parse(SOURCE)
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    for_checkers = {
        alias.name: one.module for one in checked.body if isinstance(one, ast.ImportFrom) for alias in one.names
    }
    at_once = {
        alias.name
        for one in tree.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
        if alias.asname is None
    } - {"TYPE_CHECKING"}
    assert for_checkers == ld._MODULES
    assert sorted([*for_checkers, *at_once]) == sorted(ld.__all__)


def test_every_public_name_is_found():
    """Each name is found as an attribute, by ``from ... import``, by a star import and by ``dir``."""
    program = f"""
import lightdata
assert set(lightdata.__all__) <= set(dir(lightdata))
space = {{}}
exec("from lightdata import *", space)
for name in {ld.__all__!r}:
    exec(f"from lightdata import {{name}}", space)
    assert space[name] is getattr(lightdata, name), name
print("found")
"""
    assert fresh(program) == "found\n"


def test_a_name_that_does_not_exist_is_an_attribute_error():
    """A wrong name is refused as Python refuses it, by the module's name."""
    with pytest.raises(AttributeError, match="module 'lightdata' has no attribute 'read_image'"):
        ld.read_image  # noqa: B018 - asked for
    with pytest.raises(ImportError, match="read_image"):
        from lightdata import read_image  # noqa: F401 - asked for


def test_columns_and_literals_are_polars_own():
    """``col``, ``lit`` and ``when`` are those of Polars, and ``config`` is the function."""
    program = """
import lightdata as ld
ld.read_images; ld.Dataset
import lightdata.config, polars as pl
print(ld.col is pl.col, ld.lit is pl.lit, ld.when is pl.when, ld.config().progress)
"""
    assert fresh(program) == "True True True True\n"


def test_help_lists_the_public_names():
    """``help`` of a fresh import tells of classes and functions that nobody has asked for yet."""
    text = fresh("import pydoc, lightdata; print(pydoc.render_doc(lightdata, renderer=pydoc.plaintext))")
    assert "class Dataset" in text
    assert "read_webdataset(" in text


def test_public_classes_travel():
    """Classes and errors are pickled by the modules that define them, and found again in a fresh interpreter."""
    program = """
import pickle, sys, lightdata as ld
names = "Dataset Schema Config Partitioning Stats WriteResult ReadError".split()
sys.stdout.write(pickle.dumps([getattr(ld, name) for name in names]).hex())
"""
    read = "import pickle, sys; print([one.__name__ for one in pickle.loads(bytes.fromhex(sys.argv[1]))])"
    assert "'Dataset', 'Schema', 'Config'" in fresh(read, fresh(program))


@pytest.mark.parametrize("first", ["import lightdata; import polars as pl", "import polars as pl; import lightdata"])
def test_namespaces_are_on_expressions(first):
    """The namespaces are there after either order of imports; on the class they are the class, as Polars has them."""
    program = f"""
import sys
{first}
assert "lightdata.expr.image" not in sys.modules
assert {{"image", "tensor", "uri"}} <= set(dir(pl.Expr))
assert [vars(pl.Expr)[name].__class__.__name__ for name in ("image", "tensor", "uri")]
x = pl.col("x")
assert x.image is x.image
print(x.image.resize(8, 8).meta.output_name(), x.tensor.mean().meta.output_name(), x.uri.read().meta.output_name())
print(pl.Expr.image.__name__, pl.Expr.tensor.__name__, pl.Expr.uri.__name__, type(x.image) is pl.Expr.image)
import pydoc
print("Image operations and the facts" in pydoc.render_doc(x.image), "resize_shortest" in dir(x.image))
try: x.image.resize(0, 8)
except lightdata.ArgumentError as error: print(error)
try: x.image.size
except AttributeError as error: print(error)
"""
    assert fresh(program).splitlines() == [
        "x x x",
        "ImageNamespace TensorNamespace UriNamespace True",
        "True True",
        "height must be a positive number of pixels; got 0",
        "'ImageNamespace' object has no attribute 'size'",
    ]


TYPES = "['many: Image', 'x: Tensor[float32]', 'one: Image[L, 3x4]']"


@pytest.mark.parametrize(
    "imports",
    [
        "import lightdata; import polars as pl; import pyarrow.parquet as pq",
        "import polars as pl; import pyarrow.parquet as pq; import lightdata",
        "import pyarrow.parquet as pq; import lightdata; import polars as pl",
        "import lightdata; import importlib; pq = importlib.import_module('pyarrow.parquet'); import polars as pl",
        "import lightdata, importlib.util as iu; iu.find_spec('pyarrow'); import pyarrow.parquet as pq, polars as pl",
        "import lightdata, importlib; importlib.reload(lightdata); import pyarrow.parquet as pq, polars as pl",
        "import pyarrow.parquet as pq, lightdata, importlib; importlib.reload(lightdata); import polars as pl",
    ],
)
def test_types_are_known_to_pyarrow_and_polars(images, imports):
    """Files with images and tensors are read as such by both libraries, whatever was imported first, and how."""
    program = f"""
import sys
{imports}
table = pq.read_table(sys.argv[1])
print([f"{{field.name}}: {{field.type}}" for field in table.schema])
frame = pl.read_parquet(sys.argv[1])
print(*(type(kind).__name__ for kind in frame.dtypes))
print([f"{{field.name}}: {{field.type}}" for field in frame.to_arrow().schema])
"""
    arrow, frame, back = fresh(program, images).splitlines()
    assert arrow == back == TYPES
    assert frame == "ImageDtype TensorDtype ImageDtype"


def test_polars_alone_knows_the_types(images):
    """Polars reads and prints images without pyarrow, and gives them to pyarrow as what they are."""
    program = """
import sys, lightdata, polars as pl
frame = pl.read_parquet(sys.argv[1])
print("Image[L, 3x4]" in str(frame), "Tensor[float32]" in str(frame), "pyarrow" in sys.modules)
print(type(frame.to_arrow().schema.field("many").type).__name__)
"""
    assert fresh(program, images) == "True True False\nImageType\n"


def test_pyarrow_alone_takes_no_polars(images):
    """An import of pyarrow after lightdata registers the types and imports no Polars."""
    program = """
import sys, lightdata, pyarrow.parquet as pq
print(pq.read_table(sys.argv[1]).schema.field("many").type, "polars" in sys.modules)
"""
    assert fresh(program, images) == "Image False\n"


def test_names_of_types_are_the_same_for_both_libraries():
    """Polars and pyarrow are told the same names."""
    from lightdata.expr.dtypes import DTYPES
    from lightdata.types import image, tensor

    assert list(DTYPES) == [image.NAME, tensor.NAME]


def test_threads_that_import_at_once(images):
    """Threads that import lightdata, its private modules and pyarrow at once all succeed, and the types are known."""
    program = """
import importlib, sys, threading
import lightdata
names = ["pyarrow", "lightdata.types.image", "pyarrow.parquet", "lightdata.types.registry", "lightdata.read.images",
         "polars", "lightdata.expr.deferred", "lightdata.types.tensor", "lightdata.expr.registry"]
together, failed = threading.Barrier(len(names)), []
def load(name):
    together.wait()
    try: importlib.import_module(name)
    except BaseException as error: failed.append((name, repr(error)))
threads = [threading.Thread(target=load, args=(name,)) for name in names]
for one in threads: one.start()
for one in threads: one.join(60)
assert not failed, failed
import pyarrow.parquet as pq
print(pq.read_table(sys.argv[1]).schema.field("many").type)
"""
    for _ in range(3):
        assert fresh(program, images) == "Image\n"


def test_type_checkers_see_the_public_names(tmp_path):
    """Under mypy --strict names have their types, and wrong names are errors."""
    from mypy import api

    program = tmp_path / "program.py"
    program.write_text(
        "import lightdata as ld\nfrom lightdata import Dataset\n"
        "ds: Dataset = ld.read_images('photos')\nreveal_type(ds.take(1))\nld.read_image\n"
    )
    text, _, _ = api.run(
        ["--strict", "--config-file=", "--ignore-missing-imports", "--follow-imports=silent", str(program)]
    )
    assert 'Revealed type is "list[dict[str, Any]]"' in text.replace("builtins.", "")
    assert 'Module has no attribute "read_image"' in text
