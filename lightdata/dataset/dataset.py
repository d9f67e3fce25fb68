"""The dataset."""

from __future__ import annotations

from lightdata.dataset.handover import Handover


class Dataset(Handover):
    """A lazy table whose columns may be images and tensors.

    Verbs that return a dataset add a step to its plan and check it; nothing runs until rows are asked for. Rows
    keep the order of their source, and results do not depend on the number of workers.

    >>> import lightdata as ld
    >>> ld.from_items([{"name": "a"}, {"name": "b"}]).filter(ld.col("name") == "b").take_all()
    [{'name': 'b'}]
    """
