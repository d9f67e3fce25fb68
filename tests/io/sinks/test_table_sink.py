"""Tables in parts: what plain pyarrow and Polars read back."""

import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, EncodeError, SchemaError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def files(root):
    return sorted(path.name for path in root.iterdir() if path.name != "_SUCCESS")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(40):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        suffix = ("jpg", "png", "webp")[n % 3]
        Image.fromarray(pixels).save(folder / f"{n:02d}.{suffix}")
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_untouched_images_keep_the_bytes_of_their_files(tmp_path, photos, workers):
    """write_parquet then read_parquet gives every file's bytes, unchanged, and the same pixels."""
    ld.config(workers=workers)
    ld.read_images(photos, include_paths=True).write_parquet(tmp_path / "out")
    table = pq.read_table(tmp_path / "out")
    storage = table.column("image").combine_chunks()
    storage = storage.storage if hasattr(storage, "storage") else storage
    paths = table.column("path").to_pylist()
    payloads = [value for row in storage.to_pylist() for value in row.values() if isinstance(value, bytes)]
    assert payloads == [Path(path).read_bytes() for path in paths]
    assert len(paths) == 40
    for one, two in zip(ld.read_images(photos).iter_rows(), ld.read_parquet(tmp_path / "out").iter_rows(), strict=True):
        assert (one["image"] == two["image"]).all()


def test_parquet_parts_do_not_depend_on_the_workers(tmp_path):
    """The same rows are in the same parts, byte for byte, with workers and without."""
    query = ld.from_numpy({"id": np.arange(300), "x": np.arange(1200).reshape(300, 2, 2)}).map_batches(
        lambda batch: {"id": batch["id"], "x": batch["x"] * 2}
    )
    for workers in (0, 2):
        ld.config(workers=workers)
        result = query.write_parquet(tmp_path / str(workers))
        assert (result.rows, len(result.files)) == (300, 3)
    assert files(tmp_path / "0") == files(tmp_path / "2") == [f"part-{n:05d}.parquet" for n in range(3)]
    for name in files(tmp_path / "0"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert ld.read_parquet(tmp_path / "2").take_batch(300)["x"].tolist() == (
        (np.arange(1200) * 2).reshape(300, 2, 2).tolist()
    )


def test_parquet_takes_a_compression(tmp_path):
    """The compression that was asked for is in the file."""
    ld.range(10).write_parquet(tmp_path, compression="zstd")
    meta = pq.ParquetFile(tmp_path / "part-00000.parquet").metadata
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_plain_columns_are_read_by_polars(tmp_path):
    """Numbers, text and nulls are ordinary Parquet."""
    rows = [{"n": n, "t": None if n == 2 else f"t{n}", "f": n / 2} for n in range(5)]
    ld.from_items(rows).write_parquet(tmp_path)
    assert pl.read_parquet(tmp_path).to_dicts() == rows


def test_edited_images_are_still_images_after_parquet(tmp_path, photos):
    """Images made by a function or an expression come back with their pixels."""
    small = ld.col("image").image.resize(4, 4)
    data = ld.read_images(photos, mode="RGB").with_columns(small)
    data.write_parquet(tmp_path / "out")
    found = ld.read_parquet(tmp_path / "out").take_all()
    assert [row["image"].tolist() for row in found] == [row["image"].tolist() for row in data.take_all()]
    turned = ld.read_images(photos).map(lambda row: {"image": Image.fromarray(row["image"]).rotate(90, expand=True)})
    turned.write_images(tmp_path / "png", "image")
    content = (tmp_path / "png" / "000000.png").read_bytes()
    assert Image.open(io.BytesIO(content)).size == (8, 9)


def test_parts_agree_though_the_first_rows_are_null(tmp_path):
    """A column that is only null in the first parts has one type in all of them, and the values it was given."""
    late = ld.range(20_000).map(lambda row: {"v": None if row["id"] < 9000 else row["id"] / 2})
    assert len(late.write_parquet(tmp_path).files) > 1
    values = ld.read_parquet(tmp_path).collect()["v"]
    assert values.null_count() == 9000
    assert values[-1] == 9999.5


def partitions(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != "_SUCCESS")


LABELS = ["cat", None, "a/b", "../up", "", "50%", "é ü", "x=y", "Cat", "..", "\n", "C:\\x", "." * 3]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "arrow"])
def test_partitions_are_read_as_hive_has_them(tmp_path, kind, workers):
    """Any text names a folder below the target, null has Hive's word, and pyarrow and Polars read the same rows."""
    ld.config(workers=workers)
    rows = [{"id": n, "label": LABELS[n % len(LABELS)], "year": 2000 + n % 2} for n in range(300)]
    (tmp_path / "box").mkdir()
    target = tmp_path / "box" / "out"
    result = getattr(ld.from_items(rows).map(lambda row: row), f"write_{kind}")(
        target, partition_cols=["label", "year"]
    )
    assert result.rows == 300
    assert sorted(result.files) == partitions(target)
    assert partitions(tmp_path) == [f"box/out/{name}" for name in partitions(target)]
    assert f"label=__HIVE_DEFAULT_PARTITION__/year=2001/part-00000.{kind}" in result.files
    assert f"label=a%2Fb/year=2000/part-00000.{kind}" in result.files
    if kind != "json":
        schema = pa.schema([("id", pa.int64()), ("label", pa.string()), ("year", pa.int64())])
        hive = pds.partitioning(pa.schema(list(schema)[1:]), flavor="hive")
        found = pds.dataset(target, format=kind, partitioning=hive, schema=schema).to_table().sort_by("id")
        assert found.to_pylist() == rows
    if kind == "parquet":
        frame = pl.scan_parquet(target / "**/*.parquet", hive_partitioning=True, try_parse_hive_dates=False)
        known = frame.sort("id").collect().select("id", "label", "year").to_dicts()
        assert [row["id"] for row in known] == list(range(300))
        assert [row["label"] for row in known if row["label"]] == [row["label"] for row in rows if row["label"]]


def test_partitions_of_all_plain_types(tmp_path):
    """Booleans, dates, times and numbers name folders as Hive writes them."""
    day, time = dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 13, 5)
    row = {"x": 1, "b": True, "d": day, "t": time, "f": 0.5}
    (name,) = ld.from_items([row]).write_csv(tmp_path, partition_cols=["b", "d", "t", "f"]).files
    assert name == "b=true/d=2024-02-29/t=2024-02-29%2013%3A05%3A00/f=0.5/part-00000.csv"
    assert (tmp_path / name).read_text() == '"x"\n1\n'


def test_partitions_that_cannot_be_are_refused(tmp_path):
    """What names no folder is told before the query runs, and a value that cannot when it is met."""
    data = ld.from_items([{"x": 1, "y": [1], "z": np.zeros((2, 2)), "label": "a"}])
    for names, error, text in (
        (["lable"], ld.ColumnNotFoundError, "label"),
        (["y"], SchemaError, "cannot name folders"),
        (["z"], SchemaError, "cannot name folders"),
        ("label", ArgumentError, "list of columns"),
        (["x", "x"], ArgumentError, "twice"),
    ):
        with pytest.raises(error, match=text):
            data.write_parquet(tmp_path / "out", partition_cols=names)
    with pytest.raises(SchemaError, match="all columns"):
        data.select("x", "label").write_csv(tmp_path / "out", partition_cols=["x", "label"])
    for bad in ("x" * 5000, "__HIVE_DEFAULT_PARTITION__"):
        with pytest.raises(EncodeError, match="label"):
            ld.from_items([{"x": 1, "label": bad}]).write_parquet(tmp_path / "out", partition_cols=["label"])
    assert not (tmp_path / "out").exists()


def part_rows(folder):
    return [pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet"))]


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_have_the_rows_asked_for(tmp_path, photos, workers):
    """Parts have at least and at most so many rows, the last excepted, wherever rows come from."""
    ld.config(workers=workers)
    plain, images = ld.range(1000), ld.read_images(photos)
    few = ld.range(1000).map(lambda row: row).filter(ld.col("id") % 10 == 0)
    for number, (data, sizes, expected) in enumerate(
        [
            (plain, {"max_rows_per_file": 300}, [300, 300, 300, 100]),
            (few, {"min_rows_per_file": 60, "max_rows_per_file": 60}, [60, 40]),
            (images, {"min_rows_per_file": 15, "max_rows_per_file": 20}, [15, 15, 10]),
            (images, {"max_rows_per_file": 25}, [25, 15]),
            (images.filter(ld.col("image").image.width() > 0), {"min_rows_per_file": 500}, [40]),
        ]
    ):
        data.write_parquet(tmp_path / str(number), **sizes)
        assert part_rows(tmp_path / str(number)) == expected
    images.write_parquet(tmp_path / "many", max_rows_per_file=1)
    for _ in range(2):
        ld.read_parquet(tmp_path / "many").write_parquet(tmp_path / "one", min_rows_per_file=40, mode="append")
    assert part_rows(tmp_path / "one") == [40, 40]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "arrow"])
def test_a_part_ends_where_it_reaches_its_bytes(tmp_path, kind):
    """A new part is begun at the size asked for: all but the last have it, and none much more."""
    draw = np.random.default_rng(0)
    text = [draw.bytes(150).hex() for _ in range(2000)]
    data = ld.from_items([{"x": value} for value in text])
    result = getattr(data, f"write_{kind}")(tmp_path, max_file_bytes=60_000)
    sizes = [(tmp_path / name).stat().st_size for name in result.files]
    assert len(sizes) > 2
    assert all(60_000 <= size < 180_000 for size in sizes[:-1])
    assert result.rows == 2000


def test_sizes_that_cannot_be_are_refused(tmp_path):
    """Bounds are positive numbers, and the least is not above the most."""
    for sizes in ({"max_rows_per_file": 0}, {"min_rows_per_file": True}, {"max_file_bytes": 1.5}):
        with pytest.raises(ArgumentError, match=next(iter(sizes))):
            ld.range(3).write_csv(tmp_path / "out", **sizes)
    with pytest.raises(ArgumentError, match="above max_rows_per_file=5"):
        ld.range(3).write_json(tmp_path / "out", min_rows_per_file=6, max_rows_per_file=5)
    assert not (tmp_path / "out").exists()


def test_csv_tells_null_from_empty_and_quotes(tmp_path):
    """Text with commas, quotes and line ends comes back from plain pyarrow; a null is not an empty text."""
    values = ["a,b", 'say "x"', "two\nlines", "", None, "é"]
    ld.from_items([{"x": value, "n": n, "f": n / 3} for n, value in enumerate(values)]).write_csv(tmp_path)
    found = pyarrow.csv.read_csv(
        tmp_path / "part-00000.csv",
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False),
    )
    assert found["x"].to_pylist() == values
    assert found["f"].to_pylist() == [n / 3 for n in range(6)]


def test_json_lines_keep_nested_values(tmp_path):
    """Lists, structs, nulls and text come back from the standard library's json."""
    rows = [{"x": [1, 2], "s": {"a": "é\n", "b": None}, "n": 1}, {"x": [], "s": {"a": None, "b": 0.5}, "n": None}]
    ld.from_items(rows).write_json(tmp_path)
    assert [json.loads(line) for line in (tmp_path / "part-00000.json").read_text().splitlines()] == rows


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_arrow_files_keep_every_type(tmp_path, photos, compression):
    """Plain pyarrow reads the rows, images and tensors with their types and bytes."""
    data = ld.read_images(photos).with_columns(
        ld.col("image").image.resize(2, 2).image.to_mode("RGB").image.to_tensor().alias("t")
    )
    data.write_arrow(tmp_path / "out", compression=compression)
    table = pa.ipc.open_file(tmp_path / "out" / "part-00000.arrow").read_all()
    table.validate(full=True)
    expected = data.to_arrow()
    assert table.schema.types == expected.schema.types
    for name in table.schema.names:
        assert table[name].combine_chunks().storage.equals(expected[name].combine_chunks().storage)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_text_refuses_images_and_tensors_when_the_query_is_built(tmp_path, photos, kind):
    """The message names the column and how to mend it; also where it is deep inside, or a function made it."""

    def never(row):
        raise AssertionError("it ran")

    images = ld.read_images(photos)
    schema = images.schema()
    for data, text in (
        (images.map(never, schema=schema), "write_images"),
        (ld.from_items([{"x": np.zeros((2, 2))}]), "write_numpy"),
        (ld.from_items([{"x": b"abc"}]), "base64"),
        (ld.from_items([{"x": {"deep": b"abc"}}]), "base64"),
        (ld.range(2).map(lambda row: {"x": np.zeros((2, 2))}), "write_numpy"),
    ):
        with pytest.raises(SchemaError, match=text):
            getattr(data, f"write_{kind}")(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_csv_refuses_lists(tmp_path):
    """CSV has no nested values."""
    with pytest.raises(SchemaError, match="list"):
        ld.from_items([{"x": [1]}]).write_csv(tmp_path / "out")


@pytest.mark.parametrize("kind", ["csv", "json", "arrow", "parquet"])
def test_columns_that_are_only_null_are_written(tmp_path, kind):
    """A column of nulls is no error in any format, and has one type in all parts."""
    late = ld.range(20_000).map(lambda row: {"v": None if row["id"] < 9000 else row["id"], "n": None})
    result = getattr(late, f"write_{kind}")(tmp_path / "out")
    assert (result.rows, len(result.files) > 1) == (20_000, True)
    if kind in ("arrow", "parquet"):
        values = pds.dataset(tmp_path / "out", format=kind).to_table()["v"]
        assert (values.null_count, pa.compute.max(values).as_py()) == (9000, 19_999)


def test_unknown_compressions_are_refused_when_the_query_is_built(tmp_path):
    """A codec that the format does not have is told with those it has."""
    with pytest.raises(ArgumentError, match="zstd"):
        ld.range(3).write_parquet(tmp_path / "out", compression="zip")
    with pytest.raises(ArgumentError, match="lz4"):
        ld.range(3).write_arrow(tmp_path / "out", compression="snappy")


def test_images_get_a_format_where_asked(tmp_path, photos):
    """All images become PNG with the same pixels; those that were PNG keep their bytes, and pixels are encoded too."""
    data = ld.read_images(photos, include_paths=True, mode="RGB").with_columns(
        ld.col("image").image.resize(3, 3).alias("small")
    )
    data.write_parquet(tmp_path / "out", image_format="png")
    found = ld.read_parquet(tmp_path / "out")
    for name in ("image", "small"):
        storage = found.to_arrow()[name].combine_chunks().storage
        assert set(storage.field("encoding").to_pylist()) == {"png"}
        for one, two in zip(found.iter_rows(), data.iter_rows(), strict=True):
            assert (one[name] == two[name]).all()
    payloads = found.to_arrow()["image"].combine_chunks().storage.field("payload").to_pylist()
    paths = found.to_arrow()["path"].to_pylist()
    kept = [Path(path).read_bytes() == payload for path, payload in zip(paths, payloads, strict=True)]
    assert kept == [path.endswith(".png") for path in paths]
    with pytest.raises(ArgumentError, match="exe"):
        data.write_parquet(tmp_path / "no", image_format="exe")
    with pytest.raises(ArgumentError, match="huggingface"):
        data.write_parquet(tmp_path / "no", image_layout="torch")
    with pytest.raises(EncodeError, match="JPEG cannot hold"):
        ld.from_numpy({"image": np.zeros((2, 2, 2, 4), np.uint8)}).select(
            ld.col("image").image.resize(3, 3)
        ).write_parquet(tmp_path / "no", image_format="jpeg")
