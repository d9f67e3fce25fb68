"""Examples of TFRecord files, written by a few lines here that share nothing with the reader."""

import bz2
import gzip
import pickle
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfrecord_bytes import checksum, crc32c, example, part, record, sequence

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, DecodeError, SchemaError
from lightdata.io.file_format import Part, Request
from lightdata.io.file_rows import FileRowsSource
from lightdata.io.files import FileListSource
from lightdata.io.formats.tfrecord import walk
from lightdata.io.formats.tfrecord.format import TFRecordFormat
from lightdata.io.source import Pushdowns, Source
from lightdata.physical.stage import without_hidden
from lightdata.types.schema import Schema


def source_of(path, **options):
    formats = {name: options.pop(name) for name in [*options] if name in TFRecordFormat.__dataclass_fields__}
    listing = {name: options.pop(name) for name in [*options] if name in FileListSource.__dataclass_fields__}
    return FileRowsSource.open(FileListSource(paths=path, **listing), TFRecordFormat(**formats), **options)


def read(path, task_rows=1000, **options):
    pushdowns = Pushdowns(**{name: options.pop(name) for name in ("columns", "n_rows") if name in options})
    tasks = list(source_of(path, **options).tasks(pushdowns, task_rows=task_rows))
    return [without_hidden(one) for task in pickle.loads(pickle.dumps(tasks)) for one in task.read()]


def write(path, *examples):
    path.write_bytes(b"".join(record(each) for each in examples))
    return path


def rows(path, **options):
    return pa.Table.from_batches(read(path, **options)).to_pylist()


# One record {"label": 7} as TensorFlow's own writer makes it, byte for byte.
GOLDEN = record(bytes.fromhex("0a100a0e0a056c6162656c12051a030a0107"))


def test_a_golden_record_is_read(tmp_path):
    """Bytes laid out by the format's definition give the row they mean."""
    assert crc32c(b"123456789") == 0xE3069283
    (tmp_path / "a.tfrecord").write_bytes(GOLDEN)
    assert rows(tmp_path) == [{"label": 7}]
    assert example(label=[7]) == GOLDEN[12:-4]


def test_single_values_are_unwrapped_and_others_are_lists(tmp_path):
    """A feature that never has two values is a scalar column; missing and empty ones are null."""
    path = write(
        tmp_path / "a",
        example(image=[b"\xff\0"], label=[-1], score=[0.5], boxes=[1, 2], tags=[]),
        example(image=[b"x"], label=[1 << 62], boxes=[3], nothing=None),
    )
    (batch,) = read(path)
    assert dict(zip(batch.schema.names, batch.schema.types, strict=True)) == {
        "boxes": pa.large_list(pa.int64()),
        "image": pa.large_binary(),
        "label": pa.int64(),
        "nothing": pa.null(),
        "score": pa.float32(),
        "tags": pa.large_list(pa.int64()),
    }
    assert batch.to_pylist() == [
        {"boxes": [1, 2], "image": b"\xff\0", "label": -1, "nothing": None, "score": 0.5, "tags": None},
        {"boxes": [3], "image": b"x", "label": 1 << 62, "nothing": None, "score": None, "tags": None},
    ]


def test_types_hold_over_all_batches_of_a_file(tmp_path):
    """Batches of a file share their types even where only the last has a list."""
    path = write(tmp_path / "a", *(example(x=[i]) for i in range(4)), example(x=[4, 5]))
    found = read(path, task_rows=2)
    assert [batch.num_rows for batch in found] == [2, 2, 1]
    assert {batch.schema for batch in found} == {pa.schema({"x": pa.large_list(pa.int64())})}
    assert rows(path, n_rows=3) == [{"x": [0]}, {"x": [1]}, {"x": [2]}]


def test_columns_are_chosen_and_paths_added(tmp_path):
    """Only the columns asked for are made, paths among them; an unknown one is an error."""
    path = write(tmp_path / "a", example(x=[1], y=[2]))
    assert rows(path, include_paths=True, columns=("path", "y")) == [{"path": str(path), "y": 2}]
    assert read(path, columns=())[0].num_rows == 1
    with pytest.raises(ColumnNotFoundError, match="did you mean 'x'"):
        read(path, columns=("xx",))
    with pytest.raises(SchemaError, match="column named 'path'"):
        read(write(tmp_path / "b", example(path=[b"p"])), include_paths=True)


def test_an_empty_file_gives_no_rows(tmp_path):
    """A file without records is read as none."""
    assert read(write(tmp_path / "a")) == []


def test_the_source_says_what_it_knows(tmp_path):
    """The first file tells the columns, lengths alone tell how many rows there are."""
    write(tmp_path / "a.tfrecord", example(x=[1]), example(x=[2]))
    write(tmp_path / "b.tfrecord", *[example(x=[3])] * 5000)
    source = source_of(tmp_path, extensions=("tfrecord",))
    assert isinstance(source, Source)
    assert (dict(source.schema), source.count(), source.rows_are_listed) == ({"x": pa.int64()}, 5002, False)
    assert str(source) == f"tfrecord[{tmp_path}, *.tfrecord]"
    write(tmp_path / "c.tfrecord", b"cut short").write_bytes((tmp_path / "c.tfrecord").read_bytes()[:-1])
    assert source.count() is None


def test_every_flipped_byte_is_found(tmp_path):
    """Rows before a damaged record are delivered, none after, and the error names record and byte."""
    records = [record(example(label=[i], image=[bytes([i]) * 9])) for i in range(5)]
    content, truth = b"".join(records), [{"image": bytes([i]) * 9, "label": i} for i in range(5)]
    path = tmp_path / "a.tfrecord"
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        index = at // len(records[0])
        got = []
        with pytest.raises(DecodeError, match=rf"record {index} at byte {index * len(records[0])}: ") as caught:
            got.extend(_stream(path))
        assert got == truth[:index]
        assert caught.value.uri == str(path)


def _stream(path):
    for task in source_of(path).tasks(Pushdowns(), task_rows=1):
        for batch in map(without_hidden, task.read()):
            yield from batch.to_pylist()


def test_every_cut_is_found_unless_it_is_between_records(tmp_path):
    """A file cut anywhere within a record is an error."""
    one = record(example(x=[1]))
    path = tmp_path / "a"
    for end in range(1, 2 * len(one)):
        path.write_bytes((one * 2)[:end])
        if end == len(one):
            assert rows(path) == [{"x": 1}]
        else:
            with pytest.raises(DecodeError):
                read(path)


@pytest.mark.parametrize("length", [1 << 62, (1 << 64) - 1, 1 << 31])
def test_a_length_beyond_the_file_allocates_nothing(tmp_path, length):
    """A record that claims more bytes than there are is refused before memory is asked for."""
    head = struct.pack("<Q", length)
    (tmp_path / "a").write_bytes(head + checksum(head) + b"abc")
    tracemalloc.start()
    with pytest.raises(DecodeError, match=f"it has {length} bytes"):
        read(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"\xff\xff\xff", part(1, part(1, part(1, b"\xff") + part(2, b"")))])
def test_records_that_are_not_examples_are_named(tmp_path, content):
    """Bytes with right checksums that are no Example are an error with the record's number."""
    with pytest.raises(DecodeError, match=r"record 1 at byte .*not a tf\.train\.Example"):
        read(write(tmp_path / "a", example(x=[1]), content))


def test_a_feature_of_two_kinds_is_refused(tmp_path):
    """A feature that is bytes here and integers there is an error with its name."""
    with pytest.raises(DecodeError, match=r"record 1 at byte .*: feature 'x' is bytes_list, its column is int64"):
        read(write(tmp_path / "a", example(x=[1]), example(x=[b"1"])))


@pytest.mark.parametrize("name", ["gzip", "zlib"])
def test_compressed_files_are_read_whatever_their_name(tmp_path, name):
    """What a file is compressed with is told by its first bytes, or by the user."""
    examples = [example(x=[number]) for number in range(100)]
    content = b"".join(map(record, examples))
    pack = {"gzip": gzip.compress, "zlib": zlib.compress}[name]
    (tmp_path / "a").write_bytes(pack(content))
    assert rows(tmp_path / "a") == rows(tmp_path / "a", compression=name.upper()) == [{"x": n} for n in range(100)]
    assert source_of(tmp_path / "a").count() is None
    with pytest.raises(DecodeError, match="record 0 at byte 0: the checksum of its length"):
        read(tmp_path / "a", compression=None)
    with pytest.raises(DecodeError, match="damaged"):
        read(write(tmp_path / "b", *examples), compression=name.upper())
    with pytest.raises(ArgumentError, match="compression is 'auto', 'GZIP', 'ZLIB' or None; got 'gz'"):
        source_of(tmp_path / "a", compression="gz")


def test_other_compressions_are_named(tmp_path):
    """A file compressed with what TFRecord files never are is refused with its name."""
    (tmp_path / "a").write_bytes(bz2.compress(record(example(x=[1]))))
    with pytest.raises(DecodeError, match="it is compressed with bzip2"):
        read(tmp_path / "a")


def test_a_first_length_may_look_like_a_compression(tmp_path):
    """A record of 0x8b1f bytes begins like a gzip file, and is read all the same."""
    content = example(x=[b"?" * (0x8B1F - 23)])
    assert len(content) == 0x8B1F
    assert rows(write(tmp_path / "a", content))[0]["x"] == b"?" * (0x8B1F - 23)


def test_malformed_records_fail_alone(tmp_path):
    """A record that is no message, or does not fit its column, is an error in its place; all others are rows."""
    first = [example(x=[number], text=[b"a"]) for number in range(1000)]
    path = write(
        tmp_path / "a",
        *first,
        b"\xff\xff",
        example(x=[1, 2]),
        example(x=[b"1"]),
        example(later=[1]),
        example(text=[b"last"]),
    )
    got = list(items(path))
    errors = [str(each) for each in got if isinstance(each, DecodeError)]
    kept = [row for each in got if not isinstance(each, DecodeError) for row in each.to_pylist()]
    assert kept == [*({"text": b"a", "x": n} for n in range(1000)), {"text": b"last", "x": None}]
    expected = [
        "1000 at byte .*not a tf.train.Example",
        "1001 .*'x' has 2 values.*pl.List.pl.Int64",
        "1002 .*bytes_list",
    ]
    expected.append("1003 .*'later' is not in the first records")
    assert all(re.search(f"record {each}", error) for each, error in zip(expected, errors, strict=True))


def test_columns_change_no_rows(tmp_path):
    """A record fails or not whichever columns are asked for."""
    path = write(tmp_path / "a", example(x=[1], y=[1]), example(x=[2], y=[b"b"]), example(x=[3], y=[3]))
    assert rows(path, on_error="skip") == [{"x": 1, "y": 1}, {"x": 3, "y": 3}]
    assert rows(path, on_error="skip", columns=("x",)) == [{"x": 1}, {"x": 3}]
    assert rows(path, on_error="null", columns=("x",)) == [{"x": 1}, {"x": None}, {"x": 3}]
    path = write(
        tmp_path / "b", example(x=[1], y=[b"text"]), example(x=[2], y=[b"\xff"]), example(x=[3], y=[b"a", b"b"])
    )
    schema = Schema({"x": pa.int64(), "y": pa.large_string()})
    for columns in (("x",), ("x", "y")):
        found = rows(path, stored=schema, is_given=True, on_error="skip", columns=columns)
        assert [row["x"] for row in found] == [1]
    schema = Schema({"x": pa.int64(), "y": pa.large_binary()})
    assert rows(path, stored=schema, is_given=True, on_error="skip", columns=("x",)) == [{"x": 1}, {"x": 2}]


def test_bytes_that_nobody_asks_for_are_not_copied(tmp_path):
    """A column of numbers is read without memory for the images beside it."""
    path = str(write(tmp_path / "a", *[example(x=[n], image=[bytes(100_000)]) for n in range(8)]))
    known = TFRecordFormat().learned(path, None)
    for columns, low, high in ((("x",), 0, 10_000), (("x", "image"), 800_000, 10_000_000)):
        before = pa.total_allocated_bytes()
        held = list(known.read(path, None, Part(None), Request(columns=columns, batch_rows=10)))
        assert low <= pa.total_allocated_bytes() - before <= high
        assert sum(batch.num_rows for batch in held) == 8


def test_a_schema_says_what_to_read(tmp_path):
    """With a schema values are cast, lists get shapes, other features are left out, and what does not fit fails."""
    path = write(
        tmp_path / "a",
        example(text=["ä".encode()], small=[255], flag=[1], box=[0.5, 1.5], grid=[1, 2, 3, 4], one=[1], other=[1]),
        example(),
        example(text=[b"\xff"]),
        example(small=[256]),
        example(flag=[2]),
        example(box=[1.0]),
        example(grid=[1]),
        example(one=[1, 2, 3]),
    )
    schema = {
        "text": pl.String,
        "small": pl.UInt8,
        "flag": pl.Boolean,
        "box": pl.Array(pl.Float64, 2),
        "grid": ld.tensor_type("int32", (2, 2)),
        "one": pl.List(pl.Int64),
        "absent": pl.Float32,
    }
    found = ld.read_tfrecords(path, schema=schema, on_error="skip").take_all()
    assert found[0].pop("grid").tolist() == [[1, 2], [3, 4]]
    assert found[0] == {"text": "ä", "small": 255, "flag": True, "box": [0.5, 1.5], "one": [1], "absent": None}
    assert found[1] == dict.fromkeys(schema)
    assert [row["one"] for row in found[2:]] == [[1, 2, 3]]
    with pytest.raises(ArgumentError, match=r"cannot be read as date.* \(column 'day'\)"):
        ld.read_tfrecords(path, schema={"day": pl.Date})


def test_sequences_are_lists_of_their_steps(tmp_path):
    """Context features are columns, feature lists are lists of one value a step, or of lists."""
    path = write(
        tmp_path / "a",
        sequence({"label": [1]}, frames=[[b"a"], [b"b"]], boxes=[[0.5, 1.0], [], [2.0]]),
        sequence({}, frames=[]),
        b"\xff",
        sequence({"label": [1]}, frames=[[1]]),
        sequence({"label": [1]}, frames=[[b"a", b"b"]]),
    )
    got = list(items(path, are_sequences=True))
    kept = [row for each in got if not isinstance(each, DecodeError) for row in each.to_pylist()]
    assert kept == [
        {"label": 1, "frames": [[b"a"], [b"b"]], "boxes": [[0.5, 1.0], [], [2.0]]},
        {"label": None, "frames": [], "boxes": None},
        {"label": 1, "frames": [[b"a", b"b"]], "boxes": None},
    ]
    schema = {"frames": pl.List(pl.Binary)}
    assert ld.read_tfrecords(path, sequences=True, schema=schema, on_error="skip").take_all() == [
        {"frames": [b"a", b"b"]},
        {"frames": []},
    ]


def test_large_files_are_cut_between_records(tmp_path):
    """The parts of a file hold all its records, in order, and know how many they are."""
    contents = [example(x=[number], y=[b"?" * (number * 7919 % 3000)]) for number in range(100)]
    path = str(write(tmp_path / "a", *contents))
    found = list(walk.spans(path, None, rows=5, part_bytes=4096))
    assert len(found) > 10
    whole = TFRecordFormat().learned(path, None)
    request = Request(columns=("x",), batch_rows=100)
    read_back = [
        [row["x"] for batch in whole.read(path, None, Part(None, span), request) for row in batch.to_pylist()]
        for span in found
    ]
    assert [len(each) for each in read_back] == [span.rows for span in found]
    assert [x for each in read_back for x in each] == list(range(100))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_record_is_a_row_or_an_error(tmp_path, data):
    """However a file is damaged, rows and errors come, never anything else, and what they say is of that file."""
    content = bytearray(b"".join(record(example(x=[n], y=[b"abc"], z=[0.5])) for n in range(5)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "double", "length"])):
            case "flip":
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del content[at : at + data.draw(st.integers(1, 30))]
            case "double":
                content[at:at] = content[: data.draw(st.integers(1, 60))]
            case "length":
                content[at : at + 8] = data.draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\0" * 7 + b"\x80"]))
        if not content:
            break
    packed = data.draw(st.sampled_from([bytes, zlib.compress, gzip.compress]))(bytes(content))
    (tmp_path / "a").write_bytes(packed)
    schema = Schema({"x": pa.int64(), "y": pa.large_binary(), "z": pa.float32()})
    for resync in (True, False):
        try:
            got = list(items(tmp_path / "a", resync=resync, stored=schema))
        except DecodeError:
            continue
        assert all(isinstance(each, DecodeError) or each.num_rows for each in got)


def items(path, **options):
    known = TFRecordFormat(**options)
    known = known if known.stored is not None else known.learned(str(path), None)
    return known.read(str(path), None, Part(None), Request(columns=None, batch_rows=1000))


def test_sequence_examples_are_told_from_examples(tmp_path):
    """Feature lists are read where the first message has some, and never left out in silence."""
    content = (Path(__file__).parents[3] / "interop/data/tensorflow/sequences.tfrecord").read_bytes()
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    told, asked = (ld.read_tfrecords(path, **options).take_all() for options in ({}, {"sequences": True}))
    assert told == asked
    assert set(told[0]) == {"frames", "label"}
    path.write_bytes(record(example(label=[1])) + content)
    with pytest.raises(DecodeError, match=r"record \d+ at byte \d+: .*sequences=True"):
        ld.read_tfrecords(path).take_all()
