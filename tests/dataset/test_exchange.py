"""Datasets as lazy frames, lazy frames as datasets, and SQL over them."""

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.lazy_frame import LazyFrameSource
from lightdata.plan.node import Scan


@pytest.fixture
def folder(tmp_path):
    """Three images, and one that is broken."""
    for number in range(3):
        Image.new("RGB", (4 + number, 3)).save(tmp_path / f"{number}.png")
    (tmp_path / "9.png").write_bytes(b"broken")
    return tmp_path


@pytest.fixture
def images(folder):
    return ld.read_images(folder, include_paths=True)


def test_a_lazy_frame_has_the_rows_and_types_of_its_dataset():
    """Types and order arrive, as often as the frame is collected."""
    frame = ld.range(200_000).with_columns(half=ld.col("id") / 2).to_lazy()
    assert frame.collect_schema() == {"id": pl.Int64, "half": pl.Float64}
    for _ in range(2):
        assert frame.collect()["id"].to_list() == list(range(200_000))


def test_making_a_lazy_frame_runs_nothing():
    """Nothing runs before the frame is collected, also where the columns are not known."""

    def never(row):
        raise AssertionError("the function was called")

    assert isinstance(ld.range(3).map(never).to_lazy().filter(pl.col("a") > 1), pl.LazyFrame)


def test_images_that_are_not_asked_for_are_not_opened(images):
    """Columns, predicates and limits that Polars pushes down keep a broken image closed."""
    frame = images.to_lazy()
    assert frame.select("path").collect().height == 4
    assert frame.select(pl.len()).collect().item() == 4
    assert frame.head(3).collect().height == 3
    sized = images.with_columns(width=ld.col("image").image.width()).to_lazy()
    kept = sized.filter(~pl.col("path").str.ends_with("9.png"))
    assert kept.select("width").collect()["width"].to_list() == [4, 5, 6]
    with pytest.raises(ld.DecodeError, match=r"9\.png"):
        sized.select("width").collect()


def test_a_predicate_is_about_the_first_rows():
    """A limit before a filter cuts first."""
    frame = ld.range(10).to_lazy()
    assert frame.head(3).filter(pl.col("id") > 1).collect()["id"].to_list() == [2]
    assert frame.filter(pl.col("id") > 1).head(3).collect()["id"].to_list() == [2, 3, 4]


def test_a_predicate_that_is_not_ours_is_applied_once(tmp_path):
    """A user's function in a predicate is called once for each row."""
    log = tmp_path / "log"

    def keep(value):
        with log.open("a") as file:
            file.write(f"{value} ")
        return value > 1

    frame = ld.range(4).to_lazy().filter(pl.col("id").map_elements(keep, return_dtype=pl.Boolean))
    assert frame.collect()["id"].to_list() == [2, 3]
    assert sorted(log.read_text().split()) == ["0", "1", "2", "3"]


def test_operations_on_images_say_where_they_belong(images):
    """Polars' message about the missing column says what to do instead."""
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="do it on the Dataset, before to_lazy"):
        images.to_lazy().select(pl.col("image").image.width()).collect()


def test_unknown_columns_are_learnt_from_the_first_rows():
    """After a function without schema= the first row tells."""
    ds = ld.range(5).map(lambda row: {"a": row["id"], "b": str(row["id"])})
    assert ds.to_lazy().filter(pl.col("a") > 2).select("b").collect()["b"].to_list() == ["3", "4"]
    late = ld.range(5).map(lambda row: {"a": None if row["id"] == 0 else 1})
    with pytest.raises(ld.SchemaError, match="schema="):
        late.to_lazy().collect()


def test_there_and_back_stays_lazy(images):
    """A round trip reads no more than it must."""
    back = ld.from_polars(images.to_lazy().filter(~pl.col("path").str.ends_with("9.png")))
    assert back.schema() == ld.Schema({"path": pa.large_string(), "image": ld.image_type()})
    assert [row["path"][-5:] for row in back.select("path").iter_rows()] == ["0.png", "1.png", "2.png"]
    widths = back.select(ld.col("image").image.width()).collect()
    assert widths["image"].to_list() == [4, 5, 6]
    assert ld.from_polars(images.to_lazy()).select("path").count() == 4


def test_polars_optimizes_across_a_lazy_frame(tmp_path):
    """Columns reach scan_parquet: a query over a lazy frame is one Polars query."""
    pl.DataFrame({"a": [3, 1, 2], "b": ["x", "y", "z"]}).write_parquet(tmp_path / "t.parquet")
    frame = pl.scan_parquet(tmp_path / "t.parquet")
    ds = ld.from_polars(frame).sort("a").select("a")
    assert ds.take_all() == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert ld.from_polars(frame).limit(1).take_all() == [{"a": 3, "b": "x"}]


def test_lazy_frames_are_taken_where_datasets_are():
    """Joins and unions take a lazy frame, and rows-wise work streams out of one."""
    frame = pl.LazyFrame({"id": [2, 0], "name": ["two", "zero"]})
    joined = ld.range(3).join(frame, on="id", how="left").take_all()
    assert [row["name"] for row in joined] == ["zero", None, "two"]
    both = ld.from_polars([frame, frame.collect()]).map(lambda row: {"n": row["id"] + 1})
    assert [row["n"] for row in both.iter_rows()] == [3, 1, 3, 1]


def test_a_lazy_frame_is_cut_into_tasks():
    """Batches of a function have the size that was asked for, however the frame streams."""
    frame = pl.LazyFrame({"a": range(100)})
    sizes = ld.from_polars(frame).map_batches(lambda batch: {"n": [len(batch["a"])]}, batch_size=30)
    assert [row["n"] for row in sizes.iter_rows()] == [30, 30, 30, 10]


@pytest.mark.parametrize("dtype", [pl.Object, pl.Int128, pl.Array(pl.Int128, 2)])
@pytest.mark.parametrize("make", [pl.LazyFrame, pl.DataFrame])
def test_columns_that_cannot_be_held_are_named(make, dtype):
    """A type that Arrow does not have is an error when the dataset is made, naming the column."""
    with pytest.raises(ld.SchemaError, match="column 'x' has the Polars type"):
        ld.from_polars(make(schema={"fine": pl.Int64, "x": dtype}))


def test_a_wrong_lazy_frame_is_told_when_it_is_taken():
    """The query is checked when it becomes a dataset."""
    with pytest.raises(ld.ExpressionError, match="nothing"):
        ld.from_polars(pl.LazyFrame({"a": [1]}).select("nothing"))


PRICES = pa.table({"id": [1, 2], "price": [10, 20]})


def test_sql_finds_tables_by_name():
    """Variables, local before global, and keyword arguments are tables: datasets, frames, Arrow tables."""
    ds = ld.range(4)
    frame = pl.LazyFrame({"id": [1, 3], "name": ["one", "three"]})  # noqa: F841 - found by its name
    query = "select name, price from ds join frame using (id) left join PRICES using (id) order by id"
    assert ld.sql(query).take_all() == [{"name": "one", "price": 10}, {"name": "three", "price": None}]
    assert ld.sql("select count(*) as n from ds", ds=ld.range(7)).take_all() == [{"n": 7}]
    assert ds.sql("select id from numbers where id > 2", table_name="numbers").take_all() == [{"id": 3}]
    assert ds.sql("select max(id) as id from self").take_all() == [{"id": 3}]


def test_sql_is_a_dataset_that_waits():
    """The result is a lazy dataset, a Polars query inside."""
    ds = ld.range(4)  # noqa: F841 - found by its name
    found = ld.sql("select id, count(*) as n from ds group by id")
    assert isinstance(found._plan, Scan)
    assert isinstance(found._plan.source, LazyFrameSource)
    assert found.schema() == ld.Schema({"id": pa.int64(), "n": pa.int64()})
    assert found.sort("id").limit(1).take_all() == [{"id": 0, "n": 1}]


def test_sql_reads_only_what_it_needs(images):
    """A broken image is not opened unless it is asked for."""
    assert ld.sql("select count(*) as n from images where path like '%.png'").take_all() == [{"n": 4}]
    assert len(ld.sql("select path from images").take_all()) == 4
    with pytest.raises(ld.DecodeError, match=r"9\.png"):
        ld.sql("select image from images").take_all()


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ("select * from nowhere", ld.ArgumentError, "no table 'nowhere'; pass it by name.*Tables: ds"),
        ("select lable from ds", ld.ColumnNotFoundError, "column 'lable' not found in sql; did you mean 'label'"),
        ("selec label from ds", ld.ExpressionError, "sql: sql parser error"),
        ("select label + 1 as x, count(*) from ds", ld.ExpressionError, "sql: "),
    ],
)
def test_wrong_sql_is_told_when_the_query_is_built(query, error, words):
    """Unknown tables and columns are named, with what there is; the rest is in Polars' words."""
    ds = ld.from_items([{"label": "a"}])
    with pytest.raises(error, match=words):
        ld.sql(query, ds=ds)


def test_sql_refuses_what_is_no_table():
    """A keyword that is no table is named."""
    with pytest.raises(ld.ArgumentError, match="as ds; got list"):
        ld.sql("select 1 from ds", ds=[1])
