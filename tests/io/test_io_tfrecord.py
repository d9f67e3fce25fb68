"""Examples of TFRecord files, written by a few lines here that share nothing with the reader."""

import pickle
import struct
import tracemalloc

import pyarrow as pa
import pytest

from lightdata.errors import ArgumentError, ColumnNotFoundError, DecodeError, LightdataError, SchemaError
from lightdata.io.source import Pushdowns, Source
from lightdata.io.tfrecord import TFRecordSource


def crc32c(content):
    """Checksum bit by bit, from the polynomial."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checksum(content):
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content):
    length = struct.pack("<Q", len(content))
    return length + checksum(length) + content + checksum(content)


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def part(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values):
    if values is None:
        return b""
    if values and isinstance(values[0], bytes):
        return part(1, b"".join(part(1, value) for value in values))
    if values and isinstance(values[0], float):
        return part(2, part(1, struct.pack(f"<{len(values)}f", *values)))
    return part(3, part(1, b"".join(varint(value) for value in values)))


def example(**features):
    entries = (part(1, part(1, name.encode()) + part(2, feature(values))) for name, values in features.items())
    return part(1, b"".join(entries))


def read(path, task_rows=1000, **options):
    pushdowns = Pushdowns(**{name: options.pop(name) for name in ("columns", "n_rows") if name in options})
    tasks = list(TFRecordSource(paths=path, **options).tasks(pushdowns, task_rows=task_rows))
    return [batch for task in pickle.loads(pickle.dumps(tasks)) for batch in task.read()]  # noqa: S301 - made just now


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
    with pytest.raises(SchemaError, match="feature named 'path'"):
        read(write(tmp_path / "b", example(path=[b"p"])), include_paths=True)


def test_an_empty_file_gives_no_rows(tmp_path):
    """A file without records is read as none."""
    assert read(write(tmp_path / "a")) == []


def test_the_source_says_what_it_does_not_know(tmp_path):
    """Schema and count are unknown until the files are read."""
    source = TFRecordSource(paths=tmp_path, extensions=("tfrecord",))
    assert isinstance(source, Source)
    assert (source.schema, source.count(), source.rows_are_listed) == (None, None, False)
    assert str(source) == f"tfrecord[{tmp_path}, *.tfrecord]"


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
    for task in TFRecordSource(paths=path).tasks(Pushdowns(), task_rows=1):
        for batch in task.read():
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
    with pytest.raises(DecodeError, match="record 1: feature 'x' is bytes_list, before it was int64_list"):
        read(write(tmp_path / "a", example(x=[1]), example(x=[b"1"])))


def test_compressed_files_are_refused_by_name(tmp_path):
    """A compressed file is refused when the query is built, or when the listing meets it."""
    with pytest.raises(ArgumentError, match="is compressed"):
        TFRecordSource(paths="a.tfrecord.gz")
    (tmp_path / "a.tfrecord.zst").touch()
    with pytest.raises(LightdataError, match="is compressed"):
        read(tmp_path)
