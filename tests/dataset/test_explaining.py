"""What explain writes, in all its formats, and that nothing runs for it."""

import re

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.expr.deferred import MARK
from lightdata.optimize.stages import STAGES, about_rule, optimize
from lightdata.plan.relational import Cache


@pytest.fixture(autouse=True)
def _workers():
    before = ld.config()
    ld.config(workers=2, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


class RaiseIfExecuted:
    """An executor that must not be asked."""

    def run(self, pipeline, /):
        """Refuse."""
        raise AssertionError("a query ran")


def same(row):
    """Give back what came."""
    return row


def query():
    names = ld.from_arrow(pa.table({"id": [1, 2], "n": pa.array([7, 8], pa.int16())}))
    named = names.map(same, schema={"id": int, "n": int})
    return ld.range(9).with_columns(x=pl.col("id") * 2).join(named, on="id", how="semi").sort("x")


TREE = """\
sort by col("x")  [<= 9 rows, <= 144 B]  (stage 2 polars)
join semi on col("id")  [<= 9 rows, <= 144 B]  (stage 2 polars)
├─ with_columns [(col("id")) * (dyn int: 2)].alias("x")  [9 rows, 144 B]  (stage 2 polars)
│  scan range[9]  [9 rows, 72 B]  (stage 2 polars)
└─ map same(row)  [2 rows, 32 B]  (stage 1 workers)
   scan memory[2 rows]  [2 rows, 20 B]  (stage 1 workers)"""

DIAGRAM = """\
graph TD
  subgraph s1["stage 1 workers"]
    n2["scan memory#91;2 rows#93;  #91;2 rows, 20 B#93;"]
    n3["map same(row)  #91;2 rows, 32 B#93;"]
  end
  subgraph s2["stage 2 polars"]
    n0["scan range#91;9#93;  #91;9 rows, 72 B#93;"]
    n1["with_columns #91;(col(#34;id#34;)) * (dyn int: 2)#93;.alias(#34;x#34;)  #91;9 rows, 144 B#93;"]
    n4["join semi on col(#34;id#34;)  #91;#60;= 9 rows, #60;= 144 B#93;"]
    n5["sort by col(#34;x#34;)  #91;#60;= 9 rows, #60;= 144 B#93;"]
  end
  n0 --> n1
  n2 --> n3
  n1 --> n4
  n3 --> n4
  n4 --> n5"""


def test_a_tree_shows_both_inputs():
    """Steps stand below one another, inputs side by side, each with its rows, bytes and stage."""
    assert query().explain(format="tree", optimized=False) == TREE


def test_a_diagram_has_a_box_for_each_step():
    """Boxes stand in their stages, and arrows go from the sources to the last step."""
    assert query().explain(format="mermaid", optimized=False) == DIAGRAM


def test_text_says_what_fired_rules_did():
    """Below the names of the rules each has its line, then come the stages."""
    ds = ld.range(9).limit(3)
    assert ds.explain().splitlines() == [
        "scan range[9], first 3 rows  [3 rows, 24 B]",
        "optimized by: push_down_limit",
        f"  push_down_limit: {about_rule('push_down_limit')}",
    ]
    assert all(about_rule(rule.__name__).endswith(".") for stage in STAGES for rule in stage.rules)


def test_an_unknown_format_is_refused():
    """Formats are named in the error."""
    with pytest.raises(ld.ArgumentError, match="'tree'"):
        ld.range(1).explain(format="html")


@pytest.mark.parametrize("form", ["text", "tree", "mermaid"])
def test_rows_made_once_are_shown_once(form):
    """What several places read is written where it comes first, and referred to elsewhere."""
    shared = Cache(input=ld.range(7).map(same, schema={"id": int})._plan, number=1)
    ds = ld.Dataset(shared).union(ld.Dataset(shared).sort("id"))
    text = ds.explain(format=form, optimized=False)
    assert text.count("map same") == 1
    assert text.count("scan range") == 1
    assert text.count("rows 1, made once") == (1 if form == "mermaid" else 2)
    assert ("shown above" in text) == (form != "mermaid")
    assert ds.count() == 14


def test_every_step_that_runs_has_its_stage():
    """Steps of the workers, of Polars and of the calling process are told apart, also when one plan is read twice."""
    mapped = ld.range(9).map(same, schema={"id": int})
    batches = mapped.map_batches(same, batch_size=4, schema={"id": int}).filter(pl.col("id") > 2)
    lines = batches.limit(3).with_row_index().explain(format="tree", optimized=False).splitlines()
    places = [re.search(r"\((stage \d+ \w+)\)$", line) for line in lines]
    assert [place and place[1].split()[-1] for place in places] == ["polars", "here", *["workers"] * 4]
    limited = mapped.limit(3).map(same, schema={"id": int}).explain(format="tree", optimized=False).splitlines()
    assert [line.rsplit(" ", 1)[-1] for line in limited] == ["workers)", "here)", "workers)", "workers)"]
    both = mapped.union(mapped).explain(format="tree", optimized=False)
    assert "(stage 1 workers)" in both
    assert "(stage 2 workers)" in both
    assert "concat of 2  [18 rows, 144 B]  (stage 3 here)" in both


def test_labels_of_a_diagram_hold_no_mark_of_its_language():
    """Quotes, brackets and line ends of a query are written as entities."""
    ds = ld.from_items([{'a"]\n<b>': 1}]).filter(pl.col('a"]\n<b>') > 0)
    for line in ds.explain(format="mermaid").splitlines():
        assert re.fullmatch(
            r'graph TD| +n\d+\["[^"\[\]<>]*(<br/>[^"\[\]<>]*)*"\]| +subgraph s\d+\["[^"\[\]]+"\]| +end| +n\d+ --> n\d+',
            line,
        )


def test_nothing_runs(tmp_path):
    """Building, schemas, reprs, optimizing and explaining in all formats ask no executor; rows do."""
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "a.parquet")
    with executed_by(lambda plan, failures: RaiseIfExecuted()):
        other = ld.read_parquet(tmp_path).with_row_index()
        ds = query().join(other, on="id").filter(same).group_by("id").agg(pl.len()).limit(3)
        images = ld.read_images(tmp_path, file_extensions=None).filter(pl.col("image").image.width() > 3)
        for one in (ds, images, images.union(images)):
            assert repr(one.schema()) in repr(one) or repr(one)
            optimize(one._plan)
            for form in ("text", "tree", "mermaid"):
                for optimized in (True, False):
                    text = one.explain(format=form, optimized=optimized)
                    assert text
                    assert MARK not in text
        with pytest.raises(AssertionError, match="a query ran"):
            ds.take_all()
    assert ld.range(1).take_all() == [{"id": 0}]
