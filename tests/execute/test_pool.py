"""Worker processes give the same rows as the calling process, in the same order, within their memory."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.execute.processes import _everyone


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=2)
    yield
    ld.config(**{name: getattr(before, name) for name in before.__slots__})


def numbered(rows, shape=(2, 2)):
    """Make rows that come in tasks of 32, with a number and a tensor of it."""
    ids = np.arange(rows)
    pixels = np.broadcast_to(ids.reshape(-1, *[1] * len(shape)), (rows, *shape)).astype(np.float32)
    return ld.from_numpy({"id": ids, "x": pixels})


def ids(dataset):
    return [row["id"] for row in dataset.iter_rows()]


def both(query):
    """Run a query in the calling process and in the pool."""
    ld.config(workers=0)
    here = ids(query)
    ld.config(workers=2)
    return here, ids(query)


def uneven(value):
    if value % 64 < 32 and value % 32 == 0:
        time.sleep(0.03)


def test_map_keeps_the_order_of_rows_when_tasks_take_unequal_time():
    """Rows of map leave in source order though every second task is slow."""

    def slow(row):
        if row["id"] % 64 == 0:
            time.sleep(0.03)
        return {"id": row["id"] * 3, "pid": os.getpid()}

    here, there = both(numbered(320).map(slow))
    assert here == there == [3 * number for number in range(320)]
    rows = numbered(320).map(slow).take_all()
    assert len({row["pid"] for row in rows}) == 2
    assert os.getpid() not in {row["pid"] for row in rows}


def test_map_batches_flat_map_and_filter_agree_with_the_calling_process():
    """A chain of every row verb gives in workers what it gives inline."""

    def double(batch):
        time.sleep(0.01 * (batch["id"][0] % 3))
        return {"id": batch["id"] * 2}

    query = (
        numbered(300)
        .filter(lambda row: row["id"] % 3 != 0)
        .map_batches(double, batch_size=7)
        .flat_map(lambda row: [dict(row)] * (row["id"] % 4))
        .filter(ld.col("id") > 10)
    )
    here, there = both(query)
    assert here == there
    assert here == [2 * n for n in range(300) if n % 3 for _ in range((2 * n) % 4) if 2 * n > 10]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_does_not_change_results(workers):
    """One, two and three workers give the same rows."""
    ld.config(workers=workers)
    query = numbered(200).map_batches(
        lambda batch: {"id": batch["id"], "n": np.full(len(batch["id"]), len(batch["id"]))}
    )
    assert ids(query) == list(range(200))


def test_batches_have_the_exact_size_across_files(tmp_path):
    """A batch size holds over the borders of files of odd lengths; only the last batch is short."""
    start = 0
    for number, rows in enumerate((33, 1, 50, 7, 64)):
        np.save(tmp_path / f"{number}.npy", np.arange(start, start + rows))
        start += rows

    def sizes(batch):
        return {"first": batch["data"][:1], "rows": np.array([len(batch["data"])])}

    rows = ld.read_numpy(tmp_path).map_batches(sizes, batch_size=20).take_all()
    assert [row["rows"] for row in rows] == [20] * 7 + [15]
    assert [row["first"] for row in rows] == list(range(0, 155, 20))


def test_producers_wait_for_a_slow_consumer(tmp_path):
    """With a small memory limit workers run no further ahead than the limit and the tasks they hold."""
    ld.config(memory_limit_bytes=1 << 20)

    def produce(batch):
        (tmp_path / str(batch["id"][0])).touch()
        return {"id": batch["id"], "big": np.zeros((len(batch["id"]), 64 << 10), np.uint8)}  # 2 MB a task

    query = numbered(32 * 100).map_batches(produce)
    stream = query.iter_batches(batch_size=None, prefetch_batches=0)
    next(stream)
    time.sleep(0.7)
    ahead = len(list(tmp_path.iterdir()))
    for _ in range(5):
        next(stream)
    time.sleep(0.3)
    later = len(list(tmp_path.iterdir()))
    stream.close()
    assert ahead <= 6
    assert later <= 12


def test_two_queries_in_one_thread_do_not_wait_for_each_other():
    """Two streams drawn in turns give both their rows."""
    one = numbered(300).map_batches(lambda batch: {"id": batch["id"]})
    two = numbered(300).map_batches(lambda batch: {"id": batch["id"] + 1000})
    pairs = list(zip(one.iter_batches(batch_size=50), two.iter_batches(batch_size=50), strict=True))
    assert len(pairs) == 6
    assert all((a["id"] + 1000 == b["id"]).all() for a, b in pairs)


def test_queries_run_in_two_threads():
    """Threads have workers of their own."""
    found = {}

    def query(offset):
        found[offset] = ids(numbered(200).map(lambda row: {"id": row["id"] + offset}))

    threads = [threading.Thread(target=query, args=(offset,)) for offset in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {offset: [n + offset for n in range(200)] for offset in (0, 1000)}


def test_a_pool_feeds_another_pool_through_a_rebatch():
    """A stage behind a rebatch gets whole batches of what the stage before made."""
    query = (
        numbered(300)
        .flat_map(lambda row: [{"id": row["id"]}, {"id": row["id"]}])
        .map_batches(lambda batch: {"id": batch["id"], "n": np.full(len(batch["id"]), len(batch["id"]))}, batch_size=48)
        .filter(lambda row: row["id"] % 2 == 0)
        .map_batches(lambda batch: {"id": batch["id"], "n": batch["n"]}, batch_size=5)
    )
    rows = query.take_all()
    assert [row["id"] for row in rows] == [n // 2 for n in range(600) if (n // 2) % 2 == 0]
    assert {row["n"] for row in rows if row["id"] < 288} == {48}


def test_a_class_is_built_once_in_each_worker(tmp_path):
    """Instances are made once for a worker, not for a task."""

    class Add:
        def __init__(self, folder, amount=0):
            self.amount = amount
            Path(folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()

        def __call__(self, row):
            time.sleep(0.001)
            return {"id": row["id"] + self.amount}

    query = numbered(320).map(Add, fn_constructor_args=(str(tmp_path),), fn_constructor_kwargs={"amount": 5})
    assert ids(query) == [n + 5 for n in range(320)]
    pids = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(pids) == len(set(pids)) <= 2


@pytest.mark.parametrize("concurrency", [1, 2, (1, 2)])
def test_concurrency_bounds_the_copies_of_a_class(tmp_path, concurrency):
    """No more workers than ``concurrency`` build a class, even with more workers about."""
    ld.config(workers=3)

    class Count:
        def __init__(self):
            (tmp_path / str(os.getpid())).touch()

        def __call__(self, batch):
            time.sleep(0.005)
            return batch

    query = numbered(320).map(lambda row: {"id": row["id"]}).map_batches(Count, concurrency=concurrency)
    assert ids(query) == list(range(320))
    most = concurrency if isinstance(concurrency, int) else concurrency[1]
    assert 1 <= len(list(tmp_path.iterdir())) <= most


@pytest.mark.parametrize("batch_format", ["numpy", "pyarrow", "polars"])
def test_batches_that_are_kept_are_never_overwritten(batch_format):
    """A consumer may hold every batch: workers do not reuse memory that somebody looks at."""
    ld.config(memory_limit_bytes=8 << 20)

    def fill(batch):
        return {"id": batch["id"], "x": np.repeat(batch["id"][:, None], 16_384, axis=1)}  # 4 MB a task

    query = numbered(32 * 40).map_batches(fill)
    kept = list(query.iter_batches(batch_size=None, batch_format=batch_format))
    if batch_format == "numpy":
        flat = [(number, row) for batch in kept for number, row in zip(batch["id"], batch["x"], strict=True)]
    else:
        tables = [batch if isinstance(batch, pa.Table) else batch.to_arrow() for batch in kept]
        flat = []
        for table in tables:
            numbers = table["id"].to_pylist()
            stacked = ld.from_arrow(table).take_batch(len(numbers))["x"]
            flat += list(zip(numbers, stacked, strict=True))
    assert [number for number, _ in flat] == list(range(32 * 40))
    assert all((row == number).all() for number, row in flat)


def test_a_batch_larger_than_its_arena_arrives_whole():
    """What no slot can hold comes by pipe."""
    ld.config(memory_limit_bytes=1 << 20, workers=3)

    def grow(batch):
        return {"id": batch["id"][:1], "x": np.full((1, 70 << 20), batch["id"][0] % 251, np.uint8)}

    total = 0
    for batch in numbered(96).map_batches(grow).iter_batches(batch_size=1, prefetch_batches=0):
        assert batch["x"].shape == (1, 70 << 20)
        assert (batch["x"] == batch["id"][0] % 251).all()
        total += 1
    assert total == 3


def test_large_tasks_and_large_answers_do_not_block_each_other():
    """A task that fills the pipe one way and answers that fill it the other way pass each other."""
    ld.config(memory_limit_bytes=1 << 20)

    def hold(batch):
        return {"id": batch["id"][:1], "x": np.full((1, 66 << 20), batch["id"][0] % 251, np.uint8)}

    query = numbered(32 * 8, shape=(512, 64)).map_batches(hold)  # 4 MB a task
    done = []

    def consume():
        done.extend(int(batch["id"][0]) for batch in query.iter_batches(batch_size=1, prefetch_batches=0))

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    thread.join(40)
    assert done == list(range(0, 256, 32))


def test_rows_whose_memory_is_a_workers_can_be_sorted():
    """All slots held at once, and drawn in another order, keep their values."""
    ld.config(memory_limit_bytes=4 << 20)
    query = numbered(32 * 20).map_batches(
        lambda batch: {"id": batch["id"], "x": np.repeat(batch["id"][:, None], 4096, 1)}
    )
    frame = query.collect().sort("id", descending=True)
    assert frame["id"].to_list() == list(range(639, -1, -1))
    sorted_rows = ld.from_polars(frame).take_batch(640)
    assert (sorted_rows["x"] == sorted_rows["id"][:, None]).all()


def test_collected_rows_outlive_the_next_queries():
    """A table that is kept stays as it was while workers go on with other work."""
    ld.config(memory_limit_bytes=4 << 20)

    def fill(batch):
        return {"id": batch["id"], "x": np.repeat(batch["id"][:, None], 4096, 1)}

    kept = numbered(320).map_batches(fill).materialize()
    for _ in range(3):
        numbered(320).map_batches(lambda batch: {"x": np.full((len(batch["id"]), 8192), -1)}).count()
    rows = kept.take_batch(320)
    assert (rows["x"] == rows["id"][:, None]).all()


def test_paths_are_relative_to_where_the_query_runs(tmp_path, monkeypatch):
    """Workers that are warm follow the calling process into another folder."""
    for folder in ("a", "b"):
        (tmp_path / folder / "in").mkdir(parents=True)
        for number in range(70):
            (tmp_path / folder / "in" / f"{number:03d}.txt").write_text(folder)
    for folder in ("a", "b", "a"):
        monkeypatch.chdir(tmp_path / folder)
        rows = ld.read_binary_files("in").map(lambda row: {"id": row["bytes"] + os.getcwd()[-1:].encode()}).take_all()
        assert {row["id"] for row in rows} == {f"{folder}{folder}".encode()}
        assert len(rows) == 70


def test_modules_found_since_the_workers_started_are_found_by_them(tmp_path, monkeypatch):
    """A folder added to sys.path reaches warm workers."""
    ids(numbered(100).map(lambda row: {"id": row["id"]}))
    (tmp_path / "lately_written.py").write_text("def triple(row):\n    return {'id': row['id'] * 3}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import lately_written

    assert ids(numbered(100).map(lately_written.triple)) == [n * 3 for n in range(100)]


def test_workers_are_reused_between_queries():
    """The second query starts no process: it runs in those that were there after the first."""
    numbered(200).map(lambda row: {"id": os.getpid()}).take_all()
    warm = {worker.pid for worker in _everyone}
    pids = {row["id"] for row in numbered(200).map(lambda row: {"id": os.getpid()}).take_all()}
    assert {worker.pid for worker in _everyone} == warm >= pids


def test_workers_follow_the_settings_of_the_calling_process():
    """A setting changed between two queries holds in workers that are warm."""
    for limit in (1234, 4321):
        ld.config(batch_bytes=limit)
        rows = numbered(100).map(lambda row: {"id": ld.config().batch_bytes}).take_all()
        assert {row["id"] for row in rows} == {limit}


def test_a_query_for_few_rows_starts_no_worker():
    """take(3) runs in the calling process."""
    rows = numbered(3200).map(lambda row: {"id": os.getpid()}).take(3)
    assert {row["id"] for row in rows} == {os.getpid()}


def test_a_small_input_runs_in_the_calling_process():
    """One small task is done where it is."""
    rows = numbered(20).map(lambda row: {"id": os.getpid()}).take_all()
    assert {row["id"] for row in rows} == {os.getpid()}


def test_a_query_may_be_run_inside_a_workers_function():
    """A function in a worker may use the library itself."""

    def inner(row):
        ld.config(workers=0)
        return {"id": ld.range(5).map(lambda one: {"id": one["id"]}).count() + row["id"]}

    assert ids(numbered(64).map(inner)) == [n + 5 for n in range(64)]


def test_a_warm_worker_keeps_its_stage_while_a_consumer_takes_its_time():
    """A worker that has nothing to do in the midst of a query, for longer than at rest it keeps memory, goes on."""
    ld.config(workers=1)
    query = numbered(32 * 40).map_batches(lambda batch: {"id": batch["id"]})
    assert len(ids(query)) == 32 * 40
    stream = query.iter_batches(batch_size=32, prefetch_batches=0)
    first = next(stream)["id"]
    time.sleep(1.5)
    assert np.concatenate([first, *(batch["id"] for batch in stream)]).tolist() == list(range(32 * 40))
