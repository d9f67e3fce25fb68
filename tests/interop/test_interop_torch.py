"""PyTorch's datasets and data loaders, where torch is installed: environments.py runs this with it."""

import pickle

import numpy as np
import pytest
import rows

import lightdata as ld
from lightdata.errors import ArgumentError

torch = pytest.importorskip("torch")
data = torch.utils.data


class Pictures(data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, number):
        return rows.picture(number), number, torch.full((2, 3), float(number))


class Counting(data.IterableDataset):
    def __iter__(self):
        return iter({"n": torch.tensor(number), "text": str(number)} for number in range(600))


def table(n=100):
    x = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return ld.from_numpy({"id": np.arange(n), "x": x, "half": np.arange(n) / 2})


def test_rows_are_made_into_batches_by_a_loader():
    """Without workers a loader gives all rows in order, arrays as tensors, and so does a pickled dataset."""
    dataset = table().map(lambda row: {**row, "text": str(row["id"])}).to_torch(dtypes={"x": torch.float64})
    for one in (dataset, pickle.loads(pickle.dumps(dataset))):
        batches = list(data.DataLoader(one, batch_size=32))
        assert [batch["x"].shape for batch in batches] == [(32, 3), (32, 3), (32, 3), (4, 3)]
        assert batches[0]["x"].dtype == torch.float64
        assert torch.cat([batch["id"] for batch in batches]).tolist() == list(range(100))
        assert batches[3]["text"] == ["96", "97", "98", "99"]


def test_batches_are_made_here():
    """With a batch size the dataset gives batches itself, cut and mixed as asked."""
    given = list(table().to_torch(batch_size=32, drop_last=True))
    assert [batch["id"].tolist() for batch in given] == [list(range(start, start + 32)) for start in (0, 32, 64)]
    mixed = [batch["id"].tolist() for batch in table().to_torch(batch_size=10, local_shuffle_buffer_size=50)]
    order = [number for ids in mixed for number in ids]
    assert sorted(order) == list(range(100)) != order


QUERIES = {
    "rowwise": lambda: table().filter(ld.col("id") != 7),
    "sorted": lambda: table().filter(ld.col("id") != 7).sort("id", descending=True),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("context", ["spawn", "forkserver"])
@pytest.mark.parametrize("batch_size", [None, 8])
def test_workers_of_a_loader_share_the_rows(query, context, batch_size):
    """Each row comes once, whether or not shares can be read apart."""
    dataset = QUERIES[query]().to_torch(batch_size=batch_size)
    loader = data.DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=context)
    ids = [number for item in loader for number in np.atleast_1d(item["id"]).tolist()]
    assert sorted(ids) == [number for number in range(100) if number != 7]


def test_a_forked_worker_is_refused():
    """A loader that forks is told how to start its workers, instead of hanging."""
    dataset = table().to_torch()
    with pytest.raises(ld.ExecutionError, match="multiprocessing_context='spawn'"):
        list(data.DataLoader(dataset, num_workers=1, multiprocessing_context="fork"))


def test_items_of_a_map_style_dataset_become_rows():
    """Parts of a tuple are columns; pictures are images and tensors are tensors, made by the workers."""
    dataset = ld.from_torch(Pictures())
    found = dataset.take_all()
    assert list(found[0]) == ["item_0", "item_1", "item_2"]
    for number, row in enumerate(found):
        np.testing.assert_array_equal(row["item_0"], rows.pixels(number))
        assert row["item_1"] == number
        np.testing.assert_array_equal(row["item_2"], np.full((2, 3), number))
    assert dataset.schema()["item_0"] == ld.image_type()
    assert dataset.count() == 40
    named = ld.from_torch(Pictures(), columns=["image", "label", "t"]).filter(ld.col("image").image.width() > 80)
    assert [row["label"] for row in named.take_all()] == [38, 39]


def test_items_of_an_iterable_dataset_become_rows():
    """Items come in order, each time anew, and no more of them are made than are asked for."""
    dataset = ld.from_torch(Counting())
    for _ in range(2):
        found = dataset.take_all()
        assert [(row["n"], row["text"]) for row in found] == [(n, str(n)) for n in range(600)]
    assert dataset.select("n").take(1) == [{"n": 0}]


def test_plain_items_are_a_column_item():
    """Items that are no tuples are a column of their own, as in Ray Data."""
    assert ld.from_torch([1.5, 2.5]).take_all() == [{"item": 1.5}, {"item": 2.5}]
    tensors = data.TensorDataset(torch.arange(3), torch.zeros(3, 2))
    assert ld.from_torch(tensors).take(1)[0]["item_1"].tolist() == [0.0, 0.0]


def test_wrong_arguments_are_refused():
    """What is no dataset, and names that do not fit, are told apart from the start or with the item."""
    with pytest.raises(ArgumentError, match="__getitem__"):
        ld.from_torch(3)
    with pytest.raises(ArgumentError, match="list of names"):
        ld.from_torch(Pictures(), columns="image")
    with pytest.raises(ArgumentError, match="1 parts; an item has 3"):
        ld.from_torch(Pictures(), columns=["image"]).take(1)
    with pytest.raises(ArgumentError, match="batch_size"):
        table().to_torch(batch_size=0)


def test_what_goes_out_comes_back():
    """A dataset that torch iterates is a dataset again."""
    back = ld.from_torch(table().to_torch()).take_all()
    assert [row["x"].tolist() for row in back] == [row["x"].tolist() for row in table().iter_rows()]
