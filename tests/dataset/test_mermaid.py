"""Diagrams."""

from lightdata.dataset.mermaid import Box, draw_mermaid


def test_groups_stand_in_their_order():
    """Groups come in the order given, and those without boxes not at all."""
    boxes = [Box("n0", "a", "second"), Box("n1", "b", "first"), Box("n2", "c")]
    assert draw_mermaid(["first", "none", "second"], boxes, [("n0", "n2")]).splitlines() == [
        "graph TD",
        '  n2["c"]',
        '  subgraph s1["first"]',
        '    n1["b"]',
        "  end",
        '  subgraph s3["second"]',
        '    n0["a"]',
        "  end",
        "  n0 --> n2",
    ]


def test_words_are_text_and_nothing_else():
    """Marks that Mermaid would read become entities, and line ends breaks."""
    assert '["#34;#35;x#34; #91;#60;b#62;#93;<br/>y"]' in draw_mermaid([], [Box("n", '"#x" [<b>]\ny')], [])
