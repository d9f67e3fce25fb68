"""Rows of CSV files."""

import datetime as dt
import gzip

import polars as pl
import pyarrow as pa
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


@pytest.mark.parametrize(
    "content",
    [
        "n,s\n1,a\n2,b\n",
        "n,s\n1,a\n2,b",
        "\ufeffn,s\r\n1,a\r\n2,b\r\n",
        'n,s\n"1","a"\n\n2,b\n',
    ],
    ids=["plain", "without a last line end", "byte order mark and CRLF", "quotes and a blank line"],
)
def test_records_are_rows(tmp_path, content):
    """Whatever ends lines, with a byte order mark or not, quoted or not, records are rows of inferred types."""
    ds = ld.read_csv(write(tmp_path, a_csv=content))
    assert ds.take_all() == [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]
    assert ds.count() == 2


def test_quoted_values_hold_anything(tmp_path):
    """Line ends, separators, quotes and NUL are part of a value; with quote_char=None quotes are, too."""
    write(tmp_path, a_csv='s,n\n"a\n,""b""\0",1\n')
    assert ld.read_csv(tmp_path).take_all() == [{"s": 'a\n,"b"\0', "n": 1}]
    other = tmp_path / "other"
    other.mkdir()
    write(other, a_csv='s;n\n"a;1\n')
    assert ld.read_csv(other, quote_char=None, separator=";").take_all() == [{"s": '"a', "n": 1}]


@pytest.mark.parametrize("content", ["n,s\n", "n,s", '"n","s"\r\n'])
def test_a_header_alone_has_columns_of_text(tmp_path, content):
    """No row says what the columns are; they are text, as those are whose values are all missing."""
    ds = ld.read_csv(write(tmp_path, a_csv=content))
    assert ds.take_all() == []
    assert ds.schema() == {"n": pa.large_string(), "s": pa.large_string()}
    write(tmp_path, a_csv="n,s\n,1\n")
    assert ld.read_csv(tmp_path).take_all() == [{"n": None, "s": 1}]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ld.DecodeError, "Empty CSV"),
        (b"\n\n", ld.DecodeError, "Empty CSV"),
        (b"n,n\n1,2\n", ld.SchemaError, "two columns of one name"),
        (b"\xff,n\n1,2\n", ld.DecodeError, "utf-8"),
        ("n,s\n1,2\n".encode("utf-16"), ld.DecodeError, "utf-8"),
    ],
)
def test_files_without_a_sound_header_are_refused(tmp_path, content, error, message):
    """Columns without names, or with one name, are an error with the file's name when the query is built."""
    with pytest.raises(error, match=rf"a\.csv.*{message}"):
        ld.read_csv(write(tmp_path, a_csv=content))


def test_files_without_a_header_name_columns_by_number(tmp_path):
    """They are f0, f1 and so on, in a file of one line, too."""
    assert ld.read_csv(write(tmp_path, a_csv="1,a\n2,b\n"), has_header=False).take(1) == [{"f0": 1, "f1": "a"}]
    assert ld.read_csv(write(tmp_path, a_csv="1,a"), has_header=False).take_all() == [{"f0": 1, "f1": "a"}]


def test_what_is_missing_is_said_by_null_values(tmp_path):
    """An empty value is null and a quoted one is not; other words may stand for null."""
    write(tmp_path, a_csv='n,s\n1,\n2,""\nNA,x\n')
    assert ld.read_csv(tmp_path).collect()["s"].to_list() == [None, "", "x"]
    frame = ld.read_csv(tmp_path, null_values=["NA", ""]).collect()
    assert frame["n"].to_list() == [1, 2, None]
    assert frame["s"].to_list() == [None, "", "x"]


def test_types_are_inferred_or_declared(tmp_path):
    """Truth values, dates and times are found; an override replaces what was found, and must name a column."""
    write(tmp_path, a_csv="b,d,t,n,big\ntrue,2020-01-01,2020-01-01 01:02:03,1,99999999999999999999\n")
    (row,) = ld.read_csv(tmp_path, schema_overrides={"n": pl.Float32}).take_all()
    assert row == {
        "b": True,
        "d": dt.date(2020, 1, 1),
        "t": dt.datetime(2020, 1, 1, 1, 2, 3),
        "n": 1.0,
        "big": 1e20,
    }
    with pytest.raises(ld.ColumnNotFoundError, match="'m' not found in schema_overrides"):
        ld.read_csv(tmp_path, schema_overrides={"m": int})
    with pytest.raises(ld.ArgumentError, match="'n' cannot be"):
        ld.read_csv(tmp_path, schema_overrides={"n": pa.list_(pa.int64())})


@pytest.mark.parametrize(
    "options",
    [
        {"separator": ""},
        {"separator": ",,"},
        {"separator": "\n"},
        {"separator": '"'},
        {"separator": None},
        {"quote_char": "é"},
        {"null_values": None},
        {"null_values": [1]},
    ],
)
def test_options_that_cannot_work_are_refused_at_once(tmp_path, options):
    """They are argument errors with their name."""
    with pytest.raises(ld.ArgumentError, match=next(iter(options))):
        ld.read_csv(write(tmp_path, a_csv="n\n1\n"), **options)


def test_tabs_are_read_where_they_are_named(tmp_path):
    """Folders give .tsv files where the separator is a tab, and .csv files anyway."""
    write(tmp_path, a_tsv="n\ts\n1\ta\n")
    assert ld.read_csv(tmp_path, separator="\t").take_all() == [{"n": 1, "s": "a"}]
    with pytest.raises(ld.ReadError, match="no file ending in"):
        ld.read_csv(tmp_path)


def test_files_have_the_columns_of_the_first_in_any_order(tmp_path):
    """Columns are found by name; other columns are an error of the file, which may be let go."""
    write(tmp_path, a_csv="n,s\n1,a\n", b_csv="s,n\nb,2\n")
    assert ld.read_csv(tmp_path).collect().rows() == [(1, "a"), (2, "b")]
    write(tmp_path, c_csv="s,m\nb,2\n", d_csv="n,s\n4,d\n")
    with pytest.raises(ld.DecodeError, match=r"c\.csv.*its columns are s, m"):
        ld.read_csv(tmp_path).take_all()
    assert ld.read_csv(tmp_path, on_error="null").collect()["n"].to_list() == [1, 2, None, 4]
    assert ld.read_csv(tmp_path, on_error="skip").collect()["n"].to_list() == [1, 2, 4]


def test_a_record_of_another_encoding_fails_by_itself(tmp_path, capfd):
    """One that has too many values besides is no reason to lose those around it, nor are values changed by it."""
    lines = [b"n,s,b", b"1,caf\xc3\xa9,x", b"2,b,c,\xff", b"3,\xc3\xa9,\xfe", b"4", b"5,\xff\xf4\x8f,y", b"6,g,"]
    write(tmp_path, a_csv=b"\n".join(lines))
    read = lambda **options: ld.read_csv(tmp_path, schema_overrides={"s": str, "b": bytes}, **options)  # noqa: E731
    good = [(1, "café", b"x"), (3, "é", b"\xfe"), (6, "g", None)]
    assert read(on_error="skip").collect().rows() == good
    query = read(on_error="null")
    assert query.collect().rows() == [good[0], (None,) * 3, good[1], *[(None,) * 3] * 2, good[2]]
    first, second, third = query.errors()["message"]
    assert first == "record 3: 4 values, not 3: 2,b,c,\ufffd"
    assert second.startswith("record 5: 1 values")
    assert "'s'" in third
    assert capfd.readouterr().err == ""


def test_a_column_of_another_encoding_is_bytes(tmp_path):
    """So it is inferred, whether all records have as many values or not."""
    write(tmp_path, a_csv=b"n,s\n1,caf\xe9\n2,b\n")
    assert ld.read_csv(tmp_path).take_all() == [{"n": 1, "s": b"caf\xe9"}, {"n": 2, "s": b"b"}]
    write(tmp_path, a_csv=b"n,s\n3,\xff,d\n")
    assert ld.read_csv(tmp_path, on_error="skip").take_all() == []
    write(tmp_path, a_csv=b"n,s\n1,caf\xe9\n2,b\n3,\xff,d\n")
    assert ld.read_csv(tmp_path, on_error="skip").take_all() == [{"n": 1, "s": b"caf\xe9"}, {"n": 2, "s": b"b"}]


def test_what_stands_for_bytes_is_not_taken_for_text(tmp_path):
    """A file that has both, and a record of another encoding, is refused: nobody could tell them apart."""
    write(tmp_path, a_csv="n,s\n1,\U0010ffe9\n".encode() + b"2,\xff,c\n")
    with pytest.raises(ld.DecodeError, match=r"a\.csv.*stand for such"):
        ld.read_csv(tmp_path)
    write(tmp_path, a_csv="n,s\n1,\U0010ffe9\n2\n".encode())
    assert ld.read_csv(tmp_path, on_error="skip").take_all() == [{"n": 1, "s": "\U0010ffe9"}]


def test_a_record_that_is_wrong_fails_by_itself(tmp_path):
    """Too few or too many values, and values of another type, name the record, or are null, or left out."""
    write(tmp_path, a_csv='n,s\n1,a\n2\n3,c\nx,d\n5,"e\n,"\n6,f,g\n7,\n')
    read = lambda **options: ld.read_csv(tmp_path, schema_overrides={"n": int}, **options)  # noqa: E731
    rows = [(1, "a"), (None, None), (3, "c"), (None, None), (5, "e\n,"), (None, None), (7, None)]
    assert read(on_error="null").collect().rows() == rows
    assert read(on_error="skip").collect().rows() == [row for row in rows if row[0]]
    assert read(on_error="skip").count() == 4
    assert read(on_error="skip").select("s").collect().height == 4
    with pytest.raises(ld.DecodeError, match=r"a\.csv: read csv: record 3: 1 values, not 2"):
        read().take_all()
    write(tmp_path, a_csv="n,s\n1,a\n2,b\nx,c\n")
    with pytest.raises(ld.DecodeError, match=r"record 4: column 'n': .*'x'.*schema_overrides"):
        read().take_all()


def test_values_that_change_their_type_late_fail_by_themselves(tmp_path):
    """Rows after the first blocks are read anew, one by one where they must be, and none is given twice."""
    lines = [str(number) for number in range(700_000)]
    lines[650_000] = "x"
    frame = ld.read_csv(write(tmp_path, a_csv="n\n" + "\n".join(lines) + "\n"), on_error="null").collect()
    expected = [None if number == 650_000 else number for number in range(700_000)]
    assert frame["n"].to_list() == expected


@pytest.mark.parametrize("long", ["x" * (5 << 20), '"' + "y\n" * (3 << 20) + '"'], ids=["value", "quoted lines"])
def test_records_longer_than_a_block_are_read(tmp_path, long):
    """They are read anew in longer blocks, and so is a header that is long."""
    write(tmp_path, a_csv=f"n,s\n1,a\n2,{long}\n3,c\n")
    assert ld.read_csv(tmp_path).collect()["s"].to_list() == ["a", long.strip('"'), "c"]
    name = "m" * 100_000
    write(tmp_path, a_csv=f"{name},n\n1,2\n")
    assert ld.read_csv(tmp_path).select("n").take_all() == [{"n": 2}]


def test_compressed_files_are_read_and_those_cut_off_are_told(tmp_path):
    """Whole ones give their rows; one that is cut off is an error after the rows before it."""
    write(tmp_path, a_csv="n\n0\n", b_csv_gz=gzip.compress(b"n\n1\n"))
    assert ld.read_csv(tmp_path).collect()["n"].to_list() == [0, 1]
    write(tmp_path, b_csv_gz=gzip.compress(b"n\n1\n")[:-5])
    with pytest.raises(ld.DecodeError, match="Truncated"):
        ld.read_csv(tmp_path).take_all()
    assert ld.read_csv(tmp_path, on_error="null").collect()["n"].to_list() == [0, None]


def test_columns_may_be_chosen(tmp_path):
    """One column, none, or the path alone give every row; rows alone are counted whatever the values are."""
    write(tmp_path, a_csv="n,s\n" + "1,a\n" * 3)
    ds = ld.read_csv(tmp_path, include_paths=True)
    assert ds.select("s").take_all() == [{"s": "a"}] * 3
    assert ds.select("path").take_all() == [{"path": str(tmp_path / "a.csv")}] * 3
    assert ds.select(pl.len()).take_all() == [{"len": 3}]
    assert ds.limit(2).count() == 2


WRONG = ["x,a", "1", "1,a,b", "1.5,a", "1,\udcff", "99999999999999999999,a"]


@settings(deadline=None, max_examples=40)
@given(broken=st.dictionaries(st.integers(0, 29), st.sampled_from(WRONG)), rows=st.integers(1, 9))
def test_each_record_is_a_row_or_one_error(tmp_path_factory, broken, rows):
    """Whichever records are broken, the others are rows, and each broken one is null or left out."""
    ld.config(workers=0)
    lines = ["n,s", *(broken.get(number, f"{number},s{number}") for number in range(30))]
    content = "\n".join(lines).encode(errors="surrogateescape")
    folder = write(tmp_path_factory.mktemp("csv"), a_csv=content)
    expected = [None if number in broken else number for number in range(30)]
    for on_error in ("null", "skip"):
        ds = ld.read_csv(folder, schema_overrides={"n": int, "s": str}, on_error=on_error)
        found = [
            n for batch in ds.iter_batches(batch_size=rows, batch_format="pyarrow") for n in batch["n"].to_pylist()
        ]
        assert found == (expected if on_error == "null" else [n for n in expected if n is not None])


def test_an_empty_line_is_a_null_where_there_is_one_column(tmp_path):
    """What write_csv writes of a null alone is read as one; beside other columns an empty line is no row."""
    (tmp_path / "one.csv").write_text("x\n\n2\n\n")
    (tmp_path / "two.csv").write_text("x,y\n\n2,3\n\n")
    assert ld.read_csv(tmp_path / "one.csv").take_all() == [{"x": None}, {"x": 2}, {"x": None}]
    assert ld.read_csv(tmp_path / "two.csv").take_all() == [{"x": 2, "y": 3}]
