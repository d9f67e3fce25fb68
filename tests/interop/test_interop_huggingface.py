"""Datasets of Hugging Face, where ``datasets`` is installed: environments.py runs this with it."""

import io

import numpy as np
import pyarrow as pa
import pytest
import rows
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError

datasets = pytest.importorskip("datasets")
COUNT = 5


@pytest.fixture
def theirs():
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(rows.LABELS)),
            "text": datasets.Value("string"),
            "matrix": datasets.Array2D((3, 4), "float32"),
            "wide": datasets.Array2D((None, 2), "int64"),
            "boxes": datasets.List(datasets.List(datasets.Value("float32"), length=2)),
        }
    )
    columns = {
        "image": [{"bytes": rows.png(n), "path": None} for n in range(COUNT - 1)] + [None],
        "label": [n % 3 for n in range(COUNT)],
        "text": rows.TEXTS,
        "matrix": list(rows.MATRICES),
        "wide": [array.T.tolist() for array in rows.RAGGED],
        "boxes": rows.BOXES,
    }
    return datasets.Dataset.from_dict(columns, features=features)


def check_rows(found, numbers):
    assert [row["text"] for row in found] == [rows.TEXTS[n] for n in numbers]
    for row, number in zip(found, numbers, strict=True):
        if number == COUNT - 1:
            assert row["image"] is None
        else:
            np.testing.assert_array_equal(row["image"], rows.pixels(number))
        np.testing.assert_array_equal(row["matrix"], rows.MATRICES[number])
        np.testing.assert_array_equal(row["wide"], rows.RAGGED[number].T)
        assert row["label"] == number % 3
        assert row["boxes"] == rows.BOXES[number]


def test_their_rows_come_with_images_and_tensors(theirs):
    """Pictures are images, arrays are tensors, labels are integers, and the plan knows all types."""
    dataset = ld.from_huggingface(theirs)
    check_rows(dataset.take_all(), range(COUNT))
    schema = dataset.schema()
    assert schema["image"] == ld.image_type()
    assert schema["matrix"] == ld.tensor_type("float32", (3, 4))
    assert schema["label"] == pa.int64()


def test_filtered_shuffled_and_formatted_datasets_give_their_rows(theirs):
    """Rows are those that the dataset has, in its order, whatever its format shows."""
    check_rows(ld.from_huggingface(theirs.filter(lambda row: row["label"] == 1)).take_all(), [1, 4])
    check_rows(ld.from_huggingface(theirs.select([3, 0, 3])).take_all(), [3, 0, 3])
    check_rows(ld.from_huggingface(theirs.with_format("numpy", columns=["label"])).take_all(), range(COUNT))
    joined = datasets.concatenate_datasets([theirs.select([1]), theirs.select([0, 2])])
    check_rows(ld.from_huggingface(joined).take_all(), [1, 0, 2])


def test_a_stream_gives_the_same(theirs):
    """An iterable dataset gives its rows each time it is read, and no more of them than are asked for."""
    dataset = ld.from_huggingface(theirs.to_iterable_dataset(num_shards=2))
    check_rows(dataset.take_all(), range(COUNT))
    check_rows(dataset.take(2), range(2))


def test_pictures_that_are_only_named_are_read(tmp_path):
    """A picture of which a dataset knows the path alone is read from its file, in a worker."""
    paths = []
    for number in range(40):
        paths.append(str(tmp_path / f"{number}.png"))
        rows.picture(number).save(paths[-1])
    theirs = datasets.Dataset.from_dict({"image": [*paths, None]}).cast_column("image", datasets.Image())
    found = ld.from_huggingface(theirs).map(lambda row: row).take_all()
    assert found.pop() == {"image": None}
    for number, row in enumerate(found):
        np.testing.assert_array_equal(row["image"], rows.pixels(number))


def test_there_and_back_gives_the_same_rows_and_files(theirs):
    """Images go over as the very bytes of their files, tensors as arrays, and everything comes back."""
    back = ld.from_huggingface(theirs).to_huggingface()
    assert {name: str(kind) for name, kind in back.features.items() if name in ("image", "matrix")} == {
        "image": "Image(mode=None, decode=True)",
        "matrix": "Array2D(shape=(3, 4), dtype='float32')",
    }
    held = back.cast_column("image", datasets.Image(decode=False))
    assert [row["image"] and row["image"]["bytes"] for row in held] == [*map(rows.png, range(COUNT - 1)), None]
    again = ld.from_huggingface(back.remove_columns("wide")).take_all()
    check_rows([{**row, "wide": rows.RAGGED[n].T} for n, row in enumerate(again)], range(COUNT))
    assert back["wide"][2] == rows.RAGGED[2].T.tolist()


def test_pixels_made_here_go_over_without_loss(theirs):
    """Images that were computed are PNG files there."""
    made = (
        ld.from_huggingface(theirs)
        .drop_nulls()
        .with_columns(ld.col("image").image.to_mode("RGB").image.flip_left_right())
    )
    there = made.to_huggingface()
    for number, row in enumerate(there):
        wanted = rows.picture(number).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(wanted))
    held = there.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"]
    assert Image.open(io.BytesIO(held)).format == "PNG"


def test_null_tensors_and_many_axes_go_over():
    """Tensors of one to six axes, with nulls among them, are arrays or lists there."""
    for axes in range(1, 7):
        array = np.arange(2 ** (axes + 1), dtype=np.float32).reshape(2, *[2] * axes)
        dataset = ld.from_numpy(array).to_huggingface()
        assert np.array_equal(np.array(dataset["data"][:]), array)
    tensor = pa.fixed_shape_tensor(pa.int64(), (2, 2))
    storage = pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], tensor.storage_type)
    nulls = ld.from_arrow(pa.table({"t": pa.ExtensionArray.from_storage(tensor, storage)})).to_huggingface()
    assert nulls["t"][:] == [[[1, 2], [3, 4]], None, [[5, 6], [7, 8]]]


def test_no_rows_go_over():
    """A dataset without rows keeps its columns there."""
    assert ld.range(3).filter(ld.col("id") > 9).to_huggingface().column_names == ["id"]


def test_several_splits_are_refused_with_their_names(theirs):
    """Whoever passes all splits is told to choose one."""
    splits = datasets.DatasetDict({"train": theirs, "test": theirs})
    with pytest.raises(ArgumentError, match=r"dataset\['train'\], dataset\['test'\]"):
        ld.from_huggingface(splits)
    with pytest.raises(ArgumentError, match="Dataset; got list"):
        ld.from_huggingface([1])
