"""Random queries over random rows: optimizing, cutting and workers change nothing, and Polars and Pillow agree."""

import io

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.execute.inline import InlineExecutor
from lightdata.execute.pool import PoolExecutor
from lightdata.io.memory import MemorySource
from lightdata.optimize.stages import optimize
from lightdata.physical import builder
from lightdata.physical.lower import lower
from lightdata.plan.node import DecodeImages, Scan
from lightdata.plan.schema import schema_of
from lightdata.plan.verify import verify

FAST = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
SLOW = settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))

IMAGE = pl.col("image").image
MODES = {"L": (), "RGB": (3,), "RGBA": (4,)}


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=True)


@st.composite
def pictures(draw):
    """Draw the pixels of a small image, or bytes that are none."""
    if draw(st.integers(0, 5)) == 0:
        return None
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), *MODES[draw(st.sampled_from(list(MODES)))])
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels):
    """Write pixels as PNG."""
    if pixels is None:
        return b"no image"
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@st.composite
def datasets(draw):
    """Draw rows: images that may be broken, integers and texts that may be null."""
    pixels = draw(st.lists(pictures(), max_size=7))
    count = len(pixels)
    texts = st.one_of(st.none(), st.sampled_from(["x", "y", ""]))
    frame = pl.DataFrame(
        {
            "a": draw(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=count, max_size=count)),
            "b": draw(st.lists(st.integers(-5, 5), min_size=count, max_size=count)),
            "s": draw(st.lists(texts, min_size=count, max_size=count)),
        },
        schema={"a": pl.Int64, "b": pl.Int64, "s": pl.String},
    )
    return frame, pixels


def dataset(frame, pixels, on_error):
    """Make the query that decodes these rows."""
    images = pa.array([encoded(one) for one in pixels], pa.large_binary())
    table = frame.to_arrow().append_column("image", images)
    return ld.Dataset(DecodeImages(input=Scan(source=MemorySource(table)), column="image", on_error=on_error))


A, B, S = pl.col("a"), pl.col("b"), pl.col("s")
ROW_WISE = [A + B, A * 2, B - 1, A.fill_null(0), pl.coalesce(A, B), A.abs(), pl.lit(3, pl.Int64)]
ALL_ROWS = [B.cum_sum(), A.shift(1), B - B.max(), A.fill_null(B.sum()), A.rank("ordinal").cast(pl.Int64), B.reverse()]
PREDICATES = [
    A > 0,
    B.is_between(-2, 3),
    A.is_null(),
    (A > 0) | (S == "x"),
    S.is_in(["x", "y"]),
    A.max() == A,
    B.cum_sum() > 0,
    pl.lit(value=True),
]
AGGREGATES = [[B.sum(), pl.len().alias("s")], [A.max(), B.min(), S.count()], [pl.len()]]


def negate(row):
    """Give a row with ``b`` negated."""
    return {**row, "b": None if row["b"] is None else -row["b"]}


def negate_batch(frame):
    """Give a frame with ``b`` negated."""
    return frame.with_columns(-pl.col("b"))


def odd(row):
    """Keep odd ``b``."""
    return row["b"] is not None and row["b"] % 2 == 1


TYPES = {"a": int, "b": int, "s": str}

# Each verb is what it does to a query and what it does to a Polars frame; the columns a, b and s stay.
VERBS = st.one_of(
    st.builds(
        lambda e, n: (lambda q: q.with_columns(e.alias(n)),) * 2, st.sampled_from(ROW_WISE), st.sampled_from("ab")
    ),
    st.builds(
        lambda e, n: (lambda q: q.with_columns(e.alias(n)),) * 2, st.sampled_from(ALL_ROWS), st.sampled_from("ab")
    ),
    st.builds(lambda e: (lambda q: q.filter(e),) * 2, st.sampled_from(PREDICATES)),
    st.builds(lambda n: (lambda q: q.limit(n), lambda q: q.head(n)), st.integers(0, 6)),
    st.just((lambda q: q.rename({"a": "b", "b": "a"}),) * 2),
    st.just((lambda q: q.select("s", pl.col("b").alias("a"), (A + B).alias("b")),) * 2),
    st.just((lambda q: q.with_columns(t=A + 1).drop("t"),) * 2),
    st.just((lambda q: q.with_columns(t=A + 1).filter(pl.col("t") > 0).select("a", "b", "s"),) * 2),
    st.just((lambda q: q.map(negate, schema=TYPES), negate_batch)),
    st.just((lambda q: q.map_batches(negate_batch, batch_format="polars", schema=TYPES), negate_batch)),
    st.just(
        (
            lambda q: q.map_batches(negate_batch, batch_format="polars", batch_size=2, schema=TYPES),
            negate_batch,
        )
    ),
    st.just((lambda q: q.filter(odd), lambda q: q.filter(pl.col("b") % 2 == 1))),
)
QUERIES = st.lists(VERBS, max_size=5)
ENDS = st.one_of(st.none(), st.sampled_from(AGGREGATES))


def applied(query, verbs, which, end=None):
    """Apply verbs to a query or a frame, columns in one order after each, since functions keep that of their schema."""
    for verb in verbs:
        query = verb[which](query).select("a", "b", "s")
    return query if end is None else query.select(end)


def rows_of(plan, task_rows=None):
    """Run a plan as it is, cut in small tasks if wanted."""
    verify(plan)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS") if task_rows else ():
            patch.setattr(builder, name, task_rows)
        pipeline = lower(plan, workers=1)
    batches = list(InlineExecutor().run(pipeline))
    return [row for batch in batches for row in batch.to_pylist()]


def check_relational(data, verbs, end, task_rows):
    frame, _ = data
    query = applied(ld.from_polars(frame), verbs, 0, end)
    ld.config(optimize=True)
    found = query.collect()
    assert_frame_equal(found, applied(frame, verbs, 1, end))
    assert found.schema == schema_of(query._plan).to_polars()
    plan = query._plan
    assert rows_of(plan) == rows_of(optimize(plan)[0]) == rows_of(plan, task_rows) == found.to_dicts()
    assert query.count() == found.height


@FAST
@given(datasets(), QUERIES, ENDS, st.integers(1, 3))
def test_queries_equal_polars(data, verbs, end, task_rows):
    """Any query gives what Polars gives over the whole frame, optimized or not, however it is cut."""
    check_relational(data, verbs, end, task_rows)


@pytest.mark.slow
@SLOW
@given(datasets(), QUERIES, ENDS, st.integers(1, 3))
def test_many_queries_equal_polars(data, verbs, end, task_rows):
    """Many more queries give what Polars gives."""
    check_relational(data, verbs, end, task_rows)


def smaller(image):
    """Resize with Pillow."""
    return image.resize((3, 2), Image.Resampling.BILINEAR)


# Each verb is what it does to a query and what it does to a list of rows: (number, Pillow image or None).
IMAGE_VERBS = {
    "resize": (
        lambda q: q.with_columns(IMAGE.resize(2, 3)),
        lambda rows: [(n, i and smaller(i)) for n, i in rows],
    ),
    "flip and grey": (
        lambda q: q.with_columns(image=IMAGE.flip_left_right().image.to_mode("L")),
        lambda rows: [(n, i and i.transpose(Image.Transpose.FLIP_LEFT_RIGHT).convert("L")) for n, i in rows],
    ),
    "wide": (lambda q: q.filter(IMAGE.width() > 2), lambda rows: [(n, i) for n, i in rows if i and i.width > 2]),
    "grey": (lambda q: q.filter(IMAGE.mode() == "L"), lambda rows: [(n, i) for n, i in rows if i and i.mode == "L"]),
    "null": (lambda q: q.filter(pl.col("image").is_null()), lambda rows: [(n, i) for n, i in rows if i is None]),
    "there": (lambda q: q.filter(pl.col("image").is_not_null()), lambda rows: [(n, i) for n, i in rows if i]),
    "as wide as any": (
        lambda q: q.filter(IMAGE.width() == IMAGE.width().max()),
        lambda rows: [(n, i) for n, i in rows if i and i.width == max(j.width for _, j in rows if j)],
    ),
    "first two": (lambda q: q.limit(2), lambda rows: rows[:2]),
    "by number": (lambda q: q.filter(pl.col("n") % 2 == 0), lambda rows: [(n, i) for n, i in rows if n % 2 == 0]),
    "mixed": (
        lambda q: q.with_columns(image=pl.when(pl.col("n") > 2).then(IMAGE.resize(2, 3)).otherwise(pl.col("image"))),
        lambda rows: [(n, i and (smaller(i) if n > 2 else i)) for n, i in rows],
    ),
    "renamed": (
        lambda q: q.with_columns(other=IMAGE.resize(2, 3)).rename({"other": "image", "image": "old"}).drop("old"),
        lambda rows: [(n, i and smaller(i)) for n, i in rows],
    ),
    "mapped": (lambda q: q.map(lambda row: row, schema={"n": int, "image": ld.image_type()}), lambda rows: rows),
}


def check_images(data, verbs, on_error, task_rows):
    frame, pixels = data
    query = dataset(frame.select(n=pl.int_range(pl.len())), pixels, on_error)
    rows = [(n, None if one is None else Image.fromarray(one)) for n, one in enumerate(pixels)]
    rows = [row for row in rows if row[1] or on_error == "null"]
    for verb in verbs:
        query, rows = IMAGE_VERBS[verb][0](query), IMAGE_VERBS[verb][1](rows)
    expected = [(n, None if one is None else np.asarray(one).tolist()) for n, one in rows]
    for optimized, cut in ((True, task_rows), (False, 32)):
        ld.config(optimize=optimized)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(builder, "TASK_ROWS", cut)
            found = query.select("n", "image").take_all()
            counted = query.count()
            widths = query.select(w=IMAGE.width()).collect()["w"].to_list()
            total = query.select(IMAGE.width().sum(), pl.len()).take_all()
        tidy = [(row["n"], None if row["image"] is None else row["image"].tolist()) for row in found]
        assert tidy == expected
        assert counted == len(rows)
        assert widths == [one and one.width for _, one in rows]
        assert total == [{"image": sum(one.width for _, one in rows if one), "len": len(rows)}]


VERB_NAMES = st.lists(st.sampled_from(list(IMAGE_VERBS)), max_size=4)


@pytest.mark.usefixtures("exact_pixels")
@settings(parent=FAST, max_examples=30)
@given(datasets(), VERB_NAMES, st.sampled_from(["null", "skip"]), st.integers(1, 3))
def test_image_queries_equal_pillow(data, verbs, on_error, task_rows):
    """Any query of images gives the pixels that Pillow gives, optimized or not, however it is cut."""
    check_images(data, verbs, on_error, task_rows)


@pytest.mark.slow
@pytest.mark.usefixtures("exact_pixels")
@SLOW
@given(datasets(), VERB_NAMES, st.sampled_from(["null", "skip"]), st.integers(1, 3))
def test_many_image_queries_equal_pillow(data, verbs, on_error, task_rows):
    """Many more queries of images give the pixels that Pillow gives."""
    check_images(data, verbs, on_error, task_rows)


UNKNOWN = st.lists(
    st.one_of(
        st.just(lambda q: q.map(negate)),
        st.just(lambda q: q.map_batches(negate_batch, batch_format="polars")),
        st.just(lambda q: q.filter(odd)),
        st.just(lambda q: q.flat_map(lambda row: [row] * (row["b"] % 3))),
        st.just(lambda q: q.filter(pl.col("b") > 0)),
        st.just(lambda q: q.rename({"a": "b", "b": "a"})),
        st.just(lambda q: q.with_columns(a=pl.col("b") + 1)),
        st.builds(lambda n: lambda q: q.limit(n), st.integers(0, 5)),
    ),
    max_size=5,
)


@FAST
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), max_size=9), UNKNOWN, st.integers(1, 3))
def test_unknown_schemas_change_nothing(values, verbs, task_rows):
    """After functions that declare no schema, optimizing and cutting still change nothing."""
    query = ld.from_polars(pl.DataFrame(values, schema={"a": pl.Int64, "b": pl.Int64}, orient="row"))
    for verb in verbs:
        query = verb(query)
    plan = query._plan
    assert rows_of(plan) == rows_of(optimize(plan)[0]) == rows_of(plan, task_rows)


@settings(parent=FAST, max_examples=3)
@given(datasets(), VERB_NAMES, QUERIES, st.sampled_from(["null", "skip"]))
def test_workers_change_nothing(data, image_verbs, verbs, on_error):
    """Worker processes give the batches that the calling process gives."""
    frame, pixels = data
    images = dataset(frame.select(n=pl.int_range(pl.len())), pixels, on_error)
    for verb in image_verbs:
        images = IMAGE_VERBS[verb][0](images)
    for query in (images.select("n", w=IMAGE.width(), t=IMAGE.resize(2, 2).image.to_tensor()), images.drop("n")):
        check_pool(query._plan)
    check_pool(applied(ld.from_polars(frame), verbs, 0)._plan)


def check_pool(plan):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"):
            patch.setattr(builder, name, 1)
        pipeline = lower(optimize(plan)[0], workers=2)
    inline = [row for batch in InlineExecutor().run(pipeline) for row in batch.to_pylist()]
    pool = [row for batch in PoolExecutor(workers=2).run(pipeline) for row in batch.to_pylist()]
    assert repr(pool) == repr(inline)
