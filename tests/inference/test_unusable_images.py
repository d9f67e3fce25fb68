"""Images that a model cannot be given: what becomes of their rows, and that no other row notices."""

import io

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from tiny_models import FLOAT, classifier, images, save

import lightdata as ld
from lightdata.errors import ArgumentError, DecodeError

ROWS = 21
BROKEN, SMALL = {0, 9}, {4, 20}
BAD = BROKEN | SMALL


@pytest.fixture(autouse=True, params=[0, 2])
def workers(request):
    before = ld.config()
    ld.config(workers=request.param)
    yield request.param
    ld.config(workers=before.workers, on_error=before.on_error)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold images of 8x8, of which some are cut short and some have another size."""
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(images(ROWS)):
        content = png(pixels[:5] if number in SMALL else pixels)
        (folder / f"{number:02d}.png").write_bytes(content[:60] if number in BROKEN else content)
    return folder


@pytest.fixture
def model(tmp_path):
    return ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={})


def usable():
    return [number for number in range(ROWS) if number not in BAD]


def expected(model):
    pixels = images(ROWS)[usable()]
    return ld.from_numpy({"image": pixels}).infer(model).take_batch(ROWS)["scores"]


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_rows_that_cannot_be_given_are_left_out(folder, tmp_path, batch_size):
    """The others get what they get alone, the model sees none of the bad, and each of these is one record."""
    model = ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={}, batch_size=batch_size)
    query = ld.read_images(folder, include_paths=True).infer(model, on_error="skip")
    rows = query.take_all()
    assert [int(row["path"][-6:-4]) for row in rows] == usable()
    np.testing.assert_allclose([row["scores"] for row in rows], expected(model), rtol=1e-5)
    errors = query.errors()
    assert errors["row"].to_list() == sorted(BAD)
    assert [int(uri[-6:-4]) for uri in errors["uri"]] == sorted(BAD)
    assert set(errors["stage"]) == {"infer(image)"}
    assert set(errors["code"]) == {"decode_failed"}
    assert query.stats().model_rows == len(usable())


def test_rows_that_cannot_be_given_are_null(folder, model):
    """Each keeps its place, with nulls in what the model adds."""
    query = ld.read_images(folder).infer(model, on_error="null")
    scores = query.select("scores").to_arrow()["scores"].combine_chunks()
    assert scores.is_null().to_pylist() == [number in BAD for number in range(ROWS)]
    found = [row for row in scores.to_pylist() if row is not None]
    np.testing.assert_allclose(found, expected(model), rtol=1e-5)


def test_all_rows_of_a_task_may_be_unusable(tmp_path, folder, model):
    """A batch without a row for the model gives nulls, or nothing."""
    paths = [str(folder / f"{number:02d}.png") for number in sorted(BAD)]
    assert ld.read_images(paths).infer(model, on_error="skip").count() == 0
    ranked = ld.read_images(paths).classify(model.file.path, preprocess={}, on_error="null").select("label", "score")
    assert ranked.take_all() == [{"label": None, "score": None}] * len(BAD)


def test_classify_and_embed_pass_it_on(folder, model):
    """Both leave the same rows out."""
    photos = ld.read_images(folder)
    assert len(photos.classify(model.file.path, preprocess={}, on_error="skip").take_all()) == len(usable())
    vectors = photos.embed(model.file.path, preprocess={}, on_error="skip")
    assert len(vectors.take_all()) == len(usable())


def test_it_is_as_configured_where_the_step_does_not_say(folder, model):
    """The configuration counts, and a word of the step's own wins."""
    ld.config(on_error="skip")
    photos = ld.read_images(folder, on_error="raise")
    assert photos.infer(model).select("scores").count() == len(usable())
    with pytest.raises(DecodeError, match=r"00\.png"):
        photos.infer(model, on_error="raise").take_all()
    with pytest.raises(ArgumentError, match="on_error"):
        photos.infer(model, on_error="ignore")


def test_rows_before_one_that_ends_the_run_are_given(model):
    """A limit that the rows before it satisfy never meets the error, whichever is found out first."""
    pixels = [png(one) for one in images(6)]
    pixels[3] = pixels[3][:60]  # its header is whole
    pixels[5] = b"no image"
    data = ld.from_items([{"image": one} for one in pixels])
    assert len(data.infer(model, on_error="raise").take(3)) == 3
    with pytest.raises(DecodeError, match="row 3"):
        data.infer(model, on_error="raise").take_all()


def test_a_row_whose_images_are_both_unusable_is_one_record(tmp_path):
    """Of a model of two images, a row fails once, whichever of them is bad."""
    shape = ["N", 3, 8, 8]
    path = save(
        tmp_path / "two.onnx",
        [
            helper.make_node("Add", ["a", "b"], ["s"]),
            helper.make_node("ReduceMean", ["s"], ["m"], axes=[2, 3], keepdims=0),
        ],
        [("a", FLOAT, shape), ("b", FLOAT, shape)],
        [("m", FLOAT, ["N", 3])],
    )
    left, right = ([png(one) for one in images(5, seed=seed)] for seed in (1, 2))
    left[1], right[1], right[3] = b"no", b"no", b"no"
    data = ld.from_items([{"id": n, "l": a, "r": b} for n, (a, b) in enumerate(zip(left, right, strict=True))])
    query = data.infer(ld.Model.of(path, preprocess={}), {"a": "l", "b": "r"}, on_error="skip")
    assert [row["id"] for row in query.take_all()] == [0, 2, 4]
    assert query.errors().select("row", "stage").rows() == [(1, "infer(l)"), (3, "infer(r)")]
