"""Random chains of image operations over images of every mode: rules keep every pixel and type."""

import io

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import lightdata as ld
from lightdata.errors import LightdataError
from lightdata.execute.inline import InlineExecutor
from lightdata.expr.deferred import Chain
from lightdata.io.memory import MemorySource
from lightdata.kernels.columns import pixel_rows
from lightdata.optimize.image_algebra import simplified
from lightdata.optimize.stages import optimize
from lightdata.physical.lower import lower
from lightdata.physical.operators.chains import compute_chains
from lightdata.plan.node import DecodeImages, Scan
from lightdata.plan.schema import schema_of
from lightdata.types import operation as ops

FAST = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
SLOW = settings(deadline=None, max_examples=1500, suppress_health_check=list(HealthCheck))

FILE_MODES = ("1", "L", "LA", "P", "P with alpha", "RGB", "RGB with a clear colour", "RGBA", "CMYK", "I;16")


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=True)


def file_of(mode, height, width, seed, orientation=1):
    """Write a file of noise in a mode."""
    random = np.random.default_rng(seed)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"exif": exif} if orientation > 1 else {}
    file = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(random.integers(0, 65536, (height, width), np.uint16)).save(file, "PNG", **options)
        return file.getvalue()
    colours = Image.fromarray(random.integers(0, 256, (height, width, 4), np.uint8))
    match mode:
        case "P" | "P with alpha":
            image = colours.convert("RGB").quantize(8)
            options |= {"transparency": 1} if mode != "P" else {}
        case "RGB with a clear colour":
            image = colours.convert("RGB")
            options["transparency"] = image.getpixel((0, 0))
        case _:
            image = colours.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else colours.convert(mode)
    image.save(file, "TIFF" if mode == "CMYK" else "PNG", **options)
    return file.getvalue()


SIDES = st.integers(1, 9)
FILES = st.one_of(
    st.none(),
    st.builds(
        file_of, st.sampled_from(FILE_MODES), SIDES, SIDES, st.integers(0, 99), st.sampled_from([1, 1, 1, 2, 5, 6, 8])
    ),
)
SIZES = st.sampled_from([1, 2, 3, 4, 5])
STARTS = st.integers(-2, 4)
BORDERS = st.integers(0, 2)
FILTERS = st.sampled_from(["nearest", "bilinear", "lanczos"])

OPERATIONS = st.one_of(
    st.builds(ops.Resize, height=SIZES, width=SIZES, interpolation=FILTERS),
    st.builds(ops.ResizeShortest, size=SIZES),
    st.builds(ops.Letterbox, height=SIZES, width=SIZES, fill=st.just(7)),
    st.builds(ops.Crop, top=STARTS, left=STARTS, height=SIZES, width=SIZES),
    st.builds(ops.Crop, top=st.just(0), left=st.just(0), height=SIZES, width=SIZES),
    st.builds(ops.CenterCrop, height=SIZES, width=SIZES),
    st.builds(ops.Pad, left=BORDERS, top=BORDERS, right=BORDERS, bottom=BORDERS, fill=st.sampled_from([0, 9])),
    st.just(ops.FlipLeftRight()),
    st.just(ops.FlipUpDown()),
    st.builds(ops.Rotate, angle=st.sampled_from([0.0, 360.0, 180.0, 90.0, 30.0])),
    st.builds(ops.ToMode, mode=st.sampled_from(["L", "LA", "RGB", "RGBA"])),
    st.builds(ops.Decode, mode=st.sampled_from([None, "L", "RGB", "RGBA"]), exif_transpose=st.booleans()),
    st.just(ops.ExifTranspose()),
    st.just(ops.AsImage()),
)
CHAINS = st.lists(OPERATIONS, max_size=6).map(tuple)
ENDS = st.sampled_from(
    [
        (),
        (),
        (ops.ToTensor(dtype="uint8"),),
        (ops.ToTensor(layout="CHW", scale=1 / 255),),
        (ops.Encode(format="tiff"),),
        *((ops.Attribute(name=name),) for name in ("width", "height", "mode", "channels", "format", "n_frames")),
    ]
)


def outcome(chain, batch):
    """Give the type and the rows that a chain makes, or that it cannot."""
    try:
        made = compute_chains(batch, [chain])[chain.name]
    except (LightdataError, ValueError, OSError):
        return "error"
    return made.type, rows_of(made)


def rows_of(array):
    """Give the rows of a column as values that compare."""
    if isinstance(array.type, pa.ExtensionType | pa.FixedShapeTensorType):
        return [None if row is None else (row.dtype, row.tolist()) for row in pixel_rows(array)]
    return array.to_pylist()


def check_simplified(files, operations, end, size):
    batch = pa.record_batch({"file": pa.array(files, pa.large_binary())})
    if size is not None:  # images of one kind, whose type says so
        start = Chain("file", (ops.Resize(height=size[0], width=size[1]), ops.ToMode(mode="RGBA")))
        batch = pa.record_batch({"file": compute_chains(batch, [start])[start.name]})
    chain = Chain("file", (*operations, *end))
    dtype = batch.schema.field("file").type
    if not chain.operations:
        return
    simpler = Chain("file", simplified(chain.operations, dtype))
    assert simpler.type_in({"file": dtype}) == chain.type_in({"file": dtype})
    assert simplified(simpler.operations, dtype) == simpler.operations
    if (before := outcome(chain, batch)) != "error":
        assert outcome(simpler, batch) == before


SOME_FILES = st.lists(FILES, min_size=1, max_size=4)
MAYBE_SIZE = st.one_of(st.none(), st.tuples(SIZES, SIZES))


@FAST
@given(SOME_FILES, CHAINS, ENDS, MAYBE_SIZE)
def test_simpler_chains_make_the_same_pixels(files, operations, end, size):
    """What a chain is simplified to gives every pixel and the type of the chain."""
    check_simplified(files, operations, end, size)


@pytest.mark.slow
@SLOW
@given(SOME_FILES, CHAINS, ENDS, MAYBE_SIZE)
def test_many_simpler_chains_make_the_same_pixels(files, operations, end, size):
    """Many more chains keep every pixel."""
    check_simplified(files, operations, end, size)


NAMES = st.sampled_from(["image", "other", "third"])
# Modes are fixed first now and then, so that types that say everything are met.
STEPS = st.lists(OPERATIONS, max_size=2).map(tuple)


def expression(base, operations, name):
    """Write a chain as users do."""
    chain = Chain(base, operations)
    return pl.col(chain.name if operations else base).alias(name)


ADDITIONS = st.lists(st.tuples(NAMES, STEPS, NAMES), min_size=1, max_size=3, unique_by=lambda one: one[2])
NUMBERS = [
    lambda base: pl.col(base).image.width() > 2,
    lambda base: pl.col(base).image.mode() == "RGB",
    lambda base: pl.col(base).is_not_null(),
    lambda base: pl.col(base).image.to_mode("L").image.to_tensor().tensor.mean() > 90,
    lambda base: pl.col("n") > 0,
]


@st.composite
def verbs(draw):
    """Draw what is done to a query with the columns n, image, other and third."""
    added = draw(ADDITIONS)
    match draw(st.sampled_from(["add", "add", "add", "filter", "select", "mixed", "count", "drop", "swap", "limit"])):
        case "add":
            return lambda q: q.with_columns(*(expression(*one) for one in added))
        case "filter":
            kept, base = draw(st.sampled_from(NUMBERS)), draw(NAMES)
            return lambda q: q.filter(kept(base))
        case "select":
            kept = [one for one in ("image", "other", "third") if one not in {made for _, _, made in added}]
            return lambda q: q.select("n", *kept, *(expression(*one) for one in added))
        case "mixed":
            base, other, name = draw(NAMES), draw(NAMES), draw(NAMES)
            choice = pl.when(pl.col("n") > 1).then(pl.col(base).image.flip_left_right()).otherwise(pl.col(other))
            return lambda q: q.with_columns(choice.alias(name))
        case "count":
            base = draw(NAMES)
            return lambda q: q.with_columns(n=pl.col(base).image.resize(2, 3).image.width().cast(pl.Int64))
        case "drop":
            return lambda q: q.with_columns(extra=pl.col("third").image.flip_up_down()).drop("extra")
        case "swap":
            return lambda q: q.rename({"image": "other", "other": "image"})
    n = draw(st.integers(1, 4))
    return lambda q: q.limit(n)


def ran(plan):
    """Run a plan as it is: its types and rows, or that it fails."""
    try:
        batches = list(InlineExecutor().run(lower(plan, workers=1)))
    except (LightdataError, ValueError, OSError):
        return "error"
    schema = schema_of(plan)
    return schema, [[row for batch in batches for row in rows_of(batch.column(name))] for name in schema]


def check_queries(files, queried, kept):
    table = pa.table(
        {"n": range(len(files)), "image": files, "other": files[::-1], "third": files},
        pa.schema([("n", pa.int64()), *((name, pa.large_binary()) for name in ("image", "other", "third"))]),
    )
    query = ld.Dataset(DecodeImages(input=Scan(source=MemorySource(table)), column="image"))
    try:
        for verb in queried:
            query = verb(query)
        query = query.select(*kept)
    except LightdataError:
        return  # types that do not fit
    plan, _ = optimize(query._plan)
    assert schema_of(plan) == schema_of(query._plan)
    if (before := ran(query._plan)) != "error":
        assert ran(plan) == before


QUERIES = st.lists(verbs(), min_size=1, max_size=5)
KEPT = st.sampled_from([("n", "image", "other", "third"), ("image",), ("n", "other"), ("n", "image")])


@FAST
@given(SOME_FILES, QUERIES, KEPT)
def test_rules_change_no_pixel(files, queried, kept):
    """Any query of chains gives the same pixels and types before and after optimization."""
    check_queries(files, queried, kept)


@pytest.mark.slow
@SLOW
@given(SOME_FILES, QUERIES, KEPT)
def test_many_rules_change_no_pixel(files, queried, kept):
    """Many more queries keep every pixel."""
    check_queries(files, queried, kept)
