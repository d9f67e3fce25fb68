"""Each row that fails is one record, whatever becomes of it, and none is lost without one."""

import pickle

import numpy as np
import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import CODES, DecodeError, ExecutionError, FunctionError, RowError, TooManyErrorsError
from lightdata.io.error_frame import error_frame
from lightdata.report.account import Account
from lightdata.report.run_log import PROBATION_ROWS

ROWS = 200
BAD = {3, 40, 77, 150}


@pytest.fixture(autouse=True, params=[0, 1, 2])
def workers(request):
    """Run each test here, with one worker and with two."""
    before = ld.config()
    ld.config(workers=request.param)
    yield request.param
    ld.config(workers=before.workers, on_error=before.on_error, max_errors=before.max_errors)


def numbered(rows=ROWS):
    return ld.from_numpy({"id": np.arange(rows), "x": np.zeros((rows, 2, 2), np.float32)})


def faulty(row):
    if row["id"] in BAD:
        raise ValueError(f"no {row['id']}\x1b[2J")
    return {"id": row["id"]}


def faulty_batch(batch):
    bad = [one for one in batch["id"] if one in BAD]
    if bad:
        raise KeyError(bad[0])
    return {"id": batch["id"]}


def ids(data):
    return [row["id"] for row in data.iter_rows()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold eighty images, of which two are broken."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(80):
        Image.new("RGB", (6, 5), (number, 0, 0)).save(folder / f"{number:02d}.png")
    for number in (7, 50):
        (folder / f"{number:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


def test_map_leaves_failing_rows_out_and_lists_them(caplog):
    """Rows in are rows out and rows in errors, with number, function and cause, and no terminal escape."""
    data = numbered().map(faulty, on_error="skip")
    assert ids(data) == [one for one in range(ROWS) if one not in BAD]
    errors = data.errors()
    assert errors["row"].to_list() == sorted(BAD)
    assert set(errors["stage"]) == {"map(faulty)"}
    assert set(errors["code"]) == {"function_failed"}
    assert set(errors["cause"]) == {"ValueError"}
    assert errors["message"][0] == "ValueError: no 3\\x1b[2J"
    assert "row 40: map(faulty)" in caplog.text
    assert set(errors["attempts"]) == {1}


def test_map_gives_null_rows_for_failing_ones():
    """With a schema, a row that fails is null in all its columns, and stands where it stood."""
    data = numbered().map(faulty, schema={"id": int}, on_error="null")
    assert ids(data) == [None if one in BAD else one for one in range(ROWS)]
    assert data.errors()["row"].to_list() == sorted(BAD)


def test_null_rows_need_known_columns():
    """Without a schema nobody knows what would be null."""
    with pytest.raises(ld.ArgumentError, match="pass schema="):
        numbered().map(faulty, on_error="null")


def test_flat_map_leaves_out_all_of_a_failing_row():
    """A row whose generator fails half-way gives none of its rows."""

    def twice(row):
        yield {"id": row["id"]}
        if row["id"] in BAD:
            raise ValueError("half-way")
        yield {"id": row["id"]}

    data = numbered().flat_map(twice, on_error="skip")
    assert ids(data) == [one for one in range(ROWS) if one not in BAD for _ in range(2)]
    assert data.errors()["row"].to_list() == sorted(BAD)


def test_a_value_that_makes_no_column_is_an_error_of_its_row():
    """A value of the wrong type fails alone; the rows beside it stay."""
    data = numbered().map(
        lambda row: {"id": "?" if row["id"] in BAD else row["id"]}, schema={"id": int}, on_error="skip"
    )
    assert ids(data) == [one for one in range(ROWS) if one not in BAD]
    assert data.errors()["row"].to_list() == sorted(BAD)


@pytest.mark.parametrize("batch_size", [None, 7, 64])
@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_a_failing_batch_is_halved_until_its_rows_are_found(batch_size, on_error):
    """Only the rows that fail alone are lost, whatever the size of batches."""
    data = numbered().map_batches(faulty_batch, batch_size=batch_size, schema={"id": int}, on_error=on_error)
    found = ids(data)
    if on_error == "skip":
        assert found == [one for one in range(ROWS) if one not in BAD]
    else:
        assert found == [None if one in BAD else one for one in range(ROWS)]
    errors = data.errors()
    assert len(errors) == len(BAD)
    assert set(errors["cause"]) == {"KeyError"}
    if batch_size is None:
        assert errors["row"].to_list() == sorted(BAD)


def test_an_image_that_a_function_looks_at_fails_in_its_own_row(tmp_path):
    """A broken image that is decoded as a function asks for it is told with the number of its row, and its file."""
    for number in range(80):
        Image.new("RGB", (6, 5), (number, 0, 0)).save(tmp_path / f"{number:02d}.png")
    cut = (tmp_path / "50.png").read_bytes()[:45]
    (tmp_path / "50.png").write_bytes(cut)
    data = ld.read_images(tmp_path).map(lambda row: {"width": row["image"].shape[1]}, on_error="skip")
    assert data.take_all() == [{"width": 6}] * 79
    (error,) = data.errors().rows(named=True)
    assert (error["row"], error["uri"].rpartition("/")[2], error["code"]) == (50, "50.png", "decode_failed")


def test_the_configuration_says_what_becomes_of_rows(folder):
    """Where neither a reader nor a step says, ``config(on_error=...)`` does, and a word of their own wins."""
    ld.config(on_error="skip")
    assert len(ids(numbered().map(faulty))) == ROWS - len(BAD)
    assert ld.read_images(folder).count() == 78
    with pytest.raises(DecodeError):
        ld.read_images(folder, on_error="raise").take_all()
    binary = ld.read_binary_files(folder).select(ld.col("bytes").image.decode().image.width())
    assert binary.collect()["bytes"].null_count() == 2  # an expression never leaves rows out


@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_broken_images_are_listed_with_their_files(folder, on_error):
    """Each broken file is one record with its name and its place in the listing."""
    data = ld.read_images(folder, on_error=on_error)
    assert len(data.take_all()) == (78 if on_error == "skip" else 80)
    errors = data.errors()
    assert errors.select("row", "code").rows() == [(7, "decode_failed"), (50, "decode_failed")]
    assert [uri.rpartition("/")[2] for uri in errors["uri"]] == ["07.png", "50.png"]


def test_the_row_that_ended_a_run_is_listed_too(folder):
    """A run that raises tells the first error in row order, and lists it."""
    data = ld.read_images(folder)
    with pytest.raises(DecodeError, match=r"07\.png"):
        data.take_all()
    assert [uri.rpartition("/")[2] for uri in data.errors()["uri"]] == ["07.png"]
    data = numbered().map(faulty)
    with pytest.raises(ValueError, match="no 3"):
        data.take_all()
    assert data.errors().select("stage", "code", "cause").rows() == [("map(faulty)", "function_failed", "ValueError")]


def test_a_run_without_errors_lists_none():
    """The frame of no errors has all columns, and a dataset that has not run has none."""
    data = numbered()
    with pytest.raises(ld.NotRunError):
        data.errors()
    data.take_all()
    assert data.errors().shape == (0, 7)


def test_too_many_errors_end_a_run_with_reasons_and_samples(folder):
    """As many as ``max_errors`` pass; one more ends the run, which names reasons and rows."""
    many = numbered().map(faulty, on_error="skip")
    ld.config(max_errors=len(BAD))
    assert len(ids(many)) == ROWS - len(BAD)
    ld.config(max_errors=len(BAD) - 1)
    with pytest.raises(TooManyErrorsError, match=r"4 x function_failed \(ValueError\).*Such as: row 3, row 40, row 77"):
        many.take_all()
    ld.config(max_errors=None)
    with pytest.raises(TooManyErrorsError, match=r"2 x decode_failed.*07\.png.*50\.png"):
        ld.read_images(folder, on_error="skip", max_errors=1).count()
    assert ld.read_images(folder, on_error="skip", max_errors=2).count() == 78


@pytest.mark.parametrize("rows", [ROWS, PROBATION_ROWS + 1000])
def test_a_share_of_errors_ends_a_run(rows):
    """A share is of all rows that were looked at, few or many."""

    def each_tenth(row):
        return {"id": row["id"] // (row["id"] % 10)}

    data = numbered(rows).map(each_tenth, on_error="skip")
    ld.config(max_errors=0.11)
    assert data.count() == rows - rows // 10
    ld.config(max_errors=0.09)
    with pytest.raises(TooManyErrorsError, match=r"max_errors=0\.09"):
        data.count()


@pytest.mark.parametrize("wrong", [-1, 1.5, "all", True])
def test_a_limit_without_meaning_is_refused(folder, wrong):
    """A limit is a count or a share."""
    with pytest.raises(ValueError, match="max_errors"):
        ld.config(max_errors=wrong)
    with pytest.raises(ld.ArgumentError, match="max_errors"):
        ld.read_images(folder, max_errors=wrong)


def test_rows_that_vanish_are_noticed():
    """An operator that gives fewer rows than it was given, and tells of no failure, is a mistake that is told."""

    class Lossy:
        keeps_rows, on_error = True, "skip"

    account = Account((Lossy(),))
    batch = numbered(5).to_arrow().to_batches()[0]
    assert list(account.entering(0, iter([batch]))) == [batch]
    account.check(5)
    with pytest.raises(ExecutionError, match="5 rows, gave 4"):
        account.check(4)
    account.failures(0).append(DecodeError("no", row=1))
    account.check(4)


@pytest.mark.parametrize("kind", [one for one in vars(ld.errors).values() if isinstance(one, type)])
def test_each_row_error_has_a_code_and_travels(kind):
    """Codes are few and listed, and an error is the same behind a pipe."""
    if not issubclass(kind, RowError) or kind is RowError:
        return
    error = kind("no", uri="a", row=1, stage="s", cause="C", attempts=3)
    again = pickle.loads(pickle.dumps(error))
    assert kind.code in CODES
    assert [str(again), again.code, again.cause, again.attempts] == [str(error), kind.code, "C", 3]


def test_errors_are_safe_to_show():
    """A message is at most 500 characters, and neither secrets nor escapes are shown."""

    class MuteError(Exception):
        def __str__(self):
            raise ValueError

    error = FunctionError.of(MuteError(), uri="https://me:secret@host/a.jpg?sig=1", row=0, stage="map(\x1b)")
    shown = error_frame([error, DecodeError("x" * 10**6)])
    assert isinstance(shown, pl.DataFrame)
    assert shown["uri"][0] == "https://…@host/a.jpg?…"
    assert "cannot be shown" in shown["message"][0]
    assert shown["stage"][0] == "map(\\x1b)"
    assert len(shown["message"][1]) == 500


@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_a_model_goes_on_behind_images_it_cannot_take(folder, on_error):
    """Of images that cannot be decoded, or have another size, outputs are null or rows left out, and each is told."""
    pixels = np.zeros((40, 64, 64, 3), np.uint8)
    images = [pixels[0, :32, :32] if n in (5, 33) else pixels[n] for n in range(40)]
    data = ld.from_items([{"id": n, "image": image} for n, image in enumerate(images)])
    data = data.infer("examples/shapes.onnx", top_k=1, on_error=on_error).select("id", "label")
    found = data.collect()
    if on_error == "skip":
        assert found["id"].to_list() == [n for n in range(40) if n not in (5, 33)]
    else:
        assert [n for n, label in found.rows() if label is None] == [5, 33]
    assert data.errors().select("row", "code", "stage").rows() == [
        (n, "decode_failed", "infer(image)") for n in (5, 33)
    ]
