"""Models as operators: in the workers' stages on a CPU, in a process of its own for each GPU."""

from __future__ import annotations

from lightdata.inference.device import gpu_count, resolve_placement
from lightdata.inference.session import most_rows
from lightdata.physical.builder import TASK_ROWS, Builder, Work
from lightdata.physical.operators.infer import InferOperator
from lightdata.plan.node import Infer

CALLS_OF_TASK = 8
"""Calls that a process gets at once for a GPU: while one computes the next is copied, and only the first waits."""


def lower_infer(step: Infer, builder: Builder) -> None:
    """Add a model to a pipeline."""
    model = step.model
    placement = resolve_placement(model.device, model.providers)
    rows = most_rows(model, on_gpu=placement.on_gpu)
    operator = InferOperator(columns=step.columns, model=model, placement=placement, batch_rows=rows)
    if not placement.on_gpu:
        builder.add_limited(operator, step, None, Work.PIXELS)
        return
    processes = max(1, gpu_count()) if placement.index is None else 1
    if builder.limited(processes) is not None:
        builder.rebatch(CALLS_OF_TASK * rows if CALLS_OF_TASK * rows > TASK_ROWS else rows)
    builder.add_limited(operator, step, processes, Work.PIXELS)
