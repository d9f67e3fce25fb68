"""Queries of verbs, applied to a dataset and to its oracle."""

from typing import Any

from all_rows_verbs import ALL_ROWS
from hypothesis import strategies as st
from joining_verbs import SEVERAL
from relational_oracle import Both, rows
from rowwise_verbs import ROWWISE


@st.composite
def queries(draw: Any, source: Any = rows(), max_verbs: int = 6) -> Both:  # noqa: B008 - a strategy is a value
    """Draw rows, and verbs one after another."""
    both = draw(source)
    for verb in draw(st.lists(st.sampled_from([*ROWWISE, *ALL_ROWS, *SEVERAL]), min_size=1, max_size=max_verbs)):
        if both.frame.columns:
            both = verb(draw, both)
    return both
