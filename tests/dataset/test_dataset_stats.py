"""Dataset.stats(): exact numbers for every kind of source, in workers as here, whole and cut short."""

import struct
import threading
import time

import google_crc32c
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper
from PIL import Image, PngImagePlugin

import lightdata as ld

COUNTS = ("files_opened", "bytes_read", "headers_read", "images_decoded", "images_encoded", "model_calls", "model_rows")


@pytest.fixture(autouse=True, params=[0, 2], ids=["here", "workers"])
def settings(request):
    before = ld.config()
    ld.config(workers=request.param)
    yield request.param
    ld.config(workers=before.workers)


@pytest.fixture
def photos(tmp_path):
    """Write 40 images, JPEG and PNG in turns."""
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for n in range(40):
        suffix = "jpg" if n % 2 else "png"
        Image.fromarray(noise.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / f"{n:02d}.{suffix}")
    return folder


def slow(batch):
    time.sleep(0.03)
    return batch


def size_of(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def counts(dataset):
    """Give the counters that are not zero."""
    found = dataset.stats()
    return {name: value for name in COUNTS if (value := getattr(found, name))}


def tfrecord(path, values):
    def record(content):
        def checksum(part):
            crc = google_crc32c.value(part)
            return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

        length = struct.pack("<Q", len(content))
        return length + checksum(length) + content + checksum(content)

    examples = [bytes((10, 12, 10, 10, 10, 1, 120, 18, 5, 26, 3, 10, 1, value)) for value in values]
    path.write_bytes(b"".join(map(record, examples)))
    return path


def test_images(photos):
    """Every file is opened and read once, every header read and every image decoded once."""
    data = ld.read_images(photos)
    assert len(data.take_all()) == 40
    whole = {"files_opened": 40, "bytes_read": size_of(photos), "headers_read": 40}
    assert counts(data) == {**whole, "images_decoded": 40}
    data.collect()
    assert counts(data) == whole
    found = data.stats()
    assert (found.rows, found.is_finished) == (40, True)
    assert [(stage.tasks, stage.rows) for stage in found.stages] == [(2, 40)]
    assert found.stages[0].name.startswith("read_files")
    assert found.stages[0].seconds > 0
    assert 0 < found.seconds < 60


def test_sources_of_bytes_and_numbers(tmp_path, photos):
    """Files count where their rows are read; of Parquet and NumPy the bytes of what was asked for."""
    binary = ld.read_binary_files(photos)
    binary.collect()
    assert counts(binary) == {"files_opened": 40, "bytes_read": size_of(photos)}

    tfrecord(tmp_path / "a.tfrecord", [5, 6, 7])
    examples = ld.read_tfrecords(tmp_path / "a.tfrecord")
    assert examples.take_all() == [{"x": 5}, {"x": 6}, {"x": 7}]
    assert counts(examples) == {"files_opened": 1, "bytes_read": (tmp_path / "a.tfrecord").stat().st_size}

    np.save(tmp_path / "a.npy", np.zeros((40, 4)))
    arrays = ld.read_numpy(tmp_path / "a.npy")
    arrays.collect()
    tasks = arrays.stats().stages[0].tasks
    assert counts(arrays) == {"files_opened": tasks, "bytes_read": 40 * 4 * 8}

    for memory in (ld.range(10), ld.from_items([{"a": 1}]), ld.from_numpy({"x": np.zeros((3, 2))})):
        same = memory.map(lambda row: row)
        rows = len(same.take_all())
        assert counts(same) == {}
        assert same.stats().rows == rows


def test_parquet_counts_the_columns_it_reads(tmp_path):
    """One opening for each row group, the stored bytes of the columns asked for, and nothing for footers."""
    path = tmp_path / "a.parquet"
    table = pa.table({"a": np.arange(900), "b": [{"x": n, "y": "t"} for n in range(900)]})
    pq.write_table(table, path, row_group_size=300)
    footer = pq.ParquetFile(path).metadata
    groups = [[footer.row_group(g).column(c).total_compressed_size for c in range(3)] for g in range(3)]

    whole = ld.read_parquet(path)
    whole.collect()
    assert counts(whole) == {"files_opened": 3, "bytes_read": sum(map(sum, groups))}
    one = whole.select("a")
    one.collect()
    assert counts(one) == {"files_opened": 3, "bytes_read": sum(group[0] for group in groups)}
    nested = whole.select("b").limit(5)
    nested.collect()
    assert counts(nested) == {"files_opened": 1, "bytes_read": sum(groups[0][1:])}


def test_remote_files(settings):
    """A file of another filesystem counts as one of this machine."""
    if settings:
        pytest.skip("fsspec's memory is of one process")
    import fsspec

    fsspec.filesystem("memory").pipe_file("/counted/a.bin", b"12345")
    data = ld.read_binary_files("memory://counted/a.bin")
    data.collect()
    assert counts(data) == {"files_opened": 1, "bytes_read": 5}


def test_a_filter_on_headers_decodes_nothing(photos):
    """What a header tells is asked of headers."""
    data = ld.read_images(photos).filter(ld.col("image").image.width() == 24)
    assert data.count() == 40
    assert counts(data) == {"files_opened": 40, "bytes_read": size_of(photos), "headers_read": 40}


def test_a_limit_opens_no_file_too_many(photos):
    """limit(10) and take(10) over 40 files open exactly 10, and listing opens none."""
    limited = ld.read_images(photos).limit(10)
    limited.collect()
    assert limited.stats().files_opened == 10
    data = ld.read_images(photos)
    assert len(data.take(10)) == 10
    assert (data.stats().files_opened, data.stats().images_decoded, data.stats().rows) == (10, 10, 10)
    assert data.count() == 40
    assert counts(data) == {}


def test_writing(tmp_path, photos):
    """Rows written, images decoded and encoded; bytes that were never decoded are not encoded either."""
    data = ld.read_images(photos)
    data.write_images(tmp_path / "out", "image", "bmp")
    assert (data.stats().rows, data.stats().images_decoded, data.stats().images_encoded) == (40, 40, 40)
    data.write_parquet(tmp_path / "table")
    assert data.stats().rows == 40
    assert "images_decoded" not in counts(data)
    encoded = data.select(ld.col("image").image.resize(4, 4).image.encode("png"))
    encoded.collect()
    assert (encoded.stats().images_decoded, encoded.stats().images_encoded) == (40, 40)


def test_model_calls(tmp_path):
    """Calls of a model, and the images in them."""
    kind = [TensorProto.FLOAT, ["N", 3, 8, 8]]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["out"])],
        "same",
        [helper.make_tensor_value_info("input", *kind)],
        [helper.make_tensor_value_info("out", *kind)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "same.onnx")
    pixels = ld.from_numpy({"image": np.zeros((20, 8, 8, 3), np.uint8)})
    data = pixels.infer(tmp_path / "same.onnx", "image", device="cpu", preprocess={})
    data.collect()
    assert data.stats().model_rows == 20
    assert 1 <= data.stats().model_calls <= 20
    assert (data.stats().nodes_on_gpu, data.stats().nodes_on_cpu) == (0, 0)


def test_the_stage_that_others_waited_for_is_told():
    """Of two stages the one whose workers had least leisure is the bottleneck; none is busier than all the time."""
    ld.config(workers=0)
    data = ld.range(20).map_batches(slow, batch_size=5).with_columns(twice=ld.col("id") * 2)
    data.take_all()
    stages = data.stats().stages
    assert all(stage.workers <= 1 and 0 <= stage.busy <= 1 for stage in stages)
    slowest = data.stats().bottleneck
    assert slowest is not None
    assert "map_batches" in slowest.name
    assert slowest.busy > 0.5
    assert "% busy" in repr(data.stats())


def test_broken_images_are_not_decoded(photos):
    """Rows that are let go were read, and that is all."""
    for path in sorted(photos.iterdir())[:7]:
        path.write_bytes(b"not an image")
    data = ld.read_images(photos, on_error="skip")
    assert len(data.take_all()) == 33
    found = data.stats()
    assert (found.rows, found.files_opened, found.headers_read, found.images_decoded) == (33, 40, 33, 33)


def test_a_png_that_is_decoded_for_its_exif_counts(tmp_path):
    """Where Pillow decodes a whole PNG to look for EXIF, that is a decoding like any other."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "nothing")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=text)
    data = ld.read_images(tmp_path)
    data.collect()
    assert (data.stats().headers_read, data.stats().images_decoded) == (1, 1)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_stream_tells_what_is_so_far_and_keeps_what_it_did_when_closed(photos, prefetch):
    """Numbers grow with the stream; one that is closed early has done no more than it had to, and is finished."""
    data = ld.read_images(photos).map(lambda row: row)
    stream = data.iter_batches(batch_size=4, prefetch_batches=prefetch)
    with pytest.raises(ld.NotRunError):
        data.stats()
    next(stream)
    during = data.stats()
    assert 4 <= during.rows <= 40
    assert not during.is_finished
    assert "so far" in str(during)
    stream.close()
    after = data.stats()
    assert after.is_finished
    assert 4 <= after.images_decoded <= 40
    assert after.images_decoded >= after.rows
    assert after == data.stats()


def test_a_run_that_fails_tells_what_it_did(photos):
    """Work up to an error counts."""
    sorted(photos.iterdir())[35].write_bytes(b"not an image")
    data = ld.read_images(photos)
    with pytest.raises(ld.DecodeError):
        data.collect()
    found = data.stats()
    assert found.is_finished
    assert found.rows == 35
    assert found.files_opened == 40
    assert found.headers_read >= 35  # those before it in its batch are made again, to be handed over


def test_queries_of_two_threads_do_not_mix(photos):
    """Each dataset tells of its own run, though two run at once."""
    few, many = ld.read_images(photos).limit(7), ld.read_images(photos)
    barrier = threading.Barrier(2)

    def work(dataset):
        barrier.wait()
        for _ in range(5):
            dataset.take_all()

    threads = [threading.Thread(target=work, args=(dataset,)) for dataset in (few, many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (few.stats().images_decoded, many.stats().images_decoded) == (7, 40)
    assert (few.stats().files_opened, many.stats().files_opened) == (7, 40)


def test_a_query_within_a_query_counts_for_itself(photos, settings):
    """A user's function that runs a query of its own does not add to the one it is part of."""
    if settings:
        pytest.skip("a worker's datasets are its own")
    inner = ld.read_images(photos)
    outer = ld.range(2).map(lambda row: {"n": len(inner.take_all())})
    assert outer.take_all() == [{"n": 40}] * 2
    assert counts(outer) == {}
    assert inner.stats().images_decoded == 40


def test_every_verb_that_runs_is_told_of():
    """The dataset that was asked knows of its latest run, whatever datasets the verb made for it."""
    data = ld.range(100)
    verbs = {
        "take": (lambda: data.take(3), 3),
        "first": (data.first, 1),
        "take_all": (data.take_all, 100),
        "take_batch": (lambda: data.take_batch(5), 5),
        "count": (data.count, 100),
        "iter_rows": (lambda: list(data.iter_rows()), 100),
        "iter_batches": (lambda: list(data.iter_batches()), 100),
        "collect": (data.collect, 100),
        "to_pandas": (data.to_pandas, 100),
        "materialize": (data.materialize, 100),
    }
    for name, (verb, rows) in verbs.items():
        verb()
        assert (name, data.stats().rows) == (name, rows)


def test_asking_what_needs_no_run_is_no_run(photos):
    """Before a run, and after building, explaining or asking for known columns, there is nothing to tell."""
    data = ld.read_images(photos)
    data.explain()
    data.schema()
    later = data.limit(3)
    later.collect()
    with pytest.raises(ld.NotRunError, match="run it first"):
        data.stats()
    with pytest.raises(RuntimeError):
        later.limit(1).stats()


def test_a_schema_that_had_to_be_run_for_is_told_of():
    """schema() after a function without schema= runs the first rows."""
    data = ld.range(1000).map(lambda row: {"x": row["id"] * 0.5})
    assert data.columns == ["x"]
    assert data.stats().rows == 1


def test_stages_are_told_in_the_order_of_the_plan(photos):
    """What runs first is stage 1, though the last stage is asked first."""
    data = ld.read_images(photos).with_columns(n=ld.col("image").image.width()).filter(ld.col("n") == ld.col("n").max())
    found = data.with_columns(small=ld.col("image").image.resize(2, 2))
    found.collect()
    names = [stage.name for stage in found.stats().stages]
    assert len(names) == 2
    assert "read_files" in names[0]
    assert "with_columns" in names[1]


def test_the_branches_of_a_query_are_stages_of_one_run(photos):
    """Joined, stacked and sorted datasets count what all their branches did."""
    data = ld.read_images(photos, include_paths=True).with_columns(w=ld.col("image").image.width()).select("path", "w")
    both = data.join(data.limit(7), on="path", suffix="_again")
    assert len(both.collect()) == 7
    assert (both.stats().files_opened, len(both.stats().stages)) == (47, 2)
    stacked = data.limit(3).union(data.limit(5))
    stacked.collect()
    assert (stacked.stats().rows, stacked.stats().files_opened) == (8, 8)
    ordered = data.sort("w").limit(2)
    ordered.collect()
    assert (ordered.stats().rows, ordered.stats().headers_read) == (2, 40)
