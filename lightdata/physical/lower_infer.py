"""Models as operators: in the workers' stages on a CPU, in a process of its own for each GPU."""

from __future__ import annotations

from lightdata.errors import DeviceError
from lightdata.inference.device import resolve_placement, visible_gpus
from lightdata.inference.session import most_rows
from lightdata.physical.builder import TASK_ROWS, Builder, Work
from lightdata.physical.gpu_share import GpuShare, OnGpusOperator
from lightdata.physical.operators.infer import InferOperator
from lightdata.physical.stage import Operator
from lightdata.plan.function import UserFunction
from lightdata.plan.node import Infer

CALLS_OF_TASK = 8
"""Calls that a process gets at once for a GPU: while one computes the next is copied, and only the first waits."""


def lower_infer(step: Infer, builder: Builder) -> None:
    """Add a model to a pipeline."""
    model = step.model
    placement = resolve_placement(model.device, model.providers)
    rows = most_rows(model, on_gpu=placement.on_gpu)
    share = GpuShare(devices=visible_gpus()) if placement.on_gpu and placement.index is None else None
    operator = InferOperator(
        columns=step.columns,
        model=model,
        placement=placement,
        batch_rows=rows,
        share=share,
        on_error=step.on_error,
    )
    builder.rows_are_listed &= step.on_error != "skip"
    if not placement.on_gpu:
        builder.add_limited(operator, step, None, Work.PIXELS)
        return
    processes = 1 if share is None else share.places
    builder.rebatch(CALLS_OF_TASK * rows if CALLS_OF_TASK * rows > TASK_ROWS else rows)
    builder.add_limited(operator, step, processes, Work.PIXELS)


def on_gpus(operator: Operator, function: UserFunction) -> tuple[Operator, int | None]:
    """Give an operator that sees its own GPUs alone, where its function needs some, and how many there can be.

    Raises
    ------
    DeviceError
        If there are fewer GPUs than one process needs.
    """
    if not function.num_gpus:
        return operator, None
    share = GpuShare(devices=visible_gpus(), each=function.num_gpus)
    if not share.places:
        raise DeviceError(f"{function.name} needs num_gpus={function.num_gpus}, and there are {len(share.devices)}")
    return OnGpusOperator(operator=operator, share=share), share.places
