"""Images and tensors that tables hold as such are what their types say, or are errors."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from row_files import ipc

import lightdata as ld
from lightdata.kernels.header import read_header
from lightdata.types.image import RAW, EncodedImage, ImageType, dynamic_images
from lightdata.types.image_spec import ImageSpec
from lightdata.types.tensor import STORAGE, TensorType

PIXELS = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
READERS = {"parquet": ld.read_parquet, "arrow": ld.read_arrow}


def encoded(file_format):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, file_format)
    return read_header(stream.getvalue())


PNG, JPEG, RAW_IMAGE = encoded("PNG"), encoded("JPEG"), EncodedImage(PIXELS.tobytes(), RAW, "RGB", 5, 4)


def saved(folder, ending, column):
    """Write a table of a good column and one more, and give the reader of it."""
    table = pa.table({"n": range(len(column)), "x": column})
    if ending == "parquet":
        pq.write_table(table, folder / "a.parquet")
    else:
        (folder / "a.arrow").write_bytes(ipc(table))
    return lambda **options: READERS[ending](folder, **options)


@pytest.fixture(autouse=True, params=[0, 2])
def workers(request):
    """Run each test here, and with two workers."""
    before = ld.config().workers
    ld.config(workers=request.param)
    yield
    ld.config(workers=before)


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("broken", [PNG, JPEG], ids=["png", "jpeg"])
def test_an_image_that_cannot_be_decoded_is_one_row(tmp_path, ending, broken):
    """Where rows may fail, the image of a row that a table holds broken is null, or its row is left out, and named."""
    images = [PNG, broken._replace(payload=broken.payload[:45]), None, JPEG, RAW_IMAGE]
    read = saved(tmp_path, ending, dynamic_images(images))
    with pytest.raises(ld.DecodeError, match=rf"a\.{ending}.*decode\(x\)"):
        read(on_error="raise").take_all()
    nulls, skipped = read(on_error="null"), read(on_error="skip")
    assert [row["x"] is None for row in nulls.take_all()] == [False, True, True, False, False]
    assert [row["n"] for row in skipped.take_all()] == [0, 2, 3, 4]
    assert skipped.collect()["x"].null_count() == 1
    for query in (nulls, skipped):
        assert query.errors().select("row", "stage", "code").rows() == [(1, "decode(x)", "decode_failed")]
        assert query.errors()["uri"][0].endswith(f"a.{ending}")


@pytest.mark.parametrize("ending", READERS)
def test_sound_images_keep_their_bytes(tmp_path, ending):
    """Where rows may fail images are decoded to know, and handed on as they were."""
    read = saved(tmp_path, ending, dynamic_images([PNG, JPEG, RAW_IMAGE]))
    assert read(on_error="skip").collect()["x"].to_arrow().equals(read(on_error="raise").collect()["x"].to_arrow())


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("image", [PNG, JPEG], ids=["png", "jpeg"])
def test_a_size_that_is_not_that_of_the_file_is_an_error(tmp_path, ending, image):
    """Where a table says that an image has other pixels than its file, no pixel of it is made up."""
    read = saved(tmp_path, ending, dynamic_images([image, image._replace(height=50), image._replace(width=2)]))
    rows = read(on_error="null").take_all()
    assert [row["x"] is None for row in rows] == [False, True, True]
    with pytest.raises(ld.DecodeError, match="the file has others"):
        read(on_error="raise").take_all()


def tensor_column(payload, shape):
    values = [{"payload": payload, "shape": shape}, None]
    return pa.ExtensionArray.from_storage(TensorType("float32"), pa.array(values, STORAGE))


def fixed_column(payload):
    kind = ImageType(ImageSpec("RGB", 5, 4))
    return pa.ExtensionArray.from_storage(kind, pa.array([payload, None], pa.large_binary()))


UNTRUE = {
    "a tensor of too many values": tensor_column(bytes(8), [3]),
    "a tensor of too few values": tensor_column(bytes(8), []),
    "a tensor of negative sides": tensor_column(bytes(8), [-1, -2]),
    "a tensor of enormous sides": tensor_column(bytes(8), [2**31 - 1] * 40),
    "a tensor without a side": tensor_column(bytes(8), [2, None]),
    "a tensor without a shape": tensor_column(bytes(8), None),
    "a tensor without values": tensor_column(None, [2]),
    "pixels of another size": dynamic_images([RAW_IMAGE._replace(width=5)]),
    "pixels of negative size": dynamic_images([RAW_IMAGE._replace(height=-5, width=-4)]),
    "pixels of no mode": dynamic_images([RAW_IMAGE._replace(mode="CMYK")]),
    "a file of too many pixels": dynamic_images([PNG._replace(height=2**31 - 1, width=2**31 - 1)]),
    "a file of no mode": dynamic_images([PNG._replace(mode="?")]),
    "a file without a size": dynamic_images([PNG._replace(height=None)]),
    "fixed pixels of another size": fixed_column(bytes(59)),
}


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("column", UNTRUE.values(), ids=UNTRUE)
def test_values_that_are_not_what_their_type_says_are_refused(tmp_path, ending, column):
    """They are an error with the names of file and column before anybody looks at them."""
    read = saved(tmp_path, ending, column)
    with pytest.raises(ld.DecodeError, match=rf"a\.{ending}.*column 'x': row 0 has"):
        read(on_error="raise").take_all()
    query = read(on_error="skip")
    assert query.take_all() == []
    assert query.errors()["code"].to_list() == ["decode_failed"]


@pytest.mark.parametrize("ending", READERS)
def test_tensors_of_truth_values_of_one_shape_are_refused(tmp_path, ending):
    """NumPy has no view of them, which is told when the file is opened."""
    kind = pa.fixed_shape_tensor(pa.bool_(), [2])
    column = pa.ExtensionArray.from_storage(kind, pa.array([[True, False]], pa.list_(pa.bool_(), 2)))
    with pytest.raises(ld.SchemaError, match=rf"a\.{ending} has a column that cannot be held.*integers or floats"):
        saved(tmp_path, ending, column)()


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize(
    ("column", "shape"),
    [
        (tensor_column(bytes(8), [2]), (2,)),
        (tensor_column(bytes(4), []), ()),
        (tensor_column(b"", [0, 7]), (0, 7)),
        (fixed_column(PIXELS.tobytes()), (5, 4, 3)),
        (pa.array([tensor_column(bytes(8), [2])[0].as_py()] * 2), None),
    ],
    ids=["a vector", "a number", "no values", "fixed pixels", "not a tensor"],
)
def test_values_that_are_what_their_type_says_are_read(tmp_path, ending, column, shape):
    """Empty tensors, numbers without an axis and null rows are no errors."""
    first, second = saved(tmp_path, ending, column)(on_error="raise").take_all()
    assert shape is None or (first["x"].shape == shape and second["x"] is None)
