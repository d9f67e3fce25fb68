"""What users put in and take out of a batch: values, rows, formats and batch sizes."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import DecodeError, SchemaError
from lightdata.kernels.batch_format import from_output, to_format
from lightdata.kernels.columns import cast_column, column_from, to_numpy
from lightdata.kernels.rebatch import rebatch
from lightdata.kernels.rows import Row, batch_from_rows, iter_rows
from lightdata.types.image import ImageType, dynamic_images, fixed_images, raw_image
from lightdata.types.image_spec import MODES, pixel_shape
from lightdata.types.tensor import TensorType, fixed_tensors, tensors

PIXELS = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)


class Torchlike:
    """Has ``__array__`` but only after ``detach().cpu()``, as a tensor with gradients on a device has."""

    def __init__(self, array, ready=False):
        self.array, self.ready = array, ready

    def detach(self):
        return Torchlike(self.array, ready=True)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        assert self.ready
        return np.asarray(self.array, dtype)


def column(values):
    return column_from(values, column="c")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 3], pa.int64()),
        (["a", None], pa.large_string()),
        ([b"a"], pa.large_binary()),
        ([], pa.null()),
        ([None, None], pa.null()),
        (np.array([1.5], np.float32), pa.float32()),
        (np.array(["a", "bc"]), pa.large_string()),
        (np.array(["a", None], object), pa.large_string()),
        ((value for value in (1, 2)), pa.int64()),
        (range(3), pa.int64()),
        ((True, False), pa.bool_()),
        ([{"x": 1}, None], pa.struct([("x", pa.int64())])),
        ([[1], []], pa.large_list(pa.int64())),
        ([np.datetime64("2020-01-01", "ns"), None], pa.timestamp("ns")),
        ([np.timedelta64(3, "ns")], pa.duration("ns")),
        ([np.int64(3), None, np.int64(4)], pa.int64()),
        (pl.Series(["a"]), pa.large_string()),
        (pa.array(["a"], pa.string_view()), pa.large_string()),
        (pa.chunked_array([["a"], ["b"]]), pa.large_string()),
        (pa.chunked_array([], pa.string()), pa.large_string()),
        (Torchlike(np.arange(3)), pa.int64()),
    ],
    ids=str,
)
def test_values_become_what_arrow_makes_of_them(values, kind):
    """Values of every kind become a column of the canonical type."""
    found = column(values)
    assert isinstance(found, pa.Array)
    assert found.type == kind


def test_arrays_with_axes_become_tensors():
    """Batches of arrays, rows that are arrays and tensors of other libraries become tensors with their values."""
    rows = [PIXELS[0], PIXELS[1]]
    for values in (
        PIXELS,
        rows,
        iter(rows),
        np.array([*rows, None], object)[:2],
        Torchlike(PIXELS),
        [Torchlike(row) for row in rows],
    ):
        found = column(values)
        assert found.type == TensorType("uint8")
        assert np.array_equal(to_numpy(found), PIXELS)


def test_ragged_arrays_keep_their_shapes():
    """Rows of different shapes and nulls come back as an array of objects."""
    rows = [np.zeros((2, 3)), None, np.ones((4, 1)), np.zeros((0, 5))]
    found = to_numpy(column(rows))
    assert found.dtype == object
    assert found[1] is None
    assert [row.shape for row in found if row is not None] == [(2, 3), (4, 1), (0, 5)]


def test_pillow_images_become_images():
    """Pillow images of different modes and sizes become an image column, nulls included."""
    found = column([Image.new("RGB", (4, 3), (1, 2, 3)), None, Image.new("1", (2, 2), 1)])
    assert str(found.type) == "Image"
    rows = to_numpy(found)
    assert rows[0].shape == (3, 4, 3)
    assert rows[1] is None
    assert rows[2].tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize("values", ["abc", b"abc", 3, None, {"a": 1}, np.array(3), np.float32(1), object()], ids=repr)
def test_single_values_are_refused(values):
    """One value for a whole column is a SchemaError that names the column."""
    with pytest.raises(SchemaError, match="'c'"):
        column(values)


@pytest.mark.parametrize("values", [[1, "a"], [object()], [2**70], [np.zeros(2), "a"], np.array([[object()]])], ids=str)
def test_values_that_do_not_fit_together(values):
    """Values that Arrow cannot hold in one column are a SchemaError, whatever Arrow raises."""
    with pytest.raises(SchemaError):
        column(values)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_images_come_out_as_stacked_pixels(mode, count):
    """A fixed column is ``[N, H, W, ...]`` of its dtype whatever N, its own copy that may be written to."""
    pixels = np.ones((count, *pixel_shape(mode, 3, 4)), MODES[mode][0])
    found = to_numpy(fixed_images(pixels, mode))
    assert (found.shape, found.dtype) == (pixels.shape, pixels.dtype)
    assert np.array_equal(found, pixels)
    found[...] = 0
    assert (pixels == 1).all()


def test_tensors_come_out_stacked():
    """Tensors of one shape are one array that may be written to, also without rows."""
    for rows in (np.ones((3, 2), np.float32), np.ones((0, 2), np.float32)):
        found = to_numpy(fixed_tensors(rows))
        assert (found.shape, found.dtype, found.flags.writeable) == (rows.shape, rows.dtype, True)


def test_dtypes_are_not_mixed_by_stacking():
    """Images of one shape but different dtypes are not cast to one."""
    images = [raw_image(np.zeros((2, 2), np.uint8)), raw_image(np.full((2, 2), 60000, np.uint16))]
    found = to_numpy(dynamic_images(images))
    assert [row.dtype for row in found] == [np.uint8, np.uint16]


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4)])
def test_pixel_tensors_can_be_declared_images(shape):
    """uint8 tensors ``[H, W]`` and ``[H, W, 1|3|4]`` become images of both forms where that is declared."""
    mode = {(3, 4, 3): "RGB", (3, 4, 4): "RGBA"}.get(shape, "L")
    rows = np.arange(2 * np.prod(shape), dtype=np.uint8).reshape(2, *shape)
    for kind in (ld.image_type(), ld.image_type(mode, 3, 4)):
        found = cast_column(tensors(rows), kind, column="c")
        assert found.type == kind
        assert np.array_equal(to_numpy(found), rows.reshape(to_numpy(found).shape))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([1.5]), pa.int64()),
        (pa.array([300]), pa.int8()),
        (pa.array(["a"]), pa.int64()),
        (tensors(np.ones((2, 3))), TensorType("float32")),
        (tensors(np.ones((2, 3))), ld.tensor_type("float64", (4,))),
        (tensors([np.ones(3), None]), ld.tensor_type("float64", (3,))),
        (fixed_images(PIXELS, "RGB"), ld.image_type("RGB", 9, 9)),
        (fixed_images(PIXELS, "RGB"), ld.image_type("L", 3, 4)),
    ],
)
def test_lossy_casts_are_refused(values, kind):
    """A declared type that would change values is a SchemaError that names the column."""
    with pytest.raises(SchemaError, match="'c'"):
        cast_column(values, kind, column="c")


def test_lossless_casts():
    """Wider numbers, open shapes, and all-null columns take the declared type."""
    assert cast_column(pa.array([1], pa.int8()), pa.float64(), column="c").to_pylist() == [1.0]
    fixed = fixed_tensors(np.ones((2, 3), np.float32))
    assert cast_column(fixed, TensorType("float64"), column="c").type == TensorType("float64")
    assert cast_column(tensors(np.ones((2, 3), np.float32)), fixed.type, column="c").equals(fixed)
    for kind in (ImageType(), ld.image_type("L", 2, 2), TensorType("int8"), pa.int8()):
        assert cast_column(pa.nulls(2), kind, column="c").null_count == 2


def batch():
    images = dynamic_images([raw_image(PIXELS[0]), None, raw_image(PIXELS[1, :2])])
    return pa.record_batch({"id": [0, 1, 2], "image": images, "t": tensors(np.ones((3, 2)))})


def test_rows_behave_like_dicts():
    """A row can be read, changed, merged, unpacked and compared as a dict of its values."""
    row = Row(batch(), 0)
    assert list(row) == ["id", "image", "t"]
    assert row["image"].shape == (3, 4, 3)
    row["id"] += 5
    del row["t"]
    row["new"] = "x"
    assert row.pop("new") == "x"
    assert "t" not in row
    assert row.get("t", 3) == 3
    assert {**row}["id"] == 5
    assert (row | {"id": 7})["id"] == 7
    assert ({"id": 7, "z": 1} | row)["id"] == 5
    assert row.copy().keys() == {"id", "image"}
    with pytest.raises(KeyError):
        row["t"]


def test_rows_are_lazy():
    """Printing or passing on a row does not decode its image; looking does, and gives pixels of its own."""
    broken = dynamic_images([ld.types.image.EncodedImage(b"broken", "jpeg", "RGB", 3, 4)])
    source = pa.record_batch({"image": broken, "id": [1]})
    row = Row(source, 0)
    assert "<Image RGB 3x4>" in repr(row)
    assert row.is_untouched("image")
    row["id"] = 2
    out = batch_from_rows([row], source)
    assert out.column("image").equals(broken)
    with pytest.raises(ld.DecodeError):
        row["image"]
    pixels = Row(batch(), 0)["image"]
    pixels[...] = 0
    assert PIXELS.any()


def test_untouched_columns_are_taken_as_stored():
    """Columns nobody looked at keep their storage, in the order and number of the rows given."""
    source = batch()
    rows = list(iter_rows(source))
    out = batch_from_rows([rows[2], rows[0], rows[0]], source)
    assert out.column("id").to_pylist() == [2, 0, 0]
    assert out.column("image").type == source.column("image").type
    assert batch_from_rows(rows, source).column("image") is not None
    assert [row["image"] is None for row in iter_rows(source)] == [False, True, False]


@pytest.mark.parametrize(
    "rows", [[{"a": 1}, {"b": 1}], [{"a": 1}, {}], [{"a": 1}, 3], [None], [["a"]], [{"a": 1}, {"a": "x"}]]
)
def test_rows_that_do_not_fit_together(rows):
    """Rows that are no mappings, or differ in columns or types, are a SchemaError."""
    with pytest.raises(SchemaError):
        batch_from_rows(rows)


def test_no_rows_and_odd_names():
    """No rows make an empty batch; names that are no strings become strings; key order does not matter."""
    assert batch_from_rows([]).num_rows == 0
    assert batch_from_rows([{1: "a", "b": 2}, {"b": 3, 1: "c"}]).to_pydict() == {"1": ["a", "c"], "b": [2, 3]}


def test_formats_hold_the_same_rows():
    """Each batch format holds every row; NumPy and pandas have pixels, Polars and Arrow the stored column."""
    source = batch()
    numpy, pandas, polars, arrow = (to_format(source, name) for name in ("numpy", "pandas", "polars", "pyarrow"))
    assert numpy["image"][0].shape == pandas["image"][0].shape == (3, 4, 3)
    assert numpy["image"][1] is None
    assert pandas["image"][1] is None
    assert polars["id"].to_list() == arrow["id"].to_pylist() == pandas["id"].tolist() == [0, 1, 2]
    assert arrow["image"].type == source.column("image").type
    with pytest.raises(TypeError, match="torch"):
        to_format(source, "torch")
    for output in (numpy, polars, arrow, source, pandas[["id", "t"]]):
        back = from_output(output)
        assert back.column("id").to_pylist() == [0, 1, 2]
        assert np.array_equal(to_numpy(back.column("t")), np.ones((3, 2)))


def test_pandas_columns_keep_their_missing_values():
    """Strings, nullable integers, times and booleans with missing values come out of pandas with nulls."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "text": ["a", None],
            "count": pd.Series([1, None], dtype="Int64"),
            "when": pd.to_datetime(["2020-01-01", None]),
            "kind": pd.Series(["x", "y"], dtype="category"),
            "flag": pd.Series([True, None], dtype="boolean"),
            "array": [np.zeros(2), np.zeros(3)],
        }
    )
    found = from_output(frame)
    assert found.select(["text", "count", "kind", "flag"]).to_pydict() == {
        "text": ["a", None],
        "count": [1, None],
        "kind": ["x", "y"],
        "flag": [True, None],
    }
    assert found.column("when").to_pylist() == [dt.datetime(2020, 1, 1), None]
    assert found.column("array").shapes() == [(2,), (3,)]


@pytest.mark.parametrize("output", [None, 3, "a", [1, 2], [{"a": 1}], np.zeros(3), {"a": [1], "b": [1, 2]}, {"a": 1}])
def test_outputs_that_are_no_batch(output):
    """What is no mapping of equally long columns and no table is a SchemaError."""
    with pytest.raises(SchemaError):
        from_output(output)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("sizes", [[], [0], [5], [1, 0, 2, 3], [3, 3, 3], [10, 1], [0, 0, 7]])
def test_rebatch_keeps_rows_in_order(sizes, rows):
    """Batches of exactly the size asked for, the last with the rest, hold all rows in order."""
    numbers = iter(range(sum(sizes)))
    batches = [pa.record_batch({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}) for size in sizes]
    found = list(rebatch(iter(batches), rows))
    assert [n for one in found for n in one.column("n").to_pylist()] == list(range(sum(sizes)))
    assert all(one.num_rows == rows for one in found[:-1])
    assert all(0 < one.num_rows <= rows for one in found)


def test_rebatch_is_lazy():
    """A batch leaves as soon as its rows are there; nothing is read ahead."""
    read = []

    def source():
        for number in range(5):
            read.append(number)
            yield pa.record_batch({"i": fixed_images(PIXELS, "RGB")})

    stream = rebatch(source(), 2)
    assert next(stream).num_rows == 2
    assert read == [0]


@pytest.mark.parametrize("values", [[2**62], [None, 2**62]])
@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ms", "UTC")])
def test_values_that_python_has_not_are_errors_of_their_row(kind, values):
    """Years beyond 9999 are values in columns, and errors of lightdata in rows."""
    column = pa.array(values, pa.int64()).cast(kind)
    data = ld.from_arrow(pa.table({"t": column, "l": pa.array([[one] for one in column], pa.list_(kind))}))
    assert data.select("t").to_arrow().num_rows == len(values)
    with pytest.raises(
        DecodeError, match=rf"column 't': a value of {re.escape(str(kind))} that Python has not.*collect"
    ):
        data.take_all()
    with pytest.raises(DecodeError, match="that Python has not"):
        list(data.select("l").iter_batches(batch_format="numpy"))
    skipped = data.map(lambda row: {"t": row["t"]}, on_error="skip")
    assert len(skipped.take_all()) == len(values) - 1
    assert skipped.errors().select("row", "code", "cause").rows()[0][:2] == (len(values) - 1, "decode_failed")
