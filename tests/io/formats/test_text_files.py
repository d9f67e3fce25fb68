"""Rows of text files."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_files import write

import lightdata as ld


@pytest.fixture(autouse=True)
def inline():
    before = ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers)


def texts(ds):
    return ds.collect()["text"].to_list()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        (b"a\0b\rc\xe2\x80\xa8d\n", ["a\0b\rc\u2028d"]),
        (b"x" * (9 << 20) + b"\ny", ["x" * (9 << 20), "y"]),
    ],
    ids=["empty", "empty lines", "CRLF", "byte order mark", "odd characters", "longer than a block"],
)
def test_lines_are_rows(tmp_path, content, lines):
    """A line ends with LF or CRLF and nothing else, however long; empty ones are left out."""
    ds = ld.read_text(write(tmp_path, a_txt=content))
    assert texts(ds) == lines
    assert ds.count() == len(lines)
    assert ds.schema().names == ["text"]


def test_empty_lines_may_be_rows(tmp_path):
    """drop_empty_lines=False keeps a row for each, and none for the end of the last line."""
    assert texts(ld.read_text(write(tmp_path, a_txt="a\n\nb\n"), drop_empty_lines=False)) == ["a", "", "b"]


def test_a_line_in_another_encoding_fails_by_itself(tmp_path):
    """It raises with its number, or becomes null, or is left out; encoding= reads it."""
    write(tmp_path, a_txt="a\né\nb\n".encode("latin-1"))
    with pytest.raises(ld.DecodeError, match=r"a\.txt: read text: line 2: not utf-8"):
        ld.read_text(tmp_path).take_all()
    assert texts(ld.read_text(tmp_path, on_error="null")) == ["a", None, "b"]
    assert texts(ld.read_text(tmp_path, on_error="skip")) == ["a", "b"]
    assert texts(ld.read_text(tmp_path, encoding="latin-1")) == ["a", "é", "b"]
    write(tmp_path, a_txt="+2AA-\nb\n")
    assert texts(ld.read_text(tmp_path, encoding="utf-7", on_error="null")) == [None, "b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "rot13", "no-such", None])
def test_encodings_that_have_no_lines_of_bytes_are_refused(tmp_path, encoding):
    """They are argument errors at once."""
    with pytest.raises(ld.ArgumentError, match="read_text"):
        ld.read_text(write(tmp_path, a_txt="a"), encoding=encoding)


def test_a_compressed_file_that_is_cut_off_gives_the_rows_before(tmp_path):
    """Lines before the damage are rows, then there is one error; to cut off the checksum alone is damage, too."""
    lines = [f"{number:099d}" for number in range(20_000)]
    packed = gzip.compress("\n".join(lines).encode())
    assert texts(ld.read_text(write(tmp_path, a_txt_gz=packed))) == lines
    found = texts(ld.read_text(write(tmp_path, a_txt_gz=packed[: len(packed) // 2]), on_error="null"))
    assert found[-1] is None
    assert found[:-1] == lines[: len(found) - 1]
    assert len(found) > 5_000
    with pytest.raises(ld.DecodeError, match="Truncated"):
        ld.read_text(write(tmp_path, a_txt_gz=packed[:-4])).take_all()


@settings(deadline=None, max_examples=40)
@given(
    lines=st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), max_size=30),
    task_rows=st.integers(1, 9),
)
def test_each_line_is_a_row_or_an_error(tmp_path_factory, lines, task_rows):
    """With null there is a row for each line, in order; with skip those that are text."""
    folder = write(tmp_path_factory.mktemp("text"), a_txt=b"".join(line + b"\n" for line in lines))
    ld.config(workers=0)
    expected = []
    for number, line in enumerate(lines):
        try:
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line).removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            text = None
        expected.append(text)
    for on_error in ("null", "skip"):
        ds = ld.read_text(folder, on_error=on_error, drop_empty_lines=False)
        wanted = expected if on_error == "null" else [text for text in expected if text is not None]
        assert [row["text"] for batch in ds.iter_batches(batch_size=task_rows) for row in rows_of(batch)] == wanted


def rows_of(batch):
    return [{"text": text} for text in batch["text"]]
