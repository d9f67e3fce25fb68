"""Rows of JSON files."""

import gzip
import json

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
        '{"n":1}\n{"n":2}',
        '\n\n{"n":1}\r\n  \n{"n":2}\r\n',
        '[{"n":1},{"n":2}]',
        '\n[\n  {"n":1\n},\n\n{\n"n":2}\n]\n',
        '\ufeff[{"n":1},{"n":2}]',
        '\ufeff{"n":1}\n{"n":2}',
        '{\n"n": 1\n}\n{\n"n":\n2}',
    ],
)
def test_objects_are_rows(tmp_path, content):
    """Objects one a line, in one list, or written over several lines, after a byte order mark or not, are rows."""
    ds = ld.read_json(write(tmp_path, a_json=content))
    assert ds.take_all() == [{"n": 1}, {"n": 2}]
    assert ds.count() == 2


def test_a_line_is_never_a_list_in_files_of_lines(tmp_path):
    """In .jsonl a list is a line that is wrong, so that one broken line cannot change what the others are."""
    ds = ld.read_json(write(tmp_path, a_jsonl='[{"n":1}]\n{"n":2}\n'), on_error="null")
    assert ds.take_all() == [{"n": None}, {"n": 2}]


@pytest.mark.parametrize("content", ["", "[]", "\n", " [ ] "])
def test_files_without_rows_give_none(tmp_path, content):
    """An empty file has no rows, and the columns come from one that has some."""
    assert ld.read_json(write(tmp_path, a_json=content)).take_all() == []
    write(tmp_path, b_json='{"n":1}')
    assert ld.read_json(tmp_path).take_all() == [{"n": 1}]
    assert ld.read_json(tmp_path / "a.json", schema={"n": int}).schema().names == ["n"]


WRONG = {
    "null": "null",
    "number": "1",
    "text": '"x"',
    "list": "[1]",
    "cut": '{"n":',
    "two": '{"n":1}{"n":2}',
    "twice": '{"n":1,"n":2}',
    "deep": '{"n":' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep objects": '{"n":' * 100_000 + "1" + "}" * 100_000,
    "other type": '{"n":"x"}',
    "too large": '{"n":1e999}',
    "fraction": '{"n":1.5}',
    "new field": '{"n":1,"m":1}',
    "not UTF-8": '{"n":"\udcff"}',
    "garbage": '{"n":1} x',
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_line_that_is_wrong_fails_by_itself(tmp_path, kind):
    """It raises with its number, becomes a row of nulls, or is left out; the process goes on whatever it is."""
    lines = ['{"n":1}', WRONG[kind], '{"n":3}']
    write(tmp_path, a_jsonl="\n".join(lines).encode(errors="surrogateescape"))
    read = lambda **options: ld.read_json(tmp_path, schema={"n": int}, **options)  # noqa: E731
    with pytest.raises(ld.DecodeError, match=r"a\.jsonl: read json: line 2"):
        read().take_all()
    assert read(on_error="null").take_all() == [{"n": 1}, {"n": None}, {"n": 3}]
    assert read(on_error="skip").take_all() == [{"n": 1}, {"n": 3}]
    assert read(on_error="skip").count() == 2


def test_a_file_of_which_the_first_line_is_wrong_is_read(tmp_path):
    """Columns come from the lines that are right."""
    ds = ld.read_json(write(tmp_path, a_jsonl='null\n{"n":2}'), on_error="null")
    assert ds.take_all() == [{"n": None}, {"n": 2}]


@pytest.mark.parametrize("content", ["{}", "null", "[1]", "[" * 100_000, '{"a":1,"a":2}', '{"\udcff":1}'])
def test_a_file_with_nothing_to_learn_from_is_an_error(tmp_path, content):
    """Where no line is right, the first error is told when the query is built."""
    write(tmp_path, a_json=content.encode(errors="surrogateescape"))
    with pytest.raises(ld.DecodeError, match=r"a\.json"):
        ld.read_json(tmp_path, on_error="null")


def test_elements_of_a_list_fail_by_themselves(tmp_path):
    """One that is no object is one error; a list that is cut off gives what comes before, and one error."""
    write(tmp_path, a_json='[{"n":1}, 7, {"n":2}, {"n":"x"}, {"n":3}')
    rows = ld.read_json(tmp_path, schema={"n": int}, on_error="null").take_all()
    assert [row["n"] for row in rows] == [1, None, 2, None, 3, None]
    with pytest.raises(ld.DecodeError, match="object 2"):
        ld.read_json(tmp_path, schema={"n": int}).take_all()


def test_types_are_inferred_or_declared(tmp_path):
    """Numbers of both kinds become floats, missing fields null; a declared schema is taken as it is."""
    write(tmp_path, a_jsonl='{"n":1,"l":["a"]}\n{"n":1.5,"o":{"x":true}}\n')
    assert ld.read_json(tmp_path).take_all() == [
        {"n": 1.0, "l": ["a"], "o": None},
        {"n": 1.5, "l": None, "o": {"x": True}},
    ]
    declared = {"o": pa.struct([("x", pa.bool_())]), "l": pl.List(pl.String), "n": pl.Float32, "more": int}
    ds = ld.read_json(tmp_path, schema=declared)
    assert ds.schema().names == ["o", "l", "n", "more"]
    assert ds.take_all()[1] == {"o": {"x": True}, "l": None, "n": 1.5, "more": None}


def test_columns_may_be_chosen(tmp_path):
    """One column, none, or the path alone give every row."""
    write(tmp_path, a_jsonl='{"n":1,"m":2}\n' * 3)
    ds = ld.read_json(tmp_path, include_paths=True)
    assert ds.select("m").take_all() == [{"m": 2}] * 3
    assert ds.select("path").take_all() == [{"path": str(tmp_path / "a.jsonl")}] * 3
    assert ds.select(pl.len()).take_all() == [{"len": 3}]
    assert ds.limit(2).count() == 2


def test_many_megabytes_are_read_in_order(tmp_path):
    """Rows of several blocks, one longer than a block among them, keep their order, compressed or not."""
    rows = [{"n": number, "s": "x" * 50} for number in range(120_000)]
    rows[70_000]["s"] = "y" * (5 << 20)
    content = "\n".join(map(json.dumps, rows)).encode()
    for name, packed in {"a_jsonl": content, "b_jsonl_gz": gzip.compress(content, 1)}.items():
        folder = tmp_path / name
        folder.mkdir()
        frame = ld.read_json(write(folder, **{name: packed})).collect()
        assert frame["n"].to_list() == list(range(120_000))
        assert frame["s"][70_000] == "y" * (5 << 20)
    listed = write(tmp_path, c_json=b"[" + b",".join(content.splitlines()) + b"]")
    assert ld.read_json(listed / "c.json").collect()["n"].to_list() == list(range(120_000))


@settings(deadline=None, max_examples=40)
@given(
    broken=st.dictionaries(st.integers(0, 39), st.sampled_from(sorted(WRONG))),
    rows=st.integers(1, 9),
)
def test_each_line_is_a_row_or_one_error(tmp_path_factory, broken, rows):
    """Whichever lines are broken, the others are rows, and each broken one is null or left out."""
    ld.config(workers=0)
    lines = [WRONG[broken[number]] if number in broken else f'{{"n":{number}}}' for number in range(40)]
    content = "\n".join(lines).encode(errors="surrogateescape")
    folder = write(tmp_path_factory.mktemp("json"), a_jsonl=content)
    expected = [None if number in broken else number for number in range(40)]
    for on_error in ("null", "skip"):
        ds = ld.read_json(folder, schema={"n": int}, on_error=on_error)
        found = [
            n for batch in ds.iter_batches(batch_size=rows, batch_format="pyarrow") for n in batch["n"].to_pylist()
        ]
        assert found == (expected if on_error == "null" else [n for n in expected if n is not None])
