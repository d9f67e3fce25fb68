"""The image and tensor types on their way through pyarrow, Polars, Parquet and IPC."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError, SchemaError
from lightdata.kernels.columns import column_of
from lightdata.types.canonical import canonical, canonical_type
from lightdata.types.declare import declared_schema
from lightdata.types.image import (
    FIXED_STORAGE,
    EncodedImage,
    ImageType,
    as_dynamic,
    dynamic_images,
    fixed_images,
    iter_images,
    raw_image,
    raw_pixels,
)
from lightdata.types.image_spec import MODES, ImageSpec, pixel_shape
from lightdata.types.schema import describe
from lightdata.types.tensor import TensorType, fixed_tensor_type, fixed_tensors, tensor_rows, tensors

RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)
FLOATS = RNG.normal(size=(6, 2, 3)).astype(np.float32)
RAGGED = [np.arange(n * 2, dtype=np.int16).reshape(n, 2) for n in (1, 2, 3)] + [None] + [np.zeros((0, 2), np.int16)] * 2
IMAGES = [EncodedImage(b"payload %d" % n, "jpeg", "RGB", n + 1, n + 2) if n != 3 else None for n in range(6)]


def table():
    columns = {
        "n": pa.array([3, 1, 2, 0, 5, 4]),
        "fixed": fixed_images(PIXELS, "RGB"),
        "image": dynamic_images(IMAGES),
        "tensor": fixed_tensors(FLOATS),
        "ragged": tensors(RAGGED),
    }
    return pa.table(columns)


def values(array):
    """Plain values of a column, with each image or tensor as a comparable tuple."""
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(array.type, ImageType):
        return [None if image is None else (bytes(image.payload), *image[1:]) for image in iter_images(array)]
    if isinstance(array.type, pa.BaseExtensionType):
        return [None if row is None else (row.dtype, row.shape, row.tobytes()) for row in tensor_rows(array)]
    return array.to_pylist()


def assert_rows(found, wanted_rows, source=None):
    """The table has the given rows of ``table()``, in their types."""
    source = source or table()
    for name in source.schema.names:
        wanted = values(source[name])
        assert canonical_type(found[name].type) == canonical_type(source[name].type)
        assert values(found[name]) == [wanted[row] for row in wanted_rows], name


def in_polars(change):
    return lambda data, path: canonical(change(pl.from_arrow(data)).to_arrow())


def newest(data, path):
    return canonical(pl.from_arrow(data).to_arrow(compat_level=pl.CompatLevel.newest()))


def parquet(write, read):
    def travel(data, path):
        write(data, path)
        return canonical(read(path))

    return travel


def write_polars_parquet(data, path):
    pl.from_arrow(data).write_parquet(path)


def read_polars_parquet(path):
    return pl.read_parquet(path).to_arrow()


def arrow_ipc(data, path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, data.schema) as writer:
        writer.write_table(data, max_chunksize=2)
    with pa.memory_map(str(path)) as source:
        return canonical(pa.ipc.open_file(source).read_all())


def polars_ipc(data, path):
    pl.from_arrow(data).write_ipc(path, compat_level=pl.CompatLevel.oldest())
    return canonical(pl.read_ipc(path).to_arrow())


def polars_ipc_read_by_arrow(data, path):
    pl.from_arrow(data).write_ipc(path, compat_level=pl.CompatLevel.newest())
    return canonical(pa.ipc.open_file(path.read_bytes()).read_all())


SORTED = [3, 1, 2, 0, 5, 4]
TRAVELS = {
    "nothing": (lambda data, path: data, range(6)),
    "Polars and back": (in_polars(lambda frame: frame), range(6)),
    "Polars and back as views": (newest, range(6)),
    "Polars filter": (in_polars(lambda frame: frame.filter(pl.col("n") > 2)), [0, 4, 5]),
    "Polars sort": (in_polars(lambda frame: frame.sort("n")), SORTED),
    "Polars join": (
        in_polars(lambda frame: frame.join(pl.DataFrame({"n": [2, 0]}), on="n", how="right", maintain_order="right")),
        [2, 3],
    ),
    "Polars group_by": (
        in_polars(lambda frame: frame.group_by("n", maintain_order=True).agg(pl.all().first())),
        range(6),
    ),
    "Polars group_by lists": (
        in_polars(lambda frame: frame.group_by("n", maintain_order=True).agg(pl.all()).explode(pl.exclude("n"))),
        range(6),
    ),
    "Polars concat": (in_polars(lambda frame: pl.concat([frame[4:], frame[:1]])), [4, 5, 0]),
    "Polars lazy streaming": (
        in_polars(lambda frame: frame.lazy().filter(pl.col("n") < 3).collect(engine="streaming")),
        [1, 2, 3],
    ),
    "Polars slice": (in_polars(lambda frame: frame[2:5]), [2, 3, 4]),
    "pyarrow filter": (lambda data, path: data.filter(pa.compute.greater(data["n"], 2)), [0, 4, 5]),
    "pyarrow take": (lambda data, path: data.take([5, 0]), [5, 0]),
    "pyarrow slice": (lambda data, path: data.slice(2, 3), [2, 3, 4]),
    "pyarrow concat": (lambda data, path: pa.concat_tables([data.slice(4), data.slice(0, 1)]), [4, 5, 0]),
    "pyarrow sort": (lambda data, path: data.take(pa.compute.sort_indices(data["n"])), SORTED),
    "Parquet by pyarrow": (parquet(pq.write_table, pq.read_table), range(6)),
    "Parquet by Polars": (parquet(write_polars_parquet, read_polars_parquet), range(6)),
    "Parquet Polars to pyarrow": (parquet(write_polars_parquet, pq.read_table), range(6)),
    "Parquet pyarrow to Polars": (parquet(pq.write_table, read_polars_parquet), range(6)),
    "IPC by pyarrow": (arrow_ipc, range(6)),
    "IPC by Polars": (polars_ipc, range(6)),
    "IPC Polars to pyarrow": (polars_ipc_read_by_arrow, range(6)),
}


@pytest.mark.parametrize(("travel", "rows"), TRAVELS.values(), ids=TRAVELS.keys())
def test_types_survive(travel, rows, tmp_path):
    """Images and tensors of both forms keep type and values, nulls included, on every way that data travels."""
    assert_rows(travel(table(), tmp_path / "file"), list(rows))


def with_storage(array, storage_type):
    dtype = array.type.__arrow_ext_deserialize__(storage_type, array.type.__arrow_ext_serialize__())
    return pa.ExtensionArray.from_storage(dtype, array.storage.cast(storage_type))


@pytest.mark.parametrize("binary", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_the_storage_received_is_the_storage_read(binary):
    """A type that arrives with binary, large binary or views as storage reads the same values."""
    array = with_storage(fixed_images(PIXELS, "RGB"), binary)
    assert array.type.storage_type == binary
    assert values(array) == values(fixed_images(PIXELS, "RGB"))
    assert np.array_equal(array.to_numpy_ndarray(), PIXELS)
    assert values(array.slice(2, 2)) == values(fixed_images(PIXELS, "RGB"))[2:4]


@pytest.mark.parametrize("binary", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("listed", [pa.list_, pa.large_list])
def test_tensor_storage_received_is_the_storage_read(binary, listed):
    """A tensor column with lists and binaries of either size reads the same shapes and values."""
    storage = pa.struct([("payload", binary), ("shape", listed(pa.int32()))])
    array = with_storage(tensors(RAGGED), storage)
    assert values(array) == values(tensors(RAGGED))
    assert canonical_type(array.type) == tensors(RAGGED).type
    assert values(canonical(pa.table({"t": array}))["t"]) == values(tensors(RAGGED))


@pytest.mark.parametrize("text", [pa.string(), pa.large_string()])
def test_dynamic_storage_received_is_the_storage_read(text):
    """A dynamic image column with narrow strings and binaries reads the same rows."""
    narrow = pa.binary() if text == pa.string() else pa.large_binary()
    fields = [("payload", narrow), ("encoding", text), ("mode", text), ("height", pa.int32()), ("width", pa.int32())]
    array = with_storage(dynamic_images(IMAGES), pa.struct(fields))
    assert values(array) == values(dynamic_images(IMAGES))
    assert values(array.slice(2, 3)) == values(dynamic_images(IMAGES))[2:5]


def test_types_with_other_storage_or_parameters_differ():
    """Types are equal if parameters and storage are, and hash alike then."""
    assert ImageType(ImageSpec("RGB", 4, 5)) == ImageType(ImageSpec("RGB", 4, 5))
    assert len({ImageType(ImageSpec("RGB", 4, 5)), ImageType(ImageSpec("RGB", 4, 5)), ImageType()}) == 2
    assert ImageType(ImageSpec("RGB", 4, 5)) != ImageType(ImageSpec("RGB", 5, 4))
    assert ImageType(ImageSpec("L", 1, 1)) != ImageType(ImageSpec("L", 1, 1), pa.binary())
    assert TensorType("int8") != TensorType("uint8")
    assert TensorType("int8") != ImageType()


def test_concat_of_other_metadata_fails_until_unified():
    """Polars refuses to concatenate images of different kinds; as ``Image`` they concatenate."""
    colour, grey = fixed_images(PIXELS, "RGB"), fixed_images(PIXELS[..., 0], "L")
    frames = [pl.from_arrow(pa.table({"i": array})) for array in (colour, grey)]
    with pytest.raises(pl.exceptions.PolarsError):
        pl.concat(frames)
    together = pl.concat([pl.from_arrow(pa.table({"i": as_dynamic(array)})) for array in (colour, grey)])
    found = iter_images(canonical(together.to_arrow())["i"].combine_chunks())
    assert [image.mode for image in found] == ["RGB"] * 6 + ["L"] * 6
    assert np.array_equal(raw_pixels(found[7]), PIXELS[1, ..., 0])


def test_as_dynamic_keeps_nulls_slices_and_buffers():
    """Unifying keeps nulls and slices, and does not copy pixels."""
    with_null = column_of([PIXELS[0], None, PIXELS[2]], ImageType(ImageSpec("RGB", 4, 5))).slice(1)
    rows = iter_images(as_dynamic(with_null))
    assert rows[0] is None
    assert np.array_equal(raw_pixels(rows[1]), PIXELS[2])
    array = fixed_images(PIXELS, "RGB")
    unified = as_dynamic(array)
    assert unified.storage.field("payload").buffers()[2].address == array.storage.buffers()[2].address
    assert as_dynamic(unified) is unified
    assert len(as_dynamic(array.slice(0, 0))) == 0


def test_polars_drops_what_is_not_in_the_type():
    """Field metadata, schema metadata and non-nullability do not survive Polars, so the types carry all they need."""
    field = pa.field("i", ImageType(ImageSpec("RGB", 4, 5)), nullable=False, metadata={"a": "b"})
    data = pa.table([fixed_images(PIXELS, "RGB")], schema=pa.schema([field], metadata={"c": "d"}))
    back = canonical(pl.from_arrow(data).to_arrow())
    assert back.schema.metadata is None
    assert back.schema.field("i").nullable
    assert back["i"].type == field.type


def has_views(dtype):
    if isinstance(dtype, pa.BaseExtensionType):
        return has_views(dtype.storage_type)
    if isinstance(dtype, (pa.ListType, pa.LargeListType, pa.FixedSizeListType)):
        return has_views(dtype.value_type)
    if isinstance(dtype, pa.StructType):
        return any(has_views(field.type) for field in dtype)
    return pa.types.is_binary_view(dtype) or pa.types.is_string_view(dtype)


def test_to_arrow_is_canonical_everywhere():
    """What leaves a query has no views, inside structs, lists and extension types neither."""
    data = table().append_column("s", pa.array([{"a": ["x"], "b": b"y"}] * 6))
    views = pl.from_arrow(data).to_arrow(compat_level=pl.CompatLevel.newest())
    assert any(has_views(field.type) for field in views.schema)
    for found in (
        canonical(views),
        ld.from_arrow(data).to_arrow(),
        ld.from_arrow(views).filter(ld.col("n") > 1).to_arrow(),
    ):
        assert not any(has_views(field.type) for field in found.schema)
        assert found["n"].type == pa.int64()
        assert str(found["fixed"].type) == "Image[RGB, 4x5]"
        found.validate(full=True)


def test_a_kept_row_does_not_hold_the_batch():
    """One row taken out of a normalised batch keeps its own bytes alive, not those of all rows."""
    pixels = np.zeros((100, 64, 64, 3), np.uint8)
    views = pl.from_arrow(pa.table({"i": fixed_images(pixels, "RGB")})).to_arrow(compat_level=pl.CompatLevel.newest())
    kept = canonical(views).take([50])
    assert kept.get_total_buffer_size() < 2 * 64 * 64 * 3


def test_fixed_images_are_viewed_without_a_copy():
    """NumPy to Arrow and back shares memory, through slices and through Polars' views of large payloads."""
    array = fixed_images(PIXELS, "RGB")
    assert np.shares_memory(array.to_numpy_ndarray(), PIXELS)
    assert np.shares_memory(array.slice(2, 3).to_numpy_ndarray(), PIXELS[2:5])
    assert np.array_equal(array.slice(2, 3).to_numpy_ndarray(), PIXELS[2:5])


def test_tensors_are_viewed_without_a_copy():
    """Tensors of both forms share memory with the array they are made of, and fixed ones through Polars too."""
    fixed, variable = fixed_tensors(FLOATS), tensors(FLOATS)
    for array in (fixed, variable, fixed.slice(1, 3), variable.slice(1, 3)):
        assert np.shares_memory(array.to_numpy_ndarray(), FLOATS)
    assert np.array_equal(fixed.slice(1, 3).to_numpy_ndarray(), FLOATS[1:4])
    assert np.array_equal(variable.slice(1, 3).to_numpy_ndarray(), FLOATS[1:4])
    through = pl.from_arrow(pa.table({"t": fixed})).to_arrow()["t"].chunk(0)
    assert np.shares_memory(through.to_numpy_ndarray(), FLOATS)


def test_ipc_is_read_without_a_copy(tmp_path):
    """A memory-mapped Arrow file gives pixels that lie in the mapping."""
    path = str(tmp_path / "a.arrow")
    data = pa.record_batch({"i": fixed_images(PIXELS, "RGB")})
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, data.schema) as writer:
        writer.write(data)
    before = pa.total_allocated_bytes()
    with pa.memory_map(path) as source:
        pixels = pa.ipc.open_file(source).get_batch(0).column(0).to_numpy_ndarray()
        assert np.array_equal(pixels, PIXELS)
    assert pa.total_allocated_bytes() - before < PIXELS.nbytes


@pytest.mark.parametrize("start", [0, 1, 2])
def test_fixed_tensors_with_nulls_are_masked(start):
    """A column of one shape with nulls gives its rows, ``None`` where null, whatever slice is taken."""
    rows = [FLOATS[0], None, FLOATS[2], FLOATS[3]]
    array = column_of(rows, fixed_tensor_type("float32", (2, 3))).slice(start)
    found = tensor_rows(array)
    for row, wanted in zip(found, rows[start:], strict=True):
        assert (row is None and wanted is None) or np.array_equal(row, wanted)
    whole = array.take(list(range(len(array))))  # Polars refuses a slice with nulls
    through = canonical(pl.from_arrow(pa.table({"t": whole})).to_arrow())["t"].combine_chunks()
    assert values(through) == values(array)


def test_null_images_have_no_array_view():
    """A fixed image column with nulls, and tensors of different shapes, refuse one array in words."""
    kind = ImageType(ImageSpec("RGB", 4, 5))
    with pytest.raises(SchemaError, match="null"):
        column_of([PIXELS[0], None], kind).to_numpy_ndarray()
    with pytest.raises(SchemaError, match="differ"):
        tensors(RAGGED).to_numpy_ndarray()
    with pytest.raises(SchemaError, match="differ in mode or size"):
        dynamic_images(IMAGES[:2]).to_numpy_ndarray()


def test_payloads_of_another_size_are_refused():
    """A fixed column whose payload has another size than its type says is refused, never reshaped."""
    storage = pa.array([b"x" * 60, b"x" * 59, b"x" * 61], pa.large_binary())
    array = pa.ExtensionArray.from_storage(ImageType(ImageSpec("RGB", 4, 5)), storage)
    with pytest.raises(SchemaError, match="60 bytes"):
        array.to_numpy_ndarray()


def test_frames_print_the_type_in_words():
    """A printed frame shows ``Image[...]`` and ``Tensor[...]``, not the names of extension types."""
    with pl.Config(tbl_cols=-1, tbl_width_chars=200):
        text = str(pl.from_arrow(table()))
    assert "Image[RGB, 4x5]" in text
    assert "Tensor[int16]" in text
    assert "lightdata." not in text


def test_schemas_print_in_words():
    """A schema prints one column a line, as a person would write its type."""
    schema = ld.Schema(
        {
            "image": ld.image_type("RGB", 224, 224),
            "logits": ld.tensor_type("float32", (1000,)),
            "any": ld.image_type(),
            "boxes": ld.tensor_type(np.int16),
            "label": pa.string(),
            "scores": pa.list_(pa.float16()),
            "point": pa.struct([("x", pa.float64()), ("who", pa.list_(pa.string(), 2))]),
            "when": pa.timestamp("us"),
        }
    )
    assert str(schema).splitlines() == [
        "image: Image[RGB, 224x224]",
        "logits: Tensor[float32, (1000,)]",
        "any: Image",
        "boxes: Tensor[int16]",
        "label: string",
        "scores: list[float16]",
        "point: struct[x: float64, who: array[string, 2]]",
        "when: timestamp[us]",
    ]
    assert str(ld.Schema({})) == "(no columns)"
    assert describe(pa.large_binary()) == "binary"


def test_registration_is_reversible_and_repeatable():
    """Types can be registered twice, unregistered, and registered again, in a process of its own."""
    program = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, polars as pl, pyarrow as pa
import lightdata
from lightdata.expr import registry as with_polars
from lightdata.types import registry as with_pyarrow
from lightdata.types.image import fixed_images
def register(): with_polars.register(); with_pyarrow.register()
array = fixed_images(np.zeros((2, 3, 4), np.uint8), "L")
def read():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer: writer.write(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_all().schema.field("i").type
batch = pa.record_batch({"i": array})
register(); register()
assert str(read()) == "Image[L, 3x4]"
with_polars.unregister(); with_pyarrow.unregister()
assert read() == pa.large_binary(), read()
assert pl.get_extension_type("lightdata.image") is None
register()
assert str(read()) == "Image[L, 3x4]"
assert "Image[L, 3x4]" in str(pl.from_arrow(batch))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_raw_images_of_every_mode(mode):
    """Pixels of every mode survive both forms of the column, and fixed metadata reads back."""
    dtype = MODES[mode][0]
    pixels = RNG.integers(0, 200, (2, *pixel_shape(mode, 3, 4))).astype(dtype)
    assert np.array_equal(fixed_images(pixels, mode).to_numpy_ndarray(), pixels)
    (row,) = iter_images(dynamic_images([raw_image(pixels[0])]))
    assert row.mode == mode
    assert row.decoded_bytes == pixels[0].nbytes
    assert np.array_equal(raw_pixels(row), pixels[0])
    spec = ImageSpec(mode, 3, 4)
    assert ImageSpec.from_text(spec.to_text()) == spec
    assert spec.nbytes == pixels[0].nbytes
    assert ImageType(spec).storage_type == FIXED_STORAGE


@pytest.mark.parametrize("text", ["RGB", "RGB,4", "RGB,4x", "RGB,-1x4", "P,4x4", "RGB,4x5x6", "RGB,axb", "RGB,٤x"])
def test_foreign_image_metadata_is_refused(text):
    """Metadata that is not of the canonical form is a SchemaError."""
    with pytest.raises(SchemaError):
        ImageSpec.from_text(text)


def test_half_known_images_are_refused():
    """An image type fixes mode, height and width together or not at all."""
    for arguments in (("RGB",), ("RGB", 4), (None, 4, 4)):
        with pytest.raises(SchemaError, match="together"):
            ld.image_type(*arguments)
    with pytest.raises(SchemaError, match="not stored"):
        ld.image_type("CMYK", 4, 4)


@pytest.mark.parametrize("dtype", ["bool", "complex64", "U3", "datetime64[ns]", "object"])
def test_tensor_dtypes(dtype):
    """A dtype that tensors of one shape, or any tensors, cannot hold is a SchemaError."""
    with pytest.raises(SchemaError):
        ld.tensor_type(dtype, (2,))
    if dtype in ("bool", "complex64"):
        rows = np.ones((2, 3), dtype)
        assert np.array_equal(tensors(rows).to_numpy_ndarray(), rows)
        assert values(canonical(pl.from_arrow(pa.table({"t": tensors(rows)})).to_arrow())["t"]) == values(tensors(rows))
    else:
        with pytest.raises(SchemaError):
            ld.tensor_type(dtype)


def test_foreign_byte_order_and_strides():
    """Big-endian, Fortran-ordered and strided arrays hold their values, not their bytes."""
    swapped, fortran = FLOATS.astype(">f4"), np.asfortranarray(FLOATS)
    for rows in (swapped, fortran, FLOATS[:, ::-1], FLOATS[::2]):
        assert np.array_equal(fixed_tensors(rows).to_numpy_ndarray(), rows)
        assert np.array_equal(tensors(rows).to_numpy_ndarray(), rows)
        assert all(np.array_equal(one, row) for one, row in zip(tensor_rows(tensors(list(rows))), rows, strict=True))
    assert np.array_equal(fixed_images(PIXELS[:, ::-1, ::-1], "RGB").to_numpy_ndarray(), PIXELS[:, ::-1, ::-1])


def test_empty_columns():
    """Columns without rows keep their types and shapes."""
    assert fixed_images(PIXELS[:0], "RGB").to_numpy_ndarray().shape == (0, 4, 5, 3)
    assert len(dynamic_images([])) == 0
    assert iter_images(dynamic_images([])) == []
    assert fixed_tensors(FLOATS[:0]).to_numpy_ndarray().shape == (0, 2, 3)
    assert tensor_rows(tensors(FLOATS[:0])) == []
    assert_rows(canonical(pl.from_arrow(table().slice(0, 0)).to_arrow()), [])


def test_declared_types():
    """A declared schema takes Arrow, Polars, Python and NumPy types, and refuses the rest by column."""
    schema = declared_schema(
        {"a": int, "b": "float32", "c": pl.String, "d": pl.List(pl.Int8), "e": pa.string(), "f": np.uint8, "g": bytes}
    )
    assert [describe(kind) for kind in schema.values()] == [
        "int64", "float32", "string", "list[int8]", "string", "uint8", "binary"
    ]  # fmt: skip
    assert declared_schema(None) is None
    assert declared_schema(pa.schema({"i": ImageType()})) == ld.Schema({"i": ImageType()})
    for wrong in (3, ["a"], {"a": "nonsense"}, {"a": object()}):
        with pytest.raises(ArgumentError):
            declared_schema(wrong)
