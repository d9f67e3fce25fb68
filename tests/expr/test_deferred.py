"""Chains as columns that do not exist yet: the grammar, the namespaces and what they refuse."""

import pickle

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lightdata as ld
from lightdata.errors import ArgumentError, ExpressionError, SchemaError
from lightdata.expr import deferred
from lightdata.expr.deferred import MARK, Chain, in_words, is_deferred, parse
from lightdata.types import operation as ops
from lightdata.types import tensor_operation as tensor_ops
from lightdata.types.image import ImageType
from lightdata.types.image_spec import MODES, ImageSpec
from lightdata.types.uri_operation import ReadUri, WriteUri

NAMES = st.one_of(
    st.sampled_from(
        [
            "image",
            "my image",
            'say "x"',
            "a.b",
            "a.b()",
            "col(a)",
            "",
            "1",
            "日本",
            "ñ",
            "\u212e",
            "a·b",
            "\\",
            "\n",
            "é",
            "🙂",
        ]
    ),
    st.text(st.characters(exclude_characters=MARK, exclude_categories=("Cs",)), max_size=12),
)
SIZES = st.integers(1, 100_000)
OFFSETS = st.integers(-1000, 1000)
FLOATS = st.floats(allow_nan=False, width=64)
FILTERS = st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"])
MODE = st.sampled_from(list(MODES))
VECTORS = st.lists(FLOATS, min_size=1, max_size=4).map(tuple)
AXES = st.none() | st.integers(-3, 3)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)

OPERATIONS = {
    "decode": st.builds(
        ops.Decode, mode=st.none() | MODE, exif_transpose=st.booleans(), on_error=st.sampled_from(["raise", "null"])
    ),
    "resize": st.builds(ops.Resize, height=SIZES, width=SIZES, interpolation=FILTERS),
    "resize_shortest": st.builds(ops.ResizeShortest, size=SIZES, interpolation=FILTERS),
    "crop": st.builds(ops.Crop, top=OFFSETS, left=OFFSETS, height=SIZES, width=SIZES),
    "center_crop": st.builds(ops.CenterCrop, height=SIZES, width=SIZES),
    "pad": st.builds(ops.Pad, left=SIZES, top=SIZES, right=SIZES, bottom=SIZES, fill=st.integers(0, 255)),
    "letterbox": st.builds(ops.Letterbox, height=SIZES, width=SIZES, fill=st.integers(0, 255), interpolation=FILTERS),
    "flip_left_right": st.just(ops.FlipLeftRight()),
    "flip_up_down": st.just(ops.FlipUpDown()),
    "rotate": st.builds(ops.Rotate, angle=FLOATS, interpolation=FILTERS, fill=st.integers(0, 255)),
    "to_mode": st.builds(ops.ToMode, mode=MODE),
    "exif_transpose": st.just(ops.ExifTranspose()),
    "as_image": st.just(ops.AsImage()),
    "encode": st.builds(
        ops.Encode,
        format=st.sampled_from(["png", "jpeg"]),
        options=st.none() | st.dictionaries(TEXTS, st.integers() | TEXTS | st.booleans(), min_size=1, max_size=3),
    ),
    "to_tensor": st.builds(
        ops.ToTensor,
        layout=st.sampled_from(["HWC", "CHW"]),
        dtype=st.sampled_from(["float32", "uint8"]),
        scale=st.none() | FLOATS,
        mean=st.none() | VECTORS,
        std=st.none() | VECTORS,
    ),
    "cast": st.builds(tensor_ops.Cast, dtype=st.sampled_from(["float32", "int8"])),
    "reshape": st.builds(tensor_ops.Reshape, shape=st.lists(st.integers(-1, 99), min_size=1, max_size=4).map(tuple)),
    "transpose": st.builds(tensor_ops.Transpose, axes=st.none() | st.permutations(range(3)).map(tuple)),
    "normalize": st.builds(tensor_ops.Normalize, mean=VECTORS, std=VECTORS, axis=st.integers(-3, 3)),
    "cosine_similarity": st.builds(
        tensor_ops.CosineSimilarity,
        other=VECTORS | st.builds(Chain, NAMES) | st.builds(Chain, NAMES, st.just((tensor_ops.Cast(dtype="int8"),))),
    ),
    "read": st.builds(
        ReadUri,
        on_error=st.sampled_from(["raise", "null"]),
        max_connections=SIZES,
        timeout_s=FLOATS,
        max_bytes=SIZES,
        retries=SIZES,
        allow_private=st.booleans(),
    ),
    "write": st.builds(
        WriteUri,
        folder=TEXTS,
        name=TEXTS.filter(lambda text: not set(text) & set("{}")),
        columns=st.none() | st.tuples(TEXTS, TEXTS),
        overwrite=st.booleans(),
        retries=SIZES,
    ),
    **{name: st.just(ops.Attribute(name=name)) for name in deferred.ATTRIBUTES if name != "exif"},
    "exif": st.builds(ops.Attribute, name=st.just("exif"), tag=st.integers(0, 65535)),
    **{name: st.builds(tensor_ops.Reduce, function=st.just(name), axis=AXES) for name in ("argmax", "mean", "norm")},
}


def test_every_operation_of_the_grammar_is_generated():
    """The round trip below covers every word of the grammar."""
    assert OPERATIONS.keys() == deferred._CONSTRUCTORS.keys()


@given(NAMES, st.lists(st.one_of(*OPERATIONS.values()), max_size=4).map(tuple))
@settings(max_examples=150, deadline=None)
def test_names_read_back_as_the_chain(column, operations):
    """The name of a deferred column reads back as its chain, and survives Polars, pickle and hashing."""
    chain = Chain(column, operations)
    assert parse(chain.name) == chain
    assert hash(parse(chain.name)) == hash(chain)
    assert pickle.loads(pickle.dumps(chain)) == chain
    assert is_deferred(chain.name)
    assert pl.col(chain.name).meta.root_names() == [chain.name] or chain.name.startswith("^")
    assert MARK not in str(chain)


@pytest.mark.parametrize("word", OPERATIONS)
def test_each_operation_reads_back(word):
    """Every word of the grammar reads back with all its arguments."""

    @given(OPERATIONS[word])
    @settings(max_examples=10, deadline=None)
    def check(operation):
        chain = Chain("a b", (operation,))
        assert parse(chain.name).operations == (operation,)
        assert f".{word}(" in str(chain)

    check()


@pytest.mark.parametrize(
    "text",
    ["", "x.foo()", "x.resize(hh=1)", "x.resize(height=", "x.resize(", '"x', "x.", "x y", "x.flip_up_down()z", "1"],
)
def test_text_outside_the_grammar_is_refused(text):
    """A name with the mark that is no chain is an ExpressionError in words, whatever is wrong with it."""
    with pytest.raises(ExpressionError) as caught:
        parse(MARK + text)
    assert MARK not in str(caught.value)


def image(name="image"):
    return pl.col(name).image


def words(expr):
    return in_words(expr.meta.root_names()[0])


def test_chains_are_plain_columns_under_the_first_name():
    """A chain is one column, named as its base column or its alias."""
    expr = image("my image").resize(8, 9).image.flip_up_down()
    assert words(expr) == '"my image".resize(height=8, width=9).flip_up_down()'
    assert expr.meta.output_name() == "my image"
    assert pl.col("a").alias("b").image.width().meta.output_name() == "b"
    assert pl.col("a").name.suffix("_s").image.width().meta.output_name() == "a_s"
    assert image().resize(8, 9).alias("small").image.mode().meta.output_name() == "small"


def test_equal_chains_are_equal_expressions():
    """The same words are the same expression, before and after pickling."""
    first, second, other = image().resize(8, 9), image().resize(8, 9), image().resize(9, 8)
    assert first.meta.eq(second)
    assert not first.meta.eq(other)
    assert pickle.loads(pickle.dumps(first)).meta.eq(second)
    assert image().resize(8, 9, interpolation="BILINEAR").meta.eq(first)


def test_numpy_numbers_are_numbers():
    """Sizes, offsets and options may be NumPy scalars."""
    assert image().resize(np.int64(8), np.uint8(9)).meta.eq(image().resize(8, 9))
    assert image().crop(np.int32(1), np.int32(2), 3, 4).meta.eq(image().crop(1, 2, 3, 4))
    assert image().encode("png", compress_level=np.int64(3)).meta.eq(image().encode("png", compress_level=3))


def test_arguments_that_are_no_values_are_refused():
    """An argument that cannot be written in words is an ArgumentError."""
    with pytest.raises(ArgumentError):
        image().encode("png", compress_level=object())


NOT_ONE_COLUMN = {
    "all": pl.all(),
    "several": pl.col("a", "b"),
    "pattern": pl.col("^a.*$"),
    "star": pl.col("*"),
    "nth": pl.nth(0),
    "first": pl.first(),
    "exclude": pl.exclude("a"),
    "numeric": cs.numeric(),
    "selector by name": cs.by_name("a"),
    "by dtype": pl.col(pl.Int64),
    "literal": pl.lit(1),
    "aggregate": pl.col("a").first(),
    "aggregated chain": pl.col("a").image.flip_up_down().first(),
    "arithmetic": pl.col("a") + 1,
    "list.eval": pl.col("a").list.eval(pl.element()),
    "struct.field": pl.col("a").struct.field("x"),
    "list.get": pl.col("a").list.get(0),
    "name.keep": pl.col("a").name.keep(),
    "name.keep of a chain": pl.col("a").image.flip_up_down().name.keep(),
    "element": pl.element(),
    "length": pl.len(),
    "when": pl.when(True).then("a"),
    "cast": pl.col("a").cast(pl.Int8),
    "filter": pl.col("a").filter(pl.col("k")),
}


@pytest.mark.parametrize("namespace", ["image", "tensor"])
@pytest.mark.parametrize("expr", NOT_ONE_COLUMN.values(), ids=NOT_ONE_COLUMN.keys())
def test_chains_start_at_one_column(expr, namespace):
    """On anything but one column, one clear error says to name it first, without the mark."""
    with pytest.raises(ExpressionError, match=f"{namespace} works on one column.*with_columns") as caught:
        _ = expr.image.flip_up_down() if namespace == "image" else expr.tensor.argmax()
    assert MARK not in str(caught.value)
    assert "2063" not in str(caught.value)


@pytest.mark.parametrize("name", ["a" + MARK + "b", MARK + "x.foo()", MARK + MARK, MARK + '"a' + MARK + '"'])
def test_the_mark_is_reserved(name):
    """A column whose name bears the mark is refused in words."""
    with pytest.raises(ExpressionError) as caught:
        pl.col(name).image.flip_up_down()
    assert MARK not in str(caught.value)
    assert "2063" not in str(caught.value)


@pytest.mark.parametrize("ended", [image().width(), image().encode("png"), image().exif(1), image().format()])
def test_nothing_follows_an_answer(ended):
    """An attribute or encoded bytes end a chain."""
    with pytest.raises(ExpressionError, match="ends a chain"):
        ended.image.flip_up_down()


BAD_ARGUMENTS = {
    "resize 0": lambda: image().resize(0, 5),
    "resize float": lambda: image().resize(2.5, 5),
    "resize filter": lambda: image().resize(2, 5, interpolation="cubic"),
    "shortest": lambda: image().resize_shortest(-1),
    "crop": lambda: image().crop(0, 0, 0, 1),
    "center_crop": lambda: image().center_crop(0),
    "pad": lambda: image().pad(-1),
    "pad fill": lambda: image().pad(1, fill=256),
    "letterbox": lambda: image().letterbox(1, 0),
    "rotate": lambda: image().rotate(3, interpolation="lanczos"),
    "mode": lambda: image().to_mode("CMYK"),
    "decode": lambda: image().decode("P"),
    "layout": lambda: image().to_tensor(layout="WHC"),
    "normalize": lambda: pl.col("t").tensor.normalize([1.0], [1.0, 2.0]),
    "normalize zero": lambda: pl.col("t").tensor.normalize([1.0], [0.0]),
}


@pytest.mark.parametrize("make", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_arguments_are_checked_when_written(make):
    """An argument that cannot work is an ArgumentError before any query exists."""
    with pytest.raises(ArgumentError):
        make()


def test_inputs_are_base_columns():
    """A chain reads its base column, and those of the column it is compared with."""
    chain = Chain(
        "a", (tensor_ops.CosineSimilarity(other=Chain("b", (tensor_ops.CosineSimilarity(other=Chain("c")),))),)
    )
    assert chain.inputs == {"a", "b", "c"}
    other = pl.col("x").tensor.cosine_similarity(pl.col("y").tensor.cast("float32"))
    assert parse(other.meta.root_names()[0]).inputs == {"x", "y"}


TYPES = {
    "a": ImageType(ImageSpec("RGB", 10, 20)),
    "d": ImageType(),
    "b": ld.tensor_type("uint8", (4, 5, 3)),
    "t": ld.tensor_type("float32", (4, 6)),
    "v": ld.tensor_type("float32"),
    "i": ld.tensor_type("int64", (4, 6)),
    "n": pl.Int64,
}


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        (image("a").resize(3, 4), "Image[RGB, 3x4]"),
        (image("a").resize_shortest(5), "Image[RGB, 5x10]"),
        (image("a").crop(1, 1, 2, 3).image.to_mode("L"), "Image[L, 2x3]"),
        (image("a").pad(1, 2, 3, 4), "Image[RGB, 16x24]"),
        (image("a").exif_transpose(), "Image"),
        (image("d").resize(3, 4), "Image"),
        (image("d").resize(3, 4).image.to_mode("RGB"), "Image[RGB, 3x4]"),
        (image("b").flip_up_down(), "Image[RGB, 4x5]"),
        (image("a").to_tensor(layout="CHW"), "Tensor[float32, (3, 10, 20)]"),
        (image("d").to_tensor(), "Tensor[float32]"),
        (image("a").width(), "uint32"),
        (image("d").format(), "string"),
        (image("d").encode("png"), "binary"),
        (pl.col("t").tensor.reshape(3, -1), "Tensor[float32, (3, 8)]"),
        (pl.col("t").tensor.transpose(), "Tensor[float32, (6, 4)]"),
        (pl.col("t").tensor.argmax(), "int64"),
        (pl.col("t").tensor.mean(axis=0), "Tensor[float32, (6,)]"),
        (pl.col("v").tensor.mean(axis=0), "Tensor[float32]"),
        (pl.col("v").tensor.norm(), "float32"),
        (pl.col("t").tensor.cosine_similarity([1.0]), "float64"),
        (image("a").to_tensor().tensor.argmax(), "int64"),
    ],
    ids=str,
)
def test_types_follow_from_the_plan(expr, wanted):
    """The type of every chain is told from the types of its columns alone."""
    schema = ld.Schema({name: kind for name, kind in TYPES.items() if name != "n"})
    assert ld.types.schema.describe(parse(expr.meta.root_names()[0]).type_in(schema)) == wanted


@pytest.mark.parametrize(
    "expr",
    [
        image("i").resize(1, 1),
        pl.col("a").tensor.argmax(),
        pl.col("t").tensor.reshape(5),
        pl.col("t").tensor.mean(axis=2),
        pl.col("t").tensor.transpose(0),
        pl.col("t").tensor.argmax().tensor.argmax(),
        pl.col("t").tensor.normalize([1.0] * 3, [1.0] * 3),
        pl.col("t").tensor.cast("bool"),
    ],
    ids=str,
)
def test_operations_that_do_not_apply(expr):
    """An operation on a type it has no meaning for is a SchemaError that shows the chain in words."""
    schema = ld.Schema({name: kind for name, kind in TYPES.items() if name != "n"})
    with pytest.raises(SchemaError) as caught:
        parse(expr.meta.root_names()[0]).type_in(schema)
    assert MARK not in str(caught.value)
    assert words(expr).partition(".")[0] in str(caught.value)
