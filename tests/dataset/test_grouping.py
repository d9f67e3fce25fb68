"""Groups: what Polars' groups give."""

import polars as pl
import polars.selectors as cs
import pytest
from PIL import Image
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError

FRAME = pl.DataFrame({"k": ["a", "b", "a", None], "x": [1, 2, None, 4]})


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def grouped(query, *keys, **named):
    """Group in the order of first rows."""
    return query.group_by(*keys, maintain_order=True, **named)


VERBS = {
    **{
        name: lambda q, name=name: getattr(grouped(q, "k"), name)()
        for name in ("max", "min", "mean", "median", "n_unique", "sum", "first", "last", "len", "all")
    },
    "head": lambda q: grouped(q, "k").head(1),
    "head of more": lambda q: grouped(q, odd=pl.col("x") % 2).head(2),
    "tail": lambda q: grouped(q, "k").tail(1),
    "quantile": lambda q: grouped(q, "k").quantile(0.5),
    "named length": lambda q: grouped(q, "k").len("n"),
    "expression": lambda q: grouped(q, (pl.col("x") % 2).alias("odd")).agg(pl.col("x").sum()),
    "named": lambda q: grouped(q, odd=pl.col("x") % 2).agg(n=pl.len()),
    "selector": lambda q: grouped(q, cs.string()).agg(cs.integer().sum()),
    "several": lambda q: grouped(q, ["k", "x"]).agg(pl.len()),
    "constant key": lambda q: grouped(q, pl.lit(1)).agg(pl.len()),
    "constant": lambda q: grouped(q, "k").agg(z=pl.lit(3)),
    "filtered": lambda q: grouped(q, "k").agg(pl.col("x").filter(pl.col("x") > 1)),
    "suffix": lambda q: grouped(q, "k").agg(pl.all().sum().name.suffix("_sum")),
    "nothing": lambda q: grouped(q, "k").agg(),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_groups_are_those_of_polars(verb):
    """Keys and aggregates mean what they mean in Polars."""
    query, expected = verb(ld.from_polars(FRAME)), verb(FRAME.lazy()).collect()
    assert query.schema().to_polars() == dict(expected.schema)
    assert_frame_equal(query.collect(), expected)


def test_first_rows_of_groups_are_rows(tmp_path):
    """The first images of each group come as images, one to a row."""
    for number in range(3):
        Image.new("RGB", (number + 1, 2)).save(tmp_path / f"{number}.png")
    images = ld.read_images(tmp_path, include_paths=True).with_columns(k=ld.col("image").image.width() % 2)
    firsts = images.group_by("k").head(1)
    assert firsts.columns == ["k", "path", "image"]
    assert [(row["k"], row["image"].shape) for row in firsts.take_all()] == [(1, (2, 1, 3)), (0, (2, 2, 3))]


def test_wrong_arguments_are_refused_when_the_query_is_built():
    """Groups without a key, and columns that are not there, are named."""
    data = ld.from_polars(FRAME)
    with pytest.raises(ArgumentError, match="at least one"):
        data.group_by()
    with pytest.raises(ColumnNotFoundError, match="zz"):
        data.group_by("k").agg("zz")
    with pytest.raises(ExpressionError, match="not known yet"):
        data.map(lambda row: row).group_by("k").first()
    with pytest.raises(ExpressionError, match="key already"):
        data.group_by("k").agg("k")
    with pytest.raises(ExpressionError, match="'len'"):
        data.group_by("k").agg(pl.len(), pl.len())
