"""A plan in words, before and after optimization."""

import re
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.expr.deferred import MARK


@pytest.fixture
def folder(tmp_path):
    before = ld.config()
    ld.config(workers=0, progress=False)
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    yield tmp_path
    ld.config(workers=before.workers, progress=before.progress)


def same(row):
    """Give back what came."""
    return row


FILES = "scan files[D, *.jpg|10 more]"


def explained(ds, folder, **options):
    """Explain without estimates, which depend on the length of the folder's name, and without what rules are for."""
    text = ds.explain(**options).replace(str(folder), "D")
    lines = [re.sub(r"  \[[^]]* rows?\b[^]]*]$", "", line) for line in text.splitlines()]
    return "\n".join(line for line in lines if not re.match(r"  \w+: [A-Z]", line))


def query(folder):
    ds = ld.read_images(folder, include_paths=True).filter(pl.col("image").image.width() >= 3)
    return ds.with_columns(small=pl.col("image").image.resize(2, 2)).limit(2).select("small")


def test_a_query_as_it_was_written(folder):
    """Unoptimized, each step stands above the one it reads from."""
    assert explained(query(folder), folder, optimized=False) == "\n".join(
        [
            'select col("small")',
            "  limit 2",
            '    with_columns image.resize(height=2, width=2).alias("small")',
            "      filter [(image.width()) >= (dyn int: 3)]",
            "        decode image",
            "          read files path -> image",
            f"            {FILES}",
        ]
    )


def test_a_query_as_it_runs(folder):
    """Optimized, the limit comes before the resize, and the rules and stages are told."""
    assert explained(query(folder), folder) == "\n".join(
        [
            'select image.resize(height=2, width=2).alias("small")',
            "  limit 2",
            "    filter [(image.width()) >= (dyn int: 3)]",
            "      decode image",
            "        drop path",
            "          read files path -> image",
            f"            {FILES}",
            "optimized by: push_down_projection x5, push_down_limit x2, fuse_chains",
            "stage 1 here: read_files > drop > decode > filter",
            "stage 2 here: limit 2",
            "stage 3 here: select",
        ]
    )


def test_every_step_has_words(folder):
    """Options that change what a step does are part of its words."""
    ds = ld.read_images(folder, size=(2, 3), mode="L", on_error="skip").map(same).filter(lambda row: True)
    ds = ds.flat_map(same).map_batches(same, batch_size=4, batch_format="polars").rename({"a": "b", "c": "d"})
    assert explained(ds.drop("b", "d"), folder, optimized=False) == "\n".join(
        [
            "drop b, d",
            "  rename a -> b, c -> d",
            "    map_batches same(polars batch of 4)",
            "      flat_map same(row)",
            "        filter <lambda>(row)",
            "          map same(row)",
            "            drop path",
            "              decode image as L, 2x3, skip on error",
            "                read files path -> image, skip on error",
            f"                  {FILES}",
        ]
    )


def test_steps_over_all_rows_are_told_in_words():
    """A step that Polars runs over all rows is told without addresses or marks."""
    ds = ld.range(9).with_columns(x=pl.col("id") / pl.col("id").max())
    assert ds.explain() == "\n".join(
        [
            'with_columns [(col("id")) / (col("id").max())].alias("x")  [9 rows, 144 B]',
            "  scan range[9]  [9 rows, 72 B]",
            "optimized by: nothing to do",
            'stage 1 polars: with_columns [(col("id")) / (col("id").max())].alias("x")',
        ]
    )


def test_the_mark_is_never_printed(folder):
    """Deferred columns show as words everywhere, also where an aggregate reads them."""
    ds = ld.read_images(folder).select(pl.col("image").image.width().max(), h=pl.col("image").image.height().sum())
    for text in (ds.explain(), ds.explain(optimized=False), repr(ds), repr(ds.schema())):
        assert MARK not in text
        assert "2063" not in text


def test_explaining_opens_no_file(folder):
    """A broken file does not stop an explanation."""
    Path(folder, "b.png").write_bytes(b"no image")
    assert "decode image" in query(folder).explain()
