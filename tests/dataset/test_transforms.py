"""Users' functions: what they get, what they may return, and what they are called with."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, SchemaError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@pytest.fixture
def photos(tmp_path):
    for n in range(6):
        Image.fromarray(np.full((4, 5, 3), n * 10, np.uint8)).save(tmp_path / f"{n}.png")
    return tmp_path


def spoil(path, kind):
    """Put an image there whose header is sound and whose pixels are not."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path, kind)
    content = path.read_bytes()
    path.write_bytes(content[:-500] if kind == "JPEG" else content[:1000] + bytes(100) + content[1100:])


KINDS = pytest.mark.parametrize(
    "kind",
    [
        "JPEG",
        "PNG",
    ],
)


def test_arguments_follow_the_row():
    """fn_args and fn_kwargs reach functions, fn_constructor_* reach classes."""

    def add(row, one, *, two):
        return {"n": row["id"] + one + two}

    class Add:
        def __init__(self, one, *, two):
            self.more = one + two

        def __call__(self, row, three):
            return {"n": row["id"] + self.more + three}

    data = ld.range(2)
    assert data.map(add, fn_args=[10], fn_kwargs={"two": 5}).take_all() == [{"n": 15}, {"n": 16}]
    built = data.map(Add, fn_constructor_args=[1], fn_constructor_kwargs={"two": 2}, fn_args=(100,))
    assert built.take_all() == [{"n": 103}, {"n": 104}]
    both = data.map_batches(lambda batch, k: {"n": batch["id"] * k}, fn_kwargs={"k": 3}).flat_map(
        lambda row, times: [row] * times, fn_args=(2,)
    )
    assert [row["n"] for row in both.take_all()] == [0, 0, 3, 3]


def test_wrong_arguments_are_refused_when_the_query_is_built():
    """What cannot be called, or is not for a function, is named."""
    data = ld.range(2)
    for verb in ("map", "flat_map", "map_batches"):
        with pytest.raises(ArgumentError, match=verb):
            getattr(data, verb)(3)
        with pytest.raises(ArgumentError, match="fn_constructor_args"):
            getattr(data, verb)(lambda row: row, fn_constructor_args=(1,))
        with pytest.raises(ArgumentError, match="num_cpus"):
            getattr(data, verb)(lambda row: row, num_cpus=1)
        for concurrency in (0, -1, (2, 1), "2", 1.5):
            with pytest.raises(ArgumentError, match="concurrency"):
                getattr(data, verb)(lambda row: row, concurrency=concurrency)
    for size in (0, -1, 2.5, "3"):
        with pytest.raises(ArgumentError, match="batch_size"):
            data.map_batches(lambda batch: batch, batch_size=size)
    with pytest.raises(ArgumentError, match="batch_format"):
        data.map_batches(lambda batch: batch, batch_format="torch")


@KINDS
def test_input_columns_are_the_only_ones_decoded(photos, kind):
    """A broken image that is not asked for is not looked at."""
    spoil(photos / "3.png", kind)
    data = ld.read_images(photos, include_paths=True)
    query = data.map_batches(
        lambda batch: {"n": np.array([len(batch)]), "rows": np.array([len(batch["path"])])}, input_columns=["path"]
    )
    assert query.take_all() == [{"n": 1, "rows": 6}]
    with pytest.raises(ld.DecodeError):
        data.map_batches(lambda batch: {"n": np.array([len(batch["image"])])}, input_columns=["image"]).take_all()
    with pytest.raises(ld.ColumnNotFoundError, match="nope"):
        data.map_batches(lambda batch: batch, input_columns=["nope"]).take_all()


def test_an_image_that_breaks_in_a_batch_is_named(photos):
    """The error of a broken image tells its file, though it is decoded for a function."""
    spoil(photos / "3.png", "JPEG")
    with pytest.raises(ld.DecodeError) as caught:
        ld.read_images(photos).map_batches(lambda batch: {"n": np.array([len(batch["image"])])}).take_all()
    assert "3.png" in "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


@pytest.mark.parametrize(
    ("batch_format", "kind"),
    [
        ("numpy", dict),
        ("default", dict),
        (None, dict),
        ("pandas", pd.DataFrame),
        ("pyarrow", pa.Table),
        ("polars", pl.DataFrame),
    ],
)
def test_each_batch_format_goes_in_and_out(batch_format, kind):
    """A function gets the form it asked for and may give it back."""

    def same(batch):
        assert isinstance(batch, kind)
        return batch

    rows = [{"a": n, "b": f"t{n}", "c": n / 2} for n in range(5)]
    assert ld.from_items(rows).map_batches(same, batch_format=batch_format).take_all() == rows


def test_images_are_pixels_for_numpy_and_stay_stored_for_arrow(photos):
    """NumPy and pandas get pixels; an Arrow or Polars identity keeps images as they were."""
    data = ld.read_images(photos)
    (row,) = data.map_batches(lambda b: {"n": np.array([b["image"].ndim])}).take_all()
    assert row == {"n": 4}
    expected = [row["image"].tolist() for row in data.take_all()]
    for batch_format in ("numpy", "pandas", "pyarrow", "polars"):
        found = data.map_batches(lambda batch: batch, batch_format=batch_format).take_all()
        assert [row["image"].tolist() for row in found] == expected


def test_generators_give_any_number_of_batches():
    """A function may yield batches of any size, or none."""

    def split(batch):
        for n in batch["id"]:
            if n != 2:
                yield {"id": np.repeat(n, n)}

    assert [row["id"] for row in ld.range(4).map_batches(split).take_all()] == [1, 3, 3, 3]


class FakeTensor:
    """Walks like a torch tensor."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_tensors_of_other_libraries_are_taken():
    """What has __array__, detach and cpu becomes a tensor or a number, from rows and batches."""
    rows = ld.range(3).map(
        lambda row: {"t": FakeTensor(np.full((2, 2), row["id"])), "n": FakeTensor(np.array(row["id"]))}
    )
    assert [row["t"].tolist() for row in rows.take_all()] == [[[n, n], [n, n]] for n in range(3)]
    assert [row["n"] for row in rows.take_all()] == [0, 1, 2]
    batches = ld.range(3).map_batches(lambda batch: {"t": FakeTensor(np.stack([batch["id"]] * 2, axis=1))})
    assert [row["t"].tolist() for row in batches.take_all()] == [[n, n] for n in range(3)]


def test_pillow_images_become_images(photos):
    """A returned Pillow image is an image column, of any mode and size, that can be read on."""
    data = ld.read_images(photos).map(lambda row: {"image": Image.fromarray(row["image"]).convert("L").resize((3, 2))})
    assert data.take(1)[0]["image"].shape == (2, 3)
    assert str(data.schema()["image"]) == "Image"
    assert data.map(lambda row: {"n": int(row["image"].max())}).take_all() == [{"n": n * 10} for n in range(6)]


def test_a_declared_schema_is_known_before_and_held_to_after():
    """schema= tells the columns without running; what does not fit is an error."""
    ran = []

    def make(row):
        ran.append(row["id"])
        return {"x": np.full((2, 3), row["id"], np.uint8), "name": str(row["id"])}

    query = ld.range(3).map(make, schema={"x": ld.tensor_type("uint8", (2, 3)), "name": str})
    assert query.columns == ["x", "name"]
    assert query.schema()["x"] == pa.fixed_shape_tensor(pa.uint8(), (2, 3))
    assert ran == []
    assert query.take_batch()["x"].shape == (3, 2, 3)
    with pytest.raises(SchemaError, match="x"):
        ld.range(3).map(make, schema={"x": ld.tensor_type("uint8", (9, 9)), "name": str}).take_all()
    with pytest.raises((SchemaError, KeyError, ld.ColumnNotFoundError), match="missing"):
        ld.range(3).map(make, schema={"missing": int}).take_all()


def test_what_a_function_returns_must_fit():
    """Wrong returns are SchemaErrors that say what is expected."""
    for verb, fn, words in (
        ("map", lambda row: [1], "mapping"),
        ("map_batches", lambda batch: 3, "mapping of column to array"),
        ("map_batches", lambda batch: {"a": [1, 2], "b": [1]}, "same number of rows"),
        ("map_batches", lambda batch: {"a": 3}, "one value for each row"),
        ("map", lambda row: {"a": 1} if row["id"] else {"b": 1}, "same columns"),
    ):
        with pytest.raises(SchemaError, match=words):
            getattr(ld.range(3), verb)(fn).take_all()


@KINDS
def test_a_row_decodes_only_what_is_asked_for(photos, kind):
    """Mapping over rows does not open images it does not look at, and may change them in place."""
    spoil(photos / "2.png", kind)
    data = ld.read_images(photos, include_paths=True)
    assert data.map(lambda row: {"n": len(row["path"])}).count() == 6
    (photos / "2.png").unlink()

    def brighter(row):
        row["image"] += 1
        return row

    assert [row["image"].max() for row in ld.read_images(photos).map(brighter).take_all()] == [1, 11, 31, 41, 51]


def test_several_predicates_are_one_condition():
    """Predicates of one filter see the same rows, as in Polars, and may read one column twice."""
    data = ld.from_arrow(pa.table({"a": [1, 2, 3, 10], "b": [0, 0, 5, 6]}))
    predicates = (pl.col("b") < 6, pl.col("a") >= pl.col("a").mean())
    assert data.filter(*predicates).take_all() == data.collect().filter(*predicates).to_dicts() == []
    assert data.filter(pl.col("a") > 1, pl.col("a") < 3).take_all() == [{"a": 2, "b": 0}]
