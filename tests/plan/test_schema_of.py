"""The schema of every step, from the plan alone."""

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.io.sinks.sink import WRITTEN
from lightdata.io.source import Pushdowns
from lightdata.plan.node import DecodeImages, Limit, ReadFiles, Scan
from lightdata.plan.schema import schema_of
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema

TABLE = pa.table({"path": ["a", "b"], "n": [1, 2], "x": [0.5, None]})


def same(row):
    """Give back what came."""
    return row


def dataset():
    return ld.from_arrow(TABLE)


def words(ds):
    return dict(line.split(": ") for line in repr(schema_of(ds._plan)).splitlines())


def images(**options):
    plan = ReadFiles(input=Scan(source=MemorySource(TABLE)), path="path", column="image")
    return DecodeImages(input=plan, column="image", **options)


def test_scan_gives_the_source_columns():
    """A scan has the columns of its source in canonical types."""
    assert words(dataset()) == {"path": "string", "n": "int64", "x": "float64"}


def test_scan_gives_only_pushed_columns():
    """A scan that was told which columns to produce has no others, in that order."""
    plan = Scan(source=MemorySource(TABLE), pushdowns=Pushdowns(columns=("x", "path")))
    assert schema_of(plan).names == ["x", "path"]


def test_steps_that_keep_columns():
    """Filters and limits change no column."""
    expected = words(dataset())
    assert words(dataset().filter(pl.col("n") > 1)) == expected
    assert words(dataset().filter(lambda row: True)) == expected
    assert words(dataset().limit(1)) == expected


def test_expressions_are_typed_by_polars():
    """Select and with_columns take the types that Polars gives the expressions."""
    ds = dataset().select("n", half=pl.col("n") / 2, text=pl.col("n").cast(pl.String), total=pl.col("n").sum())
    assert words(ds) == {"n": "int64", "half": "float64", "text": "string", "total": "int64"}


def test_with_columns_replaces_in_place():
    """A column that is made anew stays where it was, and new ones come last."""
    ds = dataset().with_columns(new=pl.lit("a"), n=pl.col("x"))
    assert list(words(ds).items()) == [("path", "string"), ("n", "float64"), ("x", "float64"), ("new", "string")]


def test_drop_and_rename():
    """Drop removes names, and rename keeps the order even where names are swapped."""
    assert words(dataset().drop("n")) == {"path": "string", "x": "float64"}
    swapped = dataset().rename({"n": "x", "x": "n"})
    assert list(words(swapped).items()) == [("path", "string"), ("x", "int64"), ("n", "float64")]


def test_read_files_adds_bytes():
    """Reading adds a column of encoded bytes."""
    plan = ReadFiles(input=Scan(source=MemorySource(TABLE)), path="path", column="raw")
    assert pa.types.is_large_binary(schema_of(plan)["raw"])


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "Image"),
        ({"mode": "RGB"}, "Image"),
        ({"size": (4, 5)}, "Image"),
        ({"mode": "L", "size": (4, 5)}, "Image[L, 4x5]"),
    ],
)
def test_decoding_is_fixed_only_where_all_is_known(options, kind):
    """Decoded images have a fixed type only where both mode and size are given."""
    assert str(schema_of(images(**options))["image"]) == kind


def test_image_chains_are_typed():
    """Every image operation tells its type without an image."""
    image = pl.col("image").image
    ds = ld.Dataset(images()).select(
        size=image.to_mode("RGB").image.resize(4, 5),
        width=image.width(),
        mode=image.mode(),
        pixels=image.resize(4, 5).image.to_tensor(),
        wide=image.width() > 3,
    )
    assert words(ds) == {
        "size": "Image[RGB, 4x5]",
        "width": words(ds)["width"],
        "mode": "string",
        "pixels": words(ds)["pixels"],
        "wide": "bool",
    }
    assert words(ds)["width"].startswith(("int", "uint"))
    assert words(ds)["pixels"].startswith("Tensor[")


def test_functions_without_schema_are_unknown():
    """What a function returns is unknown, and so is everything after it; a row filter knows."""
    ds = dataset()
    assert schema_of(ds.map(same)._plan) is None
    assert schema_of(ds.flat_map(lambda row: [row])._plan) is None
    assert schema_of(ds.map_batches(same).filter(pl.col("n") > 1).limit(3).drop("n")._plan) is None
    assert schema_of(ds.map(same).filter(lambda row: True)._plan) is None


def test_functions_with_schema_are_known():
    """A declared schema is the schema, whatever came before."""
    for verb in ("map", "flat_map", "map_batches"):
        ds = getattr(dataset().map(same), verb)(same, schema={"a": int, "b": str, "c": bool})
        assert words(ds) == {"a": "int64", "b": "string", "c": "bool"}


def test_writes_give_a_row_for_each_file():
    """The schema of written files is fixed."""
    assert WRITTEN.names == ["path", "name", "rows", "size_bytes", "folder", "error", "kind", "uri", "row"]


def test_image_types_survive_every_step():
    """An image column keeps its type through limits, filters and renames."""
    plan = Limit(input=images(), n=1)
    ds = ld.Dataset(plan).rename({"image": "picture"}).filter(pl.col("n") > 0)
    assert isinstance(schema_of(ds._plan)["picture"], ImageType)


def test_a_limit_on_a_range():
    """The words of a schema and the schema itself agree."""
    assert schema_of(Limit(input=Scan(source=RangeSource(2)), n=1)) == Schema({"id": pa.int64()})
