"""read_images(frames="all"): one row for each frame, wherever and however the query runs."""

import io
import logging

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.execute.pool import PoolExecutor
from lightdata.physical.builder import TASK_ROWS
from lightdata.physical.lower import lower
from lightdata.plan.node import SplitFrames
from lightdata.plan.words import describe_step


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(
        workers=before.workers, progress=before.progress, optimize=before.optimize, batch_bytes=before.batch_bytes
    )


def saved(count, file_format, first=0, size=(6, 4)):
    """Write frames of one colour each: their number, from ``first`` on."""
    images = [Image.new("L", size, first + number) for number in range(count)]
    out = io.BytesIO()
    images[0].save(out, file_format, save_all=True, append_images=images[1:])
    return out.getvalue()


def broken(count, good):
    """Write a TIFF of which only the first frames are whole."""
    whole = bytearray(saved(count, "TIFF", first=50))
    page = Image.open(io.BytesIO(whole))
    page.seek(good)
    start = page.tag_v2.get(273)[0]
    page.seek(good)
    return bytes(whole[: start + 3])


@pytest.fixture
def folder(tmp_path):
    """Three labels: a TIFF of three pages, one of two pages of which one is whole, a PNG, a file that is no image."""
    for label, name, data in [
        ("a", "1.tif", saved(3, "TIFF")),
        ("b", "2.tif", broken(3, 1)),
        ("b", "3.png", saved(1, "PNG", first=9)),
        ("c", "4.gif", b"no image"),
        ("c", "5.png", saved(2, "PNG", first=20)),
    ]:
        (tmp_path / f"label={label}").mkdir(exist_ok=True)
        (tmp_path / f"label={label}" / name).write_bytes(data)
    return tmp_path


def seen(rows):
    return [(row["label"], row["frame"], None if row["image"] is None else int(row["image"].flat[0])) for row in rows]


NULL_ROWS = [
    ("a", 0, 0),
    ("a", 1, 1),
    ("a", 2, 2),
    ("b", 0, 50),
    ("b", 1, None),
    ("b", 0, 9),
    ("c", 0, None),
    ("c", 0, 20),
    ("c", 1, 21),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_later_frame_is_one_null_row(folder, workers, caplog):
    """With "null", the frames before a bad one are kept, one null row stands for the rest, and it is logged."""
    ld.config(workers=workers)
    ds = ld.read_images(folder, partitioning="hive", frames="all", on_error="null")
    with caplog.at_level(logging.WARNING, "lightdata"):
        assert seen(ds.iter_rows()) == NULL_ROWS
    assert "2 rows failed" in caplog.text
    assert "frame 1:" in caplog.text


def test_a_bad_later_frame_is_left_out(folder):
    """With "skip", the frames before a bad one are kept and no row stands for the rest."""
    ds = ld.read_images(folder, partitioning="hive", frames="all", on_error="skip")
    assert seen(ds.iter_rows()) == [row for row in NULL_ROWS if row[2] is not None]


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_before_a_bad_frame_come_before_the_error(folder, workers):
    """With "raise", every frame before the bad one is given, then one error names the file and the frame."""
    ld.config(workers=workers)
    rows = ld.read_images(folder, partitioning="hive", frames="all").iter_rows()
    assert seen([next(rows) for _ in range(4)]) == NULL_ROWS[:4]
    with pytest.raises(ld.DecodeError, match=r"2\.tif: split_frames\(image\): frame 1: "):
        next(rows)


def test_a_limit_never_meets_a_later_bad_frame(folder):
    """As many rows as are good can be taken without the error."""
    ds = ld.read_images(folder, partitioning="hive", frames="all")
    assert seen(ds.take(4)) == NULL_ROWS[:4]


def test_the_frame_stands_after_the_image(folder):
    """The columns are those of the reader, then the number of the frame; explain says what is done."""
    ds = ld.read_images(folder, partitioning="hive", frames="all", include_paths=True)
    assert ds.columns == ["path", "label", "image", "frame"]
    assert str(ds.schema()["frame"]) == "int64"
    assert "split image into frames -> frame" in ds.explain()
    step = next(one for one in ds._plan.walk() if isinstance(one, SplitFrames))
    held = SplitFrames(input=step.input, column="image", exif_transpose=False, on_error="null")
    assert describe_step(held) == "split image into frames -> frame, as the camera was held, null on error"


@pytest.mark.usefixtures("exact_pixels")
def test_mode_and_size_hold_for_every_frame(tmp_path):
    """Mode and size give the type and the pixels that the image operations of these names give."""
    frames = [Image.effect_noise((16, 12), 80).convert("RGB") for _ in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    ds = ld.read_images(tmp_path, frames="all", mode="L", size=(5, 4))
    assert str(ds.schema()["image"]) == "Image[L, 5x4]"
    wanted = [np.asarray(one.convert("L").resize((4, 5), Image.Resampling.BILINEAR)) for one in frames]
    assert all(np.array_equal(row["image"], one) for row, one in zip(ds.take_all(), wanted, strict=True))
    assert ld.read_images(tmp_path, frames="all", mode="L").take(1)[0]["image"].shape == (12, 16)


def test_batches_are_bounded_by_bytes_and_rows(tmp_path):
    """No batch holds more pixels than ``batch_bytes``, nor more rows than a task."""
    (tmp_path / "a.tif").write_bytes(saved(100, "TIFF", size=(10, 10)))
    sizes = [batch.num_rows for batch in batches_of(ld.read_images(tmp_path, frames="all"))]
    assert sizes == [TASK_ROWS] * 3 + [100 - 3 * TASK_ROWS]
    ld.config(batch_bytes=250)
    assert {batch.num_rows for batch in batches_of(ld.read_images(tmp_path, frames="all"))} == {2}


def batches_of(ds):
    """Run the operators alone: consumers cut batches as they like."""
    operator = next(
        one for one in lower(ds._plan, workers=0).steps[0].operators if type(one).__name__ == "SplitFramesOperator"
    )
    reader = ld.read_binary_files(ds._plan.inputs[0].inputs[0].inputs[0].source.paths)
    from lightdata.physical.stage import Context

    table = reader.rename({"bytes": "image"}).to_arrow()
    return operator.run(iter(table.to_batches()), Context())


def test_a_first_frame_is_there_before_the_last_is_decoded(tmp_path):
    """Taking one row of a long file decodes no more frames than a batch has."""
    (tmp_path / "a.tif").write_bytes(saved(200, "TIFF"))
    ds = ld.read_images(tmp_path, frames="all").head(1)
    assert len(ds.take_all()) == 1
    assert ds.stats().images_decoded <= TASK_ROWS + 1


def test_a_folder_column_named_frame_is_refused(tmp_path):
    """A column of that name is an error when the query is built."""
    (tmp_path / "frame=1").mkdir()
    (tmp_path / "frame=1" / "a.png").write_bytes(saved(1, "PNG"))
    with pytest.raises(ld.SchemaError, match="column 'frame' already"):
        ld.read_images(tmp_path, partitioning="hive", frames="all").schema()


def test_frames_is_one_of_two_words(tmp_path):
    """Any other word is refused at once."""
    with pytest.raises(ld.ArgumentError, match="frames must be 'first' or 'all'"):
        ld.read_images(tmp_path, frames="last")


def test_two_readers_of_the_same_frames_agree(folder):
    """A self-join over frames pairs each with itself."""
    ds = ld.read_images(folder, partitioning="hive", frames="all", on_error="skip", include_paths=True)
    joined = ds.select("path", "frame").join(ds.select("path", "frame", "image"), on=["path", "frame"])
    assert joined.count() == len(NULL_ROWS) - 2


STEPS = {
    "filter label": lambda ds: ds.filter(pl.col("label") != "b"),
    "filter frame": lambda ds: ds.filter(pl.col("frame") > 0),
    "filter both": lambda ds: ds.filter((pl.col("frame") < 2) | (pl.col("label") == "c")),
    "filter by size": lambda ds: ds.filter(pl.col("image").image.width() > 3),
    "filter on average": lambda ds: ds.filter(pl.col("frame") >= pl.col("frame").mean()),
    "filter labels over all": lambda ds: ds.filter(pl.col("label") == pl.col("label").first()),
    "limit": lambda ds: ds.limit(5),
    "tail": lambda ds: ds.tail(4),
    "sort": lambda ds: ds.sort("frame", descending=True),
    "sort label": lambda ds: ds.sort("label", descending=True),
    "index": lambda ds: ds.with_row_index("index") if "index" not in ds.columns else ds,
    "running sum": lambda ds: ds.with_columns(pl.col("frame").cum_sum()),
    "unique": lambda ds: ds.unique(subset=["label"]),
    "image": lambda ds: ds.with_columns(pl.col("image").image.resize(2, 2)),
    "shuffle": lambda ds: ds.random_shuffle(seed=3),
}
ENDS = {
    "all": lambda ds: ds,
    "frame": lambda ds: ds.select("frame"),
    "label": lambda ds: ds.select("label"),
    "mean": lambda ds: ds.select("frame", m=pl.col("image").image.to_mode("L").image.to_tensor().tensor.mean()),
    "first of each": lambda ds: ds.group_by("label").agg(pl.col("image").first(), n=pl.len()),
    "header": lambda ds: ds.select(w=pl.col("image").image.width(), f=pl.col("frame")),
}


def pixels(ds):
    """Give all rows, images as lists of numbers."""
    rows = [
        {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}
        for row in ds.take_all()
    ]
    return pl.DataFrame(rows, strict=False) if rows else pl.DataFrame()


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=3),
    end=st.sampled_from(sorted(ENDS)),
    on_error=st.sampled_from(["null", "skip"]),
    batch_bytes=st.sampled_from([1, 100, 1 << 20]),
)
def test_optimizing_keeps_the_rows(folder, steps, end, on_error, batch_bytes):
    """Queries over frames give the same rows as written and optimized, in batches of any size."""
    ds = ld.read_images(folder, partitioning="hive", frames="all", on_error=on_error)
    for name in steps:
        ds = STEPS[name](ds)
    ds = ENDS[end](ds)
    ld.config(optimize=False, batch_bytes=1 << 20)
    wanted = pixels(ds)
    ld.config(optimize=True, batch_bytes=batch_bytes)
    assert_frame_equal(pixels(ds), wanted)


def test_the_pool_gives_the_rows_of_the_calling_process(folder):
    """Workers split frames as the calling process does, in its order."""
    for number in range(80):
        (folder / "label=a" / f"x{number}.tif").write_bytes(saved(number % 3 + 1, "TIFF", first=number))
    ds = ld.read_images(folder, partitioning="hive", frames="all", on_error="null")
    plan = ds.with_columns(pl.col("image").image.resize(2, 2).image.to_mode("L"))._plan
    here = pixels(ld.Dataset(plan))
    pooled = list(PoolExecutor(workers=2).run(lower(plan, workers=2, pixels=True)))
    assert pixels(ld.concat([ld.from_arrow(pooled)])).equals(here)
