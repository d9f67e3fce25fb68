"""Image files: what plain Pillow reads back, what they are called, and what is refused."""

import io
import os
import re

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, EncodeError, ExecutionError, OutputExistsError, SchemaError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def noise(rows, *shape, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return np.random.default_rng(1).integers(0, top, (rows, *shape), dtype, endpoint=True)


def opened(path):
    return Image.open(io.BytesIO(path.read_bytes()))


def tree(root):
    return sorted(
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.startswith("_")
    )


def everything(root):
    """List files and folders, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "_SUCCESS")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_pixels_come_back_from_png(tmp_path, channels, workers):
    """Grey, RGB and RGBA pixels are exact in PNG, numbered in row order, in workers or not."""
    ld.config(workers=workers)
    pixels = noise(70, *(5, 6) if channels is None else (5, 6, channels))
    result = ld.from_numpy({"image": pixels}).write_images(tmp_path, "image")
    assert result.rows == len(result.files) == 70
    assert list(result.files) == [f"{n:06d}.png" for n in range(70)] == tree(tmp_path)
    assert result.size_bytes == sum((tmp_path / name).stat().st_size for name in result.files)
    for name, row in zip(result.files, pixels, strict=True):
        found = np.asarray(opened(tmp_path / name))
        assert (found == (row[..., 0] if channels == 1 else row)).all()


@pytest.mark.parametrize("file_format", ["png", "tiff"])
def test_sixteen_bit_grey_stays_sixteen_bit(tmp_path, file_format):
    """All 65,536 levels survive, also from a file that was read."""
    levels = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(levels).save(tmp_path / "in.png")
    ld.read_images(tmp_path / "in.png").write_images(tmp_path / "out", "image", file_format)
    (name,) = tree(tmp_path / "out")
    found = opened(tmp_path / "out" / name)
    assert found.mode == "I;16"
    assert (np.asarray(found) == levels).all()


@pytest.mark.parametrize(
    ("file_format", "suffix", "kind", "options"),
    [
        ("jpeg", "jpg", "JPEG", {"quality": 95}),
        ("jpg", "jpg", "JPEG", {}),
        ("JPG", "jpg", "JPEG", {"quality": 50, "progressive": True}),
        ("webp", "webp", "WEBP", {"lossless": True}),
        ("tif", "tiff", "TIFF", {"compression": "tiff_lzw"}),
        ("bmp", "bmp", "BMP", {}),
        ("png", "png", "PNG", {"compress_level": 1}),
    ],
)
def test_each_format_is_read_by_plain_pillow(tmp_path, file_format, suffix, kind, options):
    """Every format has its suffix and its content, and takes its own options."""
    pixels = noise(3, 8, 9, 3)
    result = ld.from_numpy({"image": pixels}).write_images(tmp_path, "image", file_format, **options)
    assert list(result.files) == [f"{n:06d}.{suffix}" for n in range(3)]
    for name, row in zip(result.files, pixels, strict=True):
        image = opened(tmp_path / name)
        assert (image.format, image.mode, image.size) == (kind, "RGB", (9, 8))
        if kind != "JPEG":
            assert (np.asarray(image) == row).all()


def test_jpg_is_jpeg(tmp_path):
    """The two names of the format write the same bytes, as Pillow would."""
    pixels = noise(1, 16, 16, 3)
    contents = []
    for number, name in enumerate(("jpg", "jpeg")):
        folder = tmp_path / str(number)
        ld.from_numpy({"image": pixels}).write_images(folder, "image", name, quality=80)
        contents.append((folder / "000000.jpg").read_bytes())
    expected = io.BytesIO()
    Image.fromarray(pixels[0]).save(expected, "JPEG", quality=80)
    assert contents == [expected.getvalue()] * 2


@pytest.mark.parametrize("file_format", ["gif", "exe", "", "png2"])
def test_unknown_formats_are_refused_when_the_query_is_built(tmp_path, file_format):
    """A format that cannot be written is refused and nothing is made."""
    with pytest.raises(ArgumentError, match="cannot be written"):
        ld.from_numpy({"image": noise(1, 2, 2, 3)}).write_images(tmp_path / "out", "image", file_format)
    assert everything(tmp_path) == []


def test_options_of_another_format_are_refused(tmp_path):
    """PNG has no quality."""
    with pytest.raises(ArgumentError, match="quality"):
        ld.from_numpy({"image": noise(1, 2, 2, 3)}).write_images(tmp_path / "out", "image", "png", quality=90)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("declared", [True, False])
def test_float_images_are_refused_with_the_reason(tmp_path, declared):
    """Floats have no agreed range: the message says how to scale them; the target stays as it was."""
    floats = np.random.default_rng(0).random((40, 4, 4, 3))
    query = ld.from_numpy({"image": floats})
    if not declared:
        query = query.map_batches(lambda batch: {"image": batch["image"] * 1.0})
    with pytest.raises((SchemaError, EncodeError), match=r"Scale floats to 0\.\.255"):
        query.write_images(tmp_path / "out", "image")
    assert everything(tmp_path) == []


def test_modes_that_a_format_cannot_hold_are_refused(tmp_path):
    """JPEG never drops an alpha channel silently."""
    with pytest.raises((SchemaError, EncodeError), match="JPEG cannot hold"):
        ld.from_numpy({"image": noise(2, 4, 4, 4)}).write_images(tmp_path / "out", "image", "jpeg")
    assert everything(tmp_path) == []


def test_a_row_that_fails_leaves_nothing(tmp_path):
    """An image in the midst that cannot be encoded leaves no file and no folder; an old target stays as it was."""
    rows = [{"image": noise(1, 4, 4, 3)[0]} for _ in range(50)] + [{"image": noise(1, 4, 4, 4)[0]}]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "000000.jpg").write_bytes(b"old")
    for workers in (0, 2):
        ld.config(workers=workers)
        for target in ("old", "new/deep"):
            with pytest.raises((SchemaError, EncodeError)):
                ld.from_items(rows).write_images(tmp_path / target, "image", "jpeg", mode="overwrite")
        assert everything(tmp_path) == ["old", "old/000000.jpg"]
        assert (tmp_path / "old" / "000000.jpg").read_bytes() == b"old"


def test_null_images_are_left_out(tmp_path, caplog):
    """Nulls have no file; the others keep the number of their row."""
    rows = [{"image": None if n == 1 else noise(1, 4, 4, 3)[0]} for n in range(3)]
    result = ld.from_items(rows).write_images(tmp_path, "image")
    assert list(result.files) == ["000000.png", "000002.png"] == tree(tmp_path)
    assert "1 null images" in caplog.text


def named(names, template=None):
    rows = [{"image": noise(1, 3, 3)[0], "name": name} for name in names]
    return ld.from_items(rows), template or "name"


def test_a_column_names_the_files(tmp_path):
    """Names lose the folder and suffix of the file they come from."""
    query, name = named(["a.jpg", "deep/b.jpeg", "/abs/c", "d e.PNG", "é", "x{y}"])
    query.write_images(tmp_path, "image", name=name)
    assert tree(tmp_path) == sorted(["a.png", "b.png", "c.png", "d e.png", "é.png", "x{y}.png"])


def test_only_the_suffix_of_an_image_is_taken_off_a_name(tmp_path):
    """A dot in a name is part of it."""
    query, name = named(["2024.01.05", "2024.01.06", "v1.5"])
    query.write_images(tmp_path, "image", name=name)
    assert tree(tmp_path) == ["2024.01.05.png", "2024.01.06.png", "v1.5.png"]


def test_numbers_name_files_whole(tmp_path):
    """Integers and floats are written as they are."""
    rows = [{"image": noise(1, 3, 3)[0], "n": n, "f": n / 4} for n in range(3)]
    ld.from_items(rows).write_images(tmp_path / "n", "image", name="n")
    ld.from_items(rows).write_images(tmp_path / "f", "image", name="f")
    assert tree(tmp_path / "n") == ["0.png", "1.png", "2.png"]
    assert tree(tmp_path / "f") == ["0.0.png", "0.25.png", "0.5.png"]


def test_a_template_names_folders_and_rows(tmp_path):
    """Columns and the number of the row fill a template."""
    query, _ = named(["cat", "dog", "cat"])
    query.write_images(tmp_path, "image", name="{name}/{row:06d}")
    assert tree(tmp_path) == ["cat/000000.png", "cat/000002.png", "dog/000001.png"]
    query.write_images(tmp_path / "flat", "image", name="x-{row}-{name:>5}")
    assert tree(tmp_path / "flat") == ["x-0-  cat.png", "x-1-  dog.png", "x-2-  cat.png"]


@pytest.mark.parametrize("names", [["a", "b", "a"], ["A", "a"], ["x.jpg", "x.png"], ["\u00e9", "e\u0301"]])
def test_collisions_are_errors(tmp_path, names):
    """Two rows of one name, also by case or composition alone, move nothing."""
    query, name = named(names)
    with pytest.raises(ExecutionError, match="two rows would be written"):
        query.write_images(tmp_path / "out", "image", name=name)
    assert everything(tmp_path) == []


BAD = ["", ".", "..", "../x", "/etc/x", "a/../../x", "a\0b", "a\\b", "..\\x", ".hidden", "x" * 5000, "a/b", "./a"]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_values_cannot_lead_out_of_the_target(tmp_path, bad):
    """A value in a template is one visible part of a path, or refused."""
    query, _ = named(["good", bad])
    with pytest.raises(EncodeError):
        query.write_images(tmp_path / "out", "image", name="sub/{name}")
    assert everything(tmp_path) == []


@pytest.mark.parametrize("bad", ["", ".", "..", "a\0b", "a\\b", ".hidden", "x" * 5000, "a/..", "a/"], ids=repr)
def test_columns_cannot_lead_out_of_the_target(tmp_path, bad):
    """A whole name that is no plain file name is refused."""
    query, name = named(["good", bad])
    with pytest.raises(EncodeError):
        query.write_images(tmp_path / "out", "image", name=name)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("template", ["name", "{name}", "{name:>4}"])
def test_a_null_is_no_name(tmp_path, template):
    """A row whose name is null is an error, not a file called None."""
    query, _ = named(["good", None])
    with pytest.raises(EncodeError, match="null"):
        query.write_images(tmp_path / "out", "image", name=template)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("template", ["../{row}", "/x/{row}", "a/../{row}", ".{row}", "a\\{row}"])
def test_templates_cannot_lead_out_of_the_target(tmp_path, template):
    """A template itself is held to the same rule."""
    query, _ = named(["a"])
    with pytest.raises((EncodeError, ArgumentError)):
        query.write_images(tmp_path / "out", "image", name=template)
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    "template", ["{", "{}", "{0}", "{a.b}", "{a[0]}", "{row:/>9}", "{row:.>4}", "{row:q}", "{row:06d"]
)
def test_templates_that_make_no_sense_are_refused_when_the_query_is_built(tmp_path, template):
    """Braces, fields and formats of the row are checked before anything runs."""
    query, _ = named(["a"])
    with pytest.raises(ArgumentError, match="name="):
        query.write_images(tmp_path / "out", "image", name=template)
    assert everything(tmp_path) == []


def test_a_missing_name_column_is_told(tmp_path):
    """A template's columns must exist."""
    query, _ = named(["a"])
    for name in ("nme", "{nme}"):
        with pytest.raises(ld.ColumnNotFoundError, match="nme"):
            query.write_images(tmp_path / "out", "image", name=name)
    assert everything(tmp_path) == []


def test_files_of_others_are_kept(tmp_path):
    """mode="error" refuses to replace; mode="overwrite" replaces only files of the same name."""
    query, _ = named(["a", "b"])
    (tmp_path / "b.png").write_bytes(b"theirs")
    with pytest.raises(OutputExistsError, match=r"b\.png"):
        query.write_images(tmp_path, "image", name="name")
    assert everything(tmp_path) == ["b.png"]
    (tmp_path / "c.png").write_bytes(b"other")
    query.write_images(tmp_path, "image", name="name", mode="overwrite")
    assert everything(tmp_path) == ["a.png", "b.png", "c.png"]
    assert (tmp_path / "c.png").read_bytes() == b"other"
    assert opened(tmp_path / "b.png").size == (3, 3)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", [None, "n", "{n}/{row:03d}"])
def test_rows_and_errors_are_all_rows(tmp_path, workers, name):
    """With on_error="skip" each row is a file or in ``errors`` with its number: broken, unfit or null."""
    ld.config(workers=workers)
    good = io.BytesIO()
    Image.fromarray(noise(1, 6, 6, 3)[0]).save(good, "PNG")
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(100):
        broken = good.getvalue()[:-40] if n % 10 == 4 else good.getvalue()
        (folder / f"{n:03d}.png").write_bytes(broken)
    data = ld.read_images(folder, include_paths=True).with_columns(ld.col("path").str.slice(-7, 3).cast(int).alias("n"))
    data = data.with_columns(ld.when(ld.col("n") % 10 == 7).then(None).otherwise("image").alias("image"))
    with pytest.raises(ld.DecodeError):
        data.write_images(tmp_path / "out", "image", "png", name=name)
    assert not (tmp_path / "out").exists()
    result = data.write_images(tmp_path / "out", "image", "png", name=name, on_error="skip")
    failed = [n for n in range(100) if n % 10 in (4, 7)]
    assert [error.row for error in result.failures] == failed
    assert {type(error) for error in result.failures} == {ld.DecodeError, EncodeError}
    assert result.rows == len(result.files) == len(tree(tmp_path / "out")) == 80
    numbers = [int(re.findall(r"\d+", one)[-1]) for one in result.files]
    assert numbers == [n for n in range(100) if n not in failed]


def test_skipped_rows_are_logged_once(tmp_path, caplog):
    """How many rows were left out is one warning."""
    data = ld.from_items([{"image": noise(1, 4, 4, 4)[0], "n": n} for n in range(5)])
    with pytest.raises(ArgumentError, match="on_error"):
        data.write_images(tmp_path, "image", on_error="null")
    folder = tmp_path / "out"
    mixed = ld.from_items([{"image": Image.fromarray(noise(1, 4, 4, 3 + n % 2)[0])} for n in range(5)])
    assert len(mixed.write_images(folder, "image", "jpeg", on_error="skip").errors) == 2
    assert caplog.text.count("2 rows failed") == 1


def test_errors_of_the_writer_and_of_steps_before_are_all_told(tmp_path):
    """A row that a step let go and one that cannot be written are two records, though both have one number."""

    def function(row):
        if row["n"] == 3:
            raise ValueError("not this one")
        return row

    rows = [{"n": n, "image": np.zeros((2, 2), np.uint8), "name": "" if n == 4 else f"{n}"} for n in range(6)]
    data = ld.from_items(rows).map(function, on_error="skip")
    result = data.write_images(tmp_path / "out", "image", name="name", on_error="skip")
    assert result.errors.select("row", "stage").rows() == [(3, "map(function)"), (3, "write images[image as png]")]
    assert result.rows == 4
