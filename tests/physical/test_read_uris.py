"""Queries read the files that URLs name: lazily, many at a time, while others are decoded."""

import io
import logging
import threading

import numpy as np
import polars as pl
import pytest
from local_web import local_web
from PIL import Image

import lightdata as ld

URL = ld.col("url").uri


@pytest.fixture(params=[0, 2], ids=["here", "workers"])
def workers(request):
    before = ld.config()
    ld.config(workers=request.param, progress=False)
    yield request.param
    ld.config(workers=before.workers, progress=before.progress)


@pytest.fixture
def web():
    with local_web() as running:
        yield running.holding(*(picture(n) for n in range(200)))


def picture(seed):
    """Draw a PNG that is like no other."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (6 + seed % 3, 8, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def urls(web, rows, path="file"):
    """Name files of the server."""
    return ld.from_items([{"id": n, "url": f"{web.url}/{path}{'&' if '?' in path else '?'}n={n}"} for n in range(rows)])


def read(**settings):
    """Read from this machine."""
    return URL.read(allow_private=True, **settings)


@pytest.mark.usefixtures("exact_pixels")
def test_urls_become_images(web, workers):
    """A column of URLs is read, decoded and resized in one expression, in order, each file once."""
    ds = urls(web, 150).with_columns(image=read().image.decode().image.resize(4, 5))
    rows = ds.take_all()
    assert len(web.requests) == 150
    for row in rows:
        pixels = Image.open(io.BytesIO(web.files[row["id"]])).resize((5, 4), Image.Resampling.BILINEAR)
        assert np.array_equal(row["image"], np.asarray(pixels))
    assert [row["id"] for row in rows] == list(range(150))
    assert set(web.seen.values()) == {1}
    assert ds.columns == ["id", "url", "image"]


def test_bytes_come_as_they_are(web, workers):
    """Reading alone gives the bytes; null gives null."""
    ds = ld.concat(
        [urls(web, 40), ld.from_polars(pl.DataFrame({"id": [40], "url": [None]}, {"id": pl.Int64, "url": pl.String}))]
    )
    frame = ds.select("id", data=read()).collect()
    assert frame.schema == {"id": pl.Int64, "data": pl.Binary}
    assert frame["data"].to_list() == [*(web.files[n] for n in range(40)), None]


def test_nothing_is_read_before_rows_are_asked_for(web):
    """Building, explaining and counting ask the server nothing."""
    ds = urls(web, 50).with_columns(image=read().image.decode())
    assert "uri.read(url)" in ds.explain()
    assert ds.count() == 50
    assert ds.select("id").take_all() == [{"id": n} for n in range(50)]
    assert web.connections == 0


def test_reading_is_a_stage_of_its_own():
    """Files are read in one stage and decoded in the next; what a query says is still to be read."""
    ds = ld.from_items([{"url": "https://example.org/a.png"}]).with_columns(image=URL.read().image.decode("RGB"))
    text = ds.explain()
    assert 'with_columns url.read().decode(mode="RGB").alias("image")' in text
    assert [line.partition(": ")[2] for line in text.splitlines() if line.startswith("stage")] == [
        "uri.read(url)",
        "with_columns",
    ]


def test_types_are_checked_when_the_query_is_built():
    """Only text names files, and only bytes are images."""
    ds = ld.range(3)
    with pytest.raises(ld.SchemaError, match="paths or URLs as text"):
        ds.with_columns(x=ld.col("id").uri.read())
    with pytest.raises(ld.SchemaError, match="paths or URLs as text"):
        ds.select(ld.lit("a").alias("a")).with_columns(x=ld.col("a").uri.read().uri.read())
    with pytest.raises(ld.SchemaError):
        ds.select(ld.lit("a").alias("a")).with_columns(x=ld.col("a").uri.read().tensor.mean())


@pytest.mark.parametrize(
    "settings",
    [
        {"on_error": "skip"},
        {"max_connections": 0},
        {"max_connections": True},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"timeout_s": "1"},
        {"max_bytes": 0},
        {"retries": -1},
    ],
)
def test_wrong_arguments_are_refused(settings):
    """An argument that cannot work is told by name when the query is built."""
    with pytest.raises(ld.ArgumentError, match=next(iter(settings))):
        URL.read(**settings)


@pytest.mark.parametrize("most", [1, 3, 8])
def test_connections_are_bounded(web, workers, most):
    """All workers together never ask for more files at a time than allowed."""
    frame = urls(web, 150).select(data=read(max_connections=most)).collect()
    assert frame["data"].to_list() == [web.files[n] for n in range(150)]
    assert web.most <= most


def test_many_files_are_waited_for_at_a_time(web):
    """With as many connections as rows, a server that holds every answer back until all have asked is no obstacle."""
    ld.config(progress=False)
    together = threading.Barrier(16, timeout=60)
    answer = web.files

    class Held(dict):
        def __getitem__(self, key):
            together.wait()
            return answer[key]

    web.files = Held()
    before = ld.config().workers
    ld.config(workers=0)
    try:
        assert urls(web, 16).select(data=read(max_connections=16)).collect().height == 16
    finally:
        ld.config(workers=before)


def test_a_third_of_random_faults_changes_nothing(web, workers):
    """Servers that fail in turns, in all their ways: every row is right."""
    ways = ["reset", "500", "short", "hangup", "429", "503"]
    rows = [
        {"id": n, "url": f"{web.url}/flaky?n={n}&how={ways[n % 6]}&times={1 if n % 3 == 0 else 0}"} for n in range(120)
    ]
    frame = ld.from_items(rows).select("id", data=read()).collect()
    assert frame["data"].to_list() == [web.files[n] for n in range(120)]
    assert len(web.requests) == 160


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_three_requests_in_ten_that_fail_by_chance_change_nothing(web, workers, seed):
    """With the defaults 300 of 300 URLs are right, though each try may fail, and one that is gone is asked once."""
    rows = [{"id": n, "url": f"{web.url}/weather?n={n % 200}&seed={seed}-{n // 200}"} for n in range(300)]
    rows.append({"id": 300, "url": f"{web.url}/status?code=404"})
    frame = ld.from_items(rows).select("id", data=read(on_error="null")).collect()
    assert frame["data"].to_list() == [*(web.files[n % 200] for n in range(300)), None]
    assert web.seen["/status?code=404"] == 1
    assert 400 < len(web.requests) < 480


def test_an_error_names_the_row_the_url_and_the_step(web, workers):
    """The first row that fails is told, after those before it."""
    rows = [{"url": f"{web.url}/file?n={n}"} for n in range(100)]
    rows[70] = {"url": f"{web.url}/status?code=404&sig=hidden"}
    rows[90] = {"url": f"{web.url}/status?code=410"}
    ds = ld.from_items(rows).select(data=read())
    with pytest.raises(
        ld.ReadError, match=rf"http://127.0.0.1:{web.port}/status\?…: url\.read.*answered 404"
    ) as caught:
        ds.take_all()
    assert caught.value.row == 70
    assert "hidden" not in str(caught.value)
    assert ds.limit(70).count() == 70
    assert len(list(ds.limit(70).iter_rows())) == 70


def test_rows_that_fail_can_be_null_and_are_told(web, workers, caplog):
    """With ``on_error="null"`` the run goes on, and its log says how many rows failed and why."""
    rows = [{"url": f"{web.url}/file?n={n}"} for n in range(40)]
    rows[7] = {"url": f"{web.url}/status?code=404&sig=hidden"}
    rows[9] = {"url": "nothing://x"}
    rows[11] = {"url": "/no/such/file"}
    with caplog.at_level(logging.WARNING, "lightdata"):
        frame = ld.from_items(rows).select(data=read(on_error="null")).collect()
    assert [n for n, value in enumerate(frame["data"]) if value is None] == [7, 9, 11]
    (message,) = [one.getMessage() for one in caplog.records]
    assert "3 rows failed" in message
    assert "404" in message
    assert "hidden" not in message


def test_broken_images_can_be_null(web, workers, caplog):
    """Reading and decoding fail apart: what is no image is null where the decode says so, by the name of its URL."""
    web.files[3] = b"no image"
    web.files[5] = web.files[5][:60]
    ds = urls(web, 40)
    with pytest.raises(ld.DecodeError, match=rf"127.0.0.1:{web.port}/file\?…: url\.read"):
        ds.select(image=read().image.decode()).take_all()
    with caplog.at_level(logging.WARNING, "lightdata"):
        rows = ds.select("id", image=read().image.decode(on_error="null").image.resize(2, 2)).take_all()
    assert [row["id"] for row in rows if row["image"] is None] == [3, 5]
    assert "2 rows failed" in caplog.text


def test_later_steps_name_the_url_too(web, workers):
    """Bytes that one step reads and the next decodes are named by their URL all the same."""
    web.files[3] = b"no image"
    ds = urls(web, 8).with_columns(data=read()).with_columns(image=ld.col("data").image.resize(2, 2)).select("image")
    with pytest.raises(ld.DecodeError, match=rf"127.0.0.1:{web.port}/file\?…: data\.resize") as caught:
        ds.take_all()
    assert caught.value.row == 3


def test_steps_that_need_all_rows_read_afterwards(web, workers):
    """A sort holds URLs, and a limit after it reads only what is kept."""
    ds = urls(web, 100).with_columns(image=read().image.decode()).sort("id", descending=True).head(5)
    assert [row["id"] for row in ds.take_all()] == [99, 98, 97, 96, 95]
    assert len(web.requests) == 5


def test_what_is_read_can_be_a_key(web, workers):
    """A sort by what is in the files reads them first."""
    ds = urls(web, 30).sort(read().image.height(), "id")
    assert [row["id"] for row in ds.take_all()] == sorted(range(30), key=lambda n: (n % 3, n))


def test_a_join_does_not_read_again(web, workers):
    """Rows that a join repeats are read before it, once."""
    labels = ld.from_items([{"k": n % 2, "label": n} for n in range(6)])
    ds = urls(web, 30).with_columns(k=pl.col("id") % 2, data=read()).join(labels, on="k").select("id", "label", "data")
    assert ds.collect().height == 90
    assert len(web.requests) == 30


def test_a_filter_on_what_was_read_does_not_read_twice(web, workers):
    """Asking for the size of images that were read costs no second request."""
    ds = urls(web, 60).with_columns(image=read().image.decode()).filter(ld.col("image").image.height() == 7)
    assert [row["id"] for row in ds.take_all()] == list(range(1, 60, 3))
    assert set(web.seen.values()) == {1}


def test_readings_of_one_step_are_shared(web, workers):
    """Two results of one file need it once."""
    ds = urls(web, 40).select(read().image.width().alias("width"), read().image.height().alias("height"), "id")
    assert ds.collect().rows() == [(8, 6 + n % 3, n) for n in range(40)]
    assert set(web.seen.values()) == {1}


def test_columns_known_only_when_it_runs(web, workers):
    """After a function without a schema, URLs are read, selectors see no more than users, and wrong types are told."""
    ds = urls(web, 40).map(lambda row: {"link": row["url"], "id": row["id"]})
    both = ds.with_columns(ld.col("link").uri.read(allow_private=True).alias("data"), pl.col("id") + 1)
    frame = both.collect()
    assert frame.columns == ["link", "id", "data"]
    assert frame["data"].to_list() == [web.files[n] for n in range(40)]
    with pytest.raises(ld.SchemaError, match="as text"):
        ds.with_columns(x=ld.col("id").uri.read()).take_all()
    with pytest.raises(ld.ColumnNotFoundError, match="'nope' not found"):
        ds.with_columns(x=ld.col("nope").uri.read()).take_all()


def test_what_is_read_is_counted(web, workers):
    """Statistics tell files and bytes of all threads."""
    ds = urls(web, 50).select(data=read())
    ds.collect()
    stats = ds.stats()
    assert (stats.files_opened, stats.bytes_read) == (50, sum(len(web.files[n]) for n in range(50)))


def test_an_unfinished_query_leaves_no_threads(web):
    """A query that is closed early, while a server stalls, ends its threads."""
    before = ld.config()
    ld.config(workers=0, progress=False)
    rows = [{"url": f"{web.url}/file?n={n}"} for n in range(64)] + [{"url": f"{web.url}/drip?part=body"}] * 8
    try:
        stream = ld.from_items(rows).select(data=read(max_connections=8)).iter_batches(batch_size=8)
        next(stream)
        stream.close()
    finally:
        ld.config(workers=before.workers, progress=before.progress)
    for one in threading.enumerate():
        if one.name.startswith("lightdata-read"):
            one.join(30)
            assert not one.is_alive()


QUERIES = {
    "a condition": lambda ds: ds.filter(read().image.height() > 6).select("id"),
    "a condition on the result": lambda ds: ds.with_columns(h=read().image.height()).filter(ld.col("h") > 6),
    "an aggregate": lambda ds: ds.select(read().image.height().max()),
    "beside one": lambda ds: ds.with_columns(read().image.height() / pl.col("id").max()),
    "a window": lambda ds: ds.with_columns(r=read().image.height().sum().over(pl.col("id") % 2)),
    "a group": lambda ds: ds.with_columns(h=read().image.height()).group_by("h").agg(pl.col("id").sum()),
    "a renamed column": lambda ds: ds.rename({"url": "u"}).with_columns(h=ld.col("u").uri.read(allow_private=True)),
    "its own column": lambda ds: ds.with_columns(url=read()).with_columns(h=ld.col("url").image.height()).drop("url"),
    "comparing two": lambda ds: ds.select(
        read()
        .image.resize(2, 2)
        .image.to_tensor()
        .tensor.cosine_similarity(read().image.flip_up_down().image.resize(2, 2).image.to_tensor())
    ),
}


@pytest.mark.parametrize("query", QUERIES)
def test_readings_compose(web, query):
    """Wherever a reading stands, the answer is the same as written and optimized."""
    before = ld.config()
    ds = QUERIES[query](urls(web, 12))
    try:
        found = [ld.config(workers=0, progress=False, optimize=optimize) and ds.collect() for optimize in (True, False)]
    finally:
        ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)
    assert found[0].height > 0
    assert found[0].equals(found[1])
