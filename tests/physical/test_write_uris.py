"""Each row's value is written once in every run, whatever else the query does, and never outside of its folder."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

import lightdata as ld


@pytest.fixture(params=[(0, True), (0, False), (2, True)], ids=["here", "as written", "workers"], autouse=True)
def _settings(request):
    before = ld.config()
    ld.config(workers=request.param[0], optimize=request.param[1], progress=False)
    yield
    ld.config(workers=before.workers, optimize=before.optimize, progress=before.progress)


def values(rows=100):
    """Give rows with a number, a label and some bytes."""
    return ld.from_items([{"id": n, "label": "ab"[n % 2], "data": b"%d" % n} for n in range(rows)])


def written(folder):
    """Give the files of a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def all_of(rows=100):
    """Give the files that all rows make."""
    return {f"{n}.bin": b"%d" % n for n in range(rows)}


def write(folder, **settings):
    """Write the bytes."""
    return ld.col("data").uri.write(folder, **{"name": "{id}.bin", **settings})


def test_each_value_becomes_a_file(tmp_path):
    """Bytes are written under the name that the row gives them, and the path comes back."""
    frame = values().select(path=write(tmp_path / "out", name="{label}/{id:03d}.bin")).collect()
    assert frame["path"].to_list() == [f"{tmp_path}/out/{'ab'[n % 2]}/{n:03d}.bin" for n in range(100)]
    assert written(tmp_path / "out") == {f"{'ab'[n % 2]}/{n:03d}.bin": b"%d" % n for n in range(100)}


def test_a_column_names_files_too(tmp_path):
    """A name without braces is a column of names."""
    values(3).with_columns(name=ld.col("label") + ld.col("id").cast(pl.String)).with_columns(
        path=write(tmp_path, name="name")
    ).collect()
    assert written(tmp_path) == {"a0": b"0", "b1": b"1", "a2": b"2"}


def test_text_nulls_and_images(tmp_path):
    """Text is written as UTF-8, null gives null, and an image that is a file gives that file's own bytes."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(file, "PNG")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(file.getvalue())
    ds = ld.from_items([{"id": 0, "text": "ä"}, {"id": 1, "text": None}])
    assert ds.select(ld.col("text").uri.write(tmp_path / "text", name="{id}")).take_all()[1] == {"text": None}
    assert written(tmp_path / "text") == {"0": "ä".encode()}
    images = ld.read_images(tmp_path / "in", include_paths=True).with_columns(id=ld.lit("a"))
    images.with_columns(out=ld.col("image").uri.write(tmp_path / "same", name="{id}.png")).collect()
    assert written(tmp_path / "same") == {"a.png": file.getvalue()}
    small = ld.col("image").image.resize(1, 1).image.encode("bmp").uri.write(tmp_path / "bmp", name="{id}.bmp")
    images.with_columns(out=small).collect()
    assert Image.open(io.BytesIO((tmp_path / "bmp" / "a.bmp").read_bytes())).size == (1, 1)


def test_rows_are_written_although_nobody_reads_the_paths(tmp_path):
    """Counting, dropping, choosing other columns, and replacing the paths still write every row once."""
    ways = [
        lambda ds: ds.count(),
        lambda ds: ds.drop("path").collect(),
        lambda ds: ds.select("id").collect(),
        lambda ds: ds.with_columns(path=ld.lit(1)).collect(),
        lambda ds: ds.with_columns(path=ld.lit(1)).select("id").collect(),
        lambda ds: ds.select(pl.len()).collect(),
        lambda ds: ds.group_by("label").agg(pl.len()).collect(),
        lambda ds: ds.unique("label").collect(),
    ]
    for number, way in enumerate(ways):
        folder = tmp_path / str(number)
        way(values().with_columns(path=write(folder)))
        assert written(folder) == all_of(), number


def test_a_filter_stays_where_it_was_written(tmp_path):
    """A filter after writing drops no file, one before it does."""
    odd = ld.col("id") % 2 == 1
    after = values().with_columns(path=write(tmp_path / "after")).filter(odd)
    assert after.count() == 50
    assert written(tmp_path / "after") == all_of()
    values().filter(odd).with_columns(path=write(tmp_path / "before")).count()
    assert sorted(written(tmp_path / "before")) == sorted(f"{n}.bin" for n in range(1, 100, 2))


def test_a_join_writes_each_row_once(tmp_path):
    """Rows that a join repeats or leaves out are written once."""
    other = ld.from_items([{"label": "a", "k": n} for n in range(3)])
    joined = values().with_columns(path=write(tmp_path)).join(other, on="label")
    assert joined.count() == 150
    assert written(tmp_path) == all_of()


def test_steps_around_it_change_nothing(tmp_path):
    """Sorts, renames and later results see the paths, and every row is written once."""
    ds = values().with_columns(path=write(tmp_path)).rename({"path": "where", "id": "number"})
    ds = ds.sort("number", descending=True).with_columns(pl.col("where").str.len_chars().alias("n"))
    frame = ds.collect()
    assert frame["where"][0] == f"{tmp_path}/99.bin"
    assert written(tmp_path) == all_of()


def test_names_that_change_before_or_in_the_step(tmp_path):
    """The columns that name files are those before the step, whatever they were called earlier."""
    ds = (
        values(4)
        .rename({"id": "number"})
        .with_columns(ld.col("number") * 10, path=write(tmp_path, name="{number}.bin"))
    )
    assert ds.collect()["number"].to_list() == [0, 10, 20, 30]
    assert written(tmp_path) == all_of(4)


def test_a_limit_writes_no_more_than_it_keeps(tmp_path):
    """As with ``map``, rows that a limit leaves out are not written where the query is optimized."""
    values().with_columns(path=write(tmp_path)).limit(5).collect()
    found = written(tmp_path)
    assert found.items() <= all_of().items()
    assert len(found) == 5 or not ld.config().optimize


def test_downloads_are_written(tmp_path):
    """What is read of one place can be written to another in one expression."""
    for n in range(40):
        (tmp_path / f"{n}.bin").write_bytes(b"%d" % n)
    ds = ld.from_items([{"id": n, "path": f"{tmp_path}/{n}.bin"} for n in range(40)])
    ds.with_columns(copy=ld.col("path").uri.read().uri.write(tmp_path / "out", name="{id}.bin")).count()
    assert written(tmp_path / "out") == all_of(40)


def test_a_second_run_must_be_allowed(tmp_path):
    """Files of the run before are not replaced unless asked to."""
    values(3).with_columns(path=write(tmp_path)).count()
    with pytest.raises(ld.OutputExistsError, match=r"row 0 of its batch: .*0\.bin' exists"):
        values(3).with_columns(path=write(tmp_path)).count()
    values(3).with_columns(path=write(tmp_path, overwrite=True)).count()


def test_two_rows_of_one_name_are_an_error(tmp_path):
    """A file is never replaced by another row of the same run."""
    with pytest.raises(ld.OutputExistsError):
        values().with_columns(path=write(tmp_path, name="{label}")).count()
    even = {b"%d" % n for n in range(0, 100, 2)}
    assert set(written(tmp_path)) <= {"a", "b"}
    assert written(tmp_path)["a"] in (even if ld.config().workers else {b"0"})


def test_an_error_comes_after_the_rows_before_it(tmp_path):
    """A row that fails does not take back those before it, nor write them twice."""
    ds = values(10).with_columns(name=pl.when(pl.col("id") == 6).then(pl.lit("../x")).otherwise(pl.lit("n") + "ok"))
    ds = ds.with_columns(pl.concat_str("name", pl.col("id").cast(pl.String)))
    with pytest.raises(ld.EncodeError, match=r"data\.write.*'\.\./x6' is not a file name") as caught:
        ds.with_columns(path=write(tmp_path / "out", name="name")).collect()
    assert caught.value.row == 6
    assert len(written(tmp_path)) >= 6


BAD = ["../x", "/x", "a/../../x", "", ".", "..", "a//b", "a/", ".hidden", "a/.hidden", "nul\0", "C:\\x", "\\\\srv\\x"]


@pytest.mark.parametrize("name", [*BAD, "x" * 5000, "a\nb", "esc\x1b[2J", "gpj.\u202eexe"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    """Names that climb, are absolute, hidden, too long or not to be seen are refused, and nothing is written."""
    ds = ld.from_items([{"data": b"x", "name": name}])
    with pytest.raises(ld.EncodeError) as caught:
        ds.with_columns(path=write(tmp_path / "a" / "out", name="name")).collect()
    assert written(tmp_path) == {}
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["../x", "a/b", "..", "", None])
def test_no_value_in_a_template_adds_folders(tmp_path, value):
    """Only the template has slashes; a null names nothing."""
    ds = ld.from_arrow(pl.DataFrame({"data": [b"x"], "v": [value]}, {"data": pl.Binary, "v": pl.String}).to_arrow())
    with pytest.raises(ld.EncodeError, match="v is"):
        ds.with_columns(path=write(tmp_path / "out", name="f/{v}")).collect()
    assert written(tmp_path) == {}


def test_writing_stands_alone():
    """Where rows may be left out, repeated or looked at together, writing is refused when the query is built."""
    ds, out = values(), write("/nowhere")
    for build in (
        lambda: ds.filter(out.is_not_null()),
        lambda: ds.sort(out),
        lambda: ds.group_by("label").agg(out.first()),
        lambda: ds.with_columns(x=pl.when(pl.col("id") > 3).then(out)),
        lambda: ds.with_columns(out.str.len_chars()),
        lambda: ds.with_columns(out, most=pl.col("id").max()),
        lambda: ds.select(out.count()),
    ):
        with pytest.raises(ld.ExpressionError, match="must stand alone"):
            build()


def test_wrong_arguments_and_types_are_refused():
    """What cannot work is told when the query is built."""
    for folder, name in [("", "id"), ("http://h/x", "id"), ("a::b", "id"), ("x", ""), ("x", "a{"), ("x", "{row}.png")]:
        with pytest.raises(ld.ArgumentError):
            write(folder, name=name)
    with pytest.raises(ld.ArgumentError, match="retries"):
        write("x", retries=-1)
    with pytest.raises(ld.ColumnNotFoundError, match="'nope'"):
        values().with_columns(x=write("x", name="{nope}"))
    with pytest.raises(ld.SchemaError, match="bytes, text or encoded images"):
        values().with_columns(x=ld.col("id").uri.write("x", name="id"))
    with pytest.raises(ld.SchemaError, match="encode"):
        values().with_columns(x=ld.col("data").image.resize(2, 2).uri.write("x", name="id"))
    with pytest.raises(ld.ExpressionError, match="nothing can follow"):
        write("x").uri.read()
