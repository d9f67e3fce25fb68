"""Detection: boxes come back to the pixels they were drawn on, whatever a model calls its outputs."""

import io

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_detectors import FORMS, LABELS, detector

import lightdata as ld

LEVELS = (255, 204, 153)
"""What is drawn in each channel: scores of 1, 0.8 and 0.6."""

SIDES = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(autouse=True)
def inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def drawn(height, width, boxes):
    """Draw a box of each colour; overlaps mix."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for channel, (xmin, ymin, xmax, ymax) in boxes.items():
        pixels[ymin:ymax, xmin:xmax, channel] = LEVELS[channel]
    return pixels


def boxes_of(found):
    return {LABELS.index(one["label"]): tuple(one[side] for side in SIDES) for one in found}


def check(found, boxes, tolerance):
    assert [one["label"] for one in found] == [LABELS[channel] for channel in sorted(boxes)]
    np.testing.assert_allclose([one["score"] for one in found], [LEVELS[c] / 255 for c in sorted(boxes)], atol=0.01)
    for channel, box in boxes_of(found).items():
        assert (np.abs(np.subtract(box, boxes[channel])) <= tolerance).all(), (box, boxes[channel])


IMAGES = [
    ((64, 64), {0: (10, 20, 30, 40), 1: (12, 21, 33, 38), 2: (40, 3, 60, 60)}),
    ((90, 120), {0: (0, 0, 40, 30), 1: (60, 40, 120, 90)}),
    ((200, 75), {2: (10, 100, 60, 190), 0: (20, 0, 75, 30)}),
    ((64, 64), {}),
    ((30, 40), {1: (5, 5, 35, 25)}),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_convention_gives_the_boxes_that_were_drawn(tmp_path, form):
    """Labels, scores and corners are those of the drawing, the best first, and an image without objects has none."""
    path = detector(tmp_path / "m.onnx", form)
    rows = [{"n": n, "image": drawn(*size, boxes)} for n, (size, boxes) in enumerate(IMAGES)]
    query = ld.from_items(rows).detect(path, batch_size=3, **FORMS[form][2])
    assert query.columns == ["n", "image", "detections"]
    found = query.select("detections").take_all()
    for row, (size, boxes) in zip(found, IMAGES, strict=True):
        check(row["detections"], boxes, max(1, max(size) / 64))
    assert found[3]["detections"] == []


@pytest.mark.parametrize("form", ["YOLO", "DETR", "with a count that has an axis"])
def test_a_model_of_one_image_a_call_gives_the_same(tmp_path, form):
    """Exports whose graph fixes the rows, as most of YOLO's do, find what others find."""
    data = ld.from_items([{"image": drawn(*size, boxes)} for size, boxes in IMAGES])
    said = FORMS[form][2]
    one, many = (data.detect(detector(tmp_path / f"{n}.onnx", form, rows=n), **said) for n in (1, "N"))
    assert one.select("detections").take_all() == many.select("detections").take_all()


@pytest.mark.parametrize("form", FORMS)
def test_without_names_labels_are_numbers(tmp_path, form):
    """Where nobody names the classes, ``label`` is their number; what then is not certain is asked for."""
    path = detector(tmp_path / "m.onnx", form, labels=False)
    data = ld.from_items([{"image": drawn(*IMAGES[0][0], IMAGES[0][1])}])
    said = {"preprocess": {}, **FORMS[form][2]}
    if form in ("YOLO, boxes first", "YOLO with objectness"):
        with pytest.raises(
            ld.ModelError, match=r"cannot tell whether the first of the scores in output0.*pass labels="
        ):
            data.detect(path, **said)
        return
    if form in ("DETR", "RT-DETR"):
        with pytest.raises(ld.ModelError, match=r"logits.*postprocess='softmax'.*postprocess='sigmoid'"):
            data.detect(path, **said)
        said["postprocess"] = "softmax" if form == "DETR" else "sigmoid"
    query = data.detect(path, **said)
    assert query.schema()["detections"].value_type.field("label").type == pa.int64()
    assert [one["label"] for one in query.take_all()[0]["detections"]] == [0, 1, 2]


sides = st.integers(8, 400)
"""Of images, in pixels: some are made smaller, some larger, and most have another aspect ratio than the model."""


@st.composite
def drawings(draw):
    height, width = draw(sides), draw(sides)
    least = max(3, -(-3 * max(height, width) // 64))  # three pixels of the model's input, so that nothing is lost
    boxes = {}
    for channel in draw(st.sets(st.integers(0, 2))):
        across, down = (draw(st.integers(min(least, side), side)) for side in (width, height))
        left, top = draw(st.integers(0, width - across)), draw(st.integers(0, height - down))
        if min(across, down) >= least:
            boxes[channel] = (left, top, left + across, top + down)
    return (height, width), boxes


@pytest.fixture(scope="module")
def rows_model(tmp_path_factory):
    return detector(tmp_path_factory.mktemp("detector") / "m.onnx", "rows", height=64, width=96)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawing=drawings(), fit=st.sampled_from(["letterbox", "stretch"]))
def test_boxes_come_back_to_where_they_were_drawn(rows_model, drawing, fit):
    """On images of any size and shape each side is found within a pixel of the image or of what the model saw."""
    (height, width), boxes = drawing
    found = ld.from_items([{"image": drawn(height, width, boxes)}]).detect(rows_model, fit=fit).take_all()
    seen = (height / 64, width / 96) if fit == "stretch" else [max(height / 64, width / 96)] * 2
    check(found[0]["detections"], boxes, np.maximum(1, [seen[1], seen[0]] * 2) * 1.01)


def encoded(pixels, form="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


@pytest.fixture
def photos(tmp_path):
    """Hold files of several formats and sizes: a large JPEG, one that lies on its side, and one that is cut short."""
    folder = tmp_path / "photos"
    folder.mkdir()
    files = []
    for number, (size, boxes) in enumerate(IMAGES * 4):
        content = encoded(drawn(*size, boxes))
        (folder / f"{number:02d}.png").write_bytes(content[:80] if number == 7 else content)
        files.append((number, size, None if number == 7 else boxes))
    large = {0: (300, 200, 900, 800), 1: (1000, 100, 1500, 1100)}
    (folder / "20.jpg").write_bytes(encoded(drawn(1200, 1600, large), "JPEG", quality=95))
    held = Image.Exif()
    held[0x0112] = 6  # the left side is the top
    (folder / "21.jpg").write_bytes(encoded(np.rot90(drawn(1200, 1600, large)), "JPEG", quality=95, exif=held))
    return folder, [*files, (20, (1200, 1600), large), (21, (1200, 1600), large)]


@pytest.mark.parametrize("workers", [0, 2])
def test_files_of_all_sizes_go_through_workers(photos, tmp_path, workers):
    """In workers or not, each row has its own image's boxes, upright; a broken file has null, and is told of once."""
    folder, files = photos
    ld.config(workers=workers)
    model = detector(tmp_path / "m.onnx", "YOLO")
    query = ld.read_images(folder, on_error="raise").detect(model, on_error="null", batch_size=4).select("detections")
    rows = query.take_all()
    assert len(rows) == len(files)
    for row, (_, size, boxes) in zip(rows, files, strict=True):
        if boxes is None:
            assert row["detections"] is None
        else:
            check(row["detections"], boxes, max(1, max(size) / 64) * 1.05)
    assert query.errors().select("row", "stage", "code").rows() == [(7, "detect(image)", "decode_failed")]
    assert query.stats().images_decoded == len(files) - 1


def test_rows_can_be_left_out_or_end_the_run(photos, tmp_path):
    """``on_error`` is as for every other step."""
    folder, files = photos
    model = detector(tmp_path / "m.onnx", "rows")
    lenient = ld.read_images(folder, include_paths=True, on_error="raise")
    assert lenient.detect(model, on_error="skip").count() == len(files) - 1
    with pytest.raises(ld.DecodeError, match=r"07\.png.*detect\(image\)"):
        lenient.detect(model, on_error="raise").select("detections").take_all()


def test_the_images_stay_as_they_are(photos, tmp_path):
    """No column but the result is added, and files keep their own bytes."""
    folder, _ = photos
    query = ld.read_images(folder, on_error="raise").detect(detector(tmp_path / "m.onnx", "rows"), on_error="null")
    assert query.columns == ["image", "detections"]
    kept = query.to_arrow()["image"].combine_chunks().storage.field("payload").to_pylist()
    assert kept == [path.read_bytes() for path in sorted(folder.iterdir())]


def test_null_images_have_null(tmp_path):
    """A null row stays null, whatever its neighbours are; a batch of nulls alone is no obstacle."""
    model = detector(tmp_path / "m.onnx", "rows")
    size, boxes = IMAGES[1]
    rows = [{"image": None if n % 3 else drawn(*size, boxes)} for n in range(10)]
    found = ld.from_items(rows).detect(model, batch_size=2).take_all()
    assert [row["detections"] is None for row in found] == [bool(n % 3) for n in range(10)]
    check(found[3]["detections"], boxes, 2)
    (none,) = ld.from_items([{"image": None}]).detect(model).take_all()
    assert none["detections"] is None
    nothing = ld.from_items(rows).filter(pl.lit(value=False)).detect(model)
    assert nothing.collect().schema["detections"] == ld.from_items(rows).detect(model).collect().schema["detections"]


def test_images_of_the_models_size_need_no_fit(tmp_path):
    """Boxes are as the model gives them; with ``fit=None`` images of another size are refused as by ``infer``."""
    model = detector(tmp_path / "m.onnx", "rows")
    size, boxes = IMAGES[0]
    pixels = np.stack([drawn(*size, boxes)] * 3)
    for fit in (None, "letterbox", "stretch"):
        for row in ld.from_numpy({"image": pixels}).detect(model, fit=fit).take_all():
            assert boxes_of(row["detections"]) == boxes
    with pytest.raises(ld.ModelError, match=r"detect: column 'image' is .*90, 120.*takes images of 64x64"):
        ld.from_numpy({"image": np.zeros((1, 90, 120, 3), np.uint8)}).detect(model, fit=None)
    with pytest.raises(ld.DecodeError, match="90x120 and the model takes 64x64"):
        ld.from_items([{"image": drawn(90, 120, {})}]).detect(model, fit=None).take_all()


def test_a_model_of_any_size_needs_one_to_fit_to(tmp_path):
    """It is given, or told by metadata or the processor; else it is asked for. Without a fit each image has its own."""
    model = detector(tmp_path / "m.onnx", "rows", height=None, width=None)
    size, boxes = (90, 120), IMAGES[1][1]
    data = ld.from_items([{"image": drawn(*size, boxes)}, {"image": drawn(64, 64, {0: (1, 2, 30, 40)})}])
    with pytest.raises(ld.ModelError, match=r"any size: pass size=\(height, width\).*or fit=None"):
        data.detect(model)
    check(data.detect(model, size=(64, 96)).take_all()[0]["detections"], boxes, 2)
    as_they_are = data.detect(model, fit=None).take_all()
    assert [boxes_of(row["detections"]) for row in as_they_are] == [boxes, {0: (1, 2, 30, 40)}]
    assert "letterboxed to 32x48" in data.detect(
        detector(tmp_path / "i.onnx", "rows", height=None, width=None, metadata={"imgsz": "[32, 48]"})
    ).explain(optimized=False)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 48, "width": 64}, "do_rescale": true}')
    assert "letterboxed to 48x64" in data.detect(model).explain(optimized=False)


def test_the_plan_says_what_is_done(tmp_path):
    """``explain`` names the verb, the model, the fit and the column."""
    model = detector(tmp_path / "m.onnx", "rows")
    data = ld.from_items([{"image": drawn(9, 9, {})}])
    line = data.detect(model, device="cpu", on_error="null").explain(optimized=False).splitlines()[0]
    assert line.startswith("detect m.onnx(image letterboxed to 64x64) -> detections on cpu, null on error")
    stretched = data.detect(model, fit="stretch", name="found").explain(optimized=False)
    assert stretched.startswith("detect m.onnx(image stretched to 64x64) -> found on auto")
    with pytest.raises(
        ld.ModelError, match="detect would replace column 'image'; name its result with name='other_name'"
    ):
        data.detect(model, name="image")
    with pytest.raises(ld.ColumnNotFoundError, match="column 'picture' not found in detect"):
        data.detect(model, "picture")
    with pytest.raises(ld.SchemaError, match="detect: column 'n' is int64, not images"):
        ld.range(3).rename({"id": "n"}).detect(model, "n")


def test_thresholds_choose(tmp_path):
    """Scores below the threshold go, overlapping boxes stay with ``iou_threshold=None``, and only the best are kept."""
    model = detector(tmp_path / "m.onnx", "YOLO")
    data = ld.from_items([{"image": drawn(*IMAGES[0][0], IMAGES[0][1])}])

    def labels(**options):
        return [one["label"] for one in data.detect(model, **options).take_all()[0]["detections"]]

    assert labels() == ["red", "green", "blue"]
    assert labels(score_threshold=0.7) == ["red", "green"]
    assert labels(score_threshold=1) == ["red"]
    assert labels(max_detections=2) == ["red", "green"]
    assert labels(iou_threshold=None, max_detections=1000) == [name for name in LABELS for _ in range(28)]
    assert len(labels(iou_threshold=0.99, max_detections=1000)) > 3


def test_results_are_columns_like_any(tmp_path):
    """Lists can be exploded, fields counted, and files written and read."""
    model = detector(tmp_path / "m.onnx", "rows")
    rows = [{"n": n, "image": drawn(*size, boxes)} for n, (size, boxes) in enumerate(IMAGES)]
    query = ld.from_items(rows).detect(model)
    label = ld.col("detections").struct.field("label")
    counts = query.explode("detections").filter(ld.col("detections").is_not_null()).group_by(label).len()
    assert dict(counts.collect().rows()) == {"red": 3, "green": 3, "blue": 2}
    query.select("n", "detections").write_parquet(tmp_path / "out")
    again = ld.read_parquet(tmp_path / "out").take_all()
    assert again == query.select("n", "detections").take_all()


WRONG = [
    ({"score_threshold": 1.5}, "score_threshold must be from 0 to 1"),
    ({"score_threshold": None}, "score_threshold"),
    ({"score_threshold": True}, "score_threshold"),
    ({"score_threshold": float("nan")}, "score_threshold"),
    ({"iou_threshold": -0.1}, "iou_threshold must be from 0 to 1 or 'auto', or None"),
    ({"iou_threshold": "high"}, "iou_threshold"),
    ({"max_detections": 0}, "max_detections"),
    ({"max_detections": 2.5}, "max_detections"),
    ({"fit": "crop"}, "fit must be 'letterbox', 'stretch' or None"),
    ({"fit": None, "size": (64, 64)}, "size= has no meaning with fit=None"),
    ({"fit": "stretch", "fill": 0}, "fill= has no meaning with fit='stretch'"),
    ({"fill": 256}, "fill must be a grey level"),
    ({"size": 64}, r"size must be \(height, width\)"),
    ({"size": (0, 64)}, "size must be"),
    ({"name": ""}, "name must be"),
    ({"box_format": "ltrb"}, "box_format must be one of 'xyxy'"),
    ({"normalized": "yes"}, "normalized must be True or False"),
    ({"postprocess": "l2"}, "postprocess must be one of 'softmax', 'sigmoid'"),
    ({"top_k": 3}, "detect has no argument 'top_k'"),
    ({"score": 0.5}, "detect has no argument 'score'; did you mean scores"),
    ({"device": "tpu"}, "device"),
    ({"batch_size": 0}, "batch_size"),
    ({"on_error": "ignore"}, "on_error"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_arguments_that_cannot_work_are_refused_when_the_query_is_built(tmp_path, options, words):
    """Each is named, with what it may be."""
    model = detector(tmp_path / "m.onnx", "rows")
    with pytest.raises(ld.ArgumentError, match=words):
        ld.from_items([{"image": drawn(8, 8, {})}]).detect(model, **options)


def test_models_that_cannot_be_used_are_refused_when_the_query_is_built(tmp_path):
    """Unknown outputs, a wrong size, labels of another number, and what nobody says of boxes."""
    data = ld.from_items([{"image": drawn(8, 8, {})}])
    apart = detector(tmp_path / "a.onnx", "apart")
    with pytest.raises(
        ld.ModelError, match=r"pass normalized=False or normalized=True; they are read from boxes: float32"
    ):
        data.detect(apart)
    with pytest.raises(ld.ModelError, match="no output 'nope' of numbers; it has boxes"):
        data.detect(apart, boxes="nope", normalized=False)
    with pytest.raises(ld.ModelError, match="takes no images of 32x64"):
        data.detect(apart, size=(32, 64), normalized=False)
    with pytest.raises(ld.ModelError, match="there are 2 labels"):
        data.detect(detector(tmp_path / "y.onnx", "YOLO"), labels=["a", "b"])
    with pytest.raises(ld.ModelError, match="there is no model"):
        data.detect(tmp_path / "none.onnx")
    with pytest.raises(ld.ArgumentError, match="pass the path, folder or bytes"):
        data.detect(ld.Model.of(apart, preprocess={}))
    classifier = "examples/shapes.onnx"
    with pytest.raises(ld.ModelError, match=r"must be an output of boxes.*logits"):
        data.detect(classifier)


def test_a_class_without_a_name_is_an_error_of_the_model(tmp_path):
    """Where the number of classes is not in the graph, a class beyond the names ends the run and says so."""
    model = detector(tmp_path / "m.onnx", "rows")
    query = ld.from_items([{"image": drawn(*IMAGES[0][0], IMAGES[0][1])}]).detect(model, labels=["only"])
    with pytest.raises(ld.ModelError, match="there are 1 labels, and the model gives a class 1"):
        query.take_all()


def test_values_from_0_to_1_are_usual_and_said(tmp_path):
    """A detector that says nothing gets values from 0 to 1, with a warning at the caller's line."""
    data = ld.from_items([{"image": drawn(*IMAGES[0][0], IMAGES[0][1])}])
    with pytest.warns(UserWarning, match="using values from 0 to 1") as caught:
        query = data.detect(detector(tmp_path / "m.onnx", "rows", labels=False), labels=LABELS)
    assert caught[0].filename == __file__
    check(query.take_all()[0]["detections"], IMAGES[0][1], 1)
