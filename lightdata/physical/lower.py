"""From what to compute to how: a plan becomes a pipeline of stages for workers, Polars segments and steps between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lightdata.expr.deferred import Chain
from lightdata.io.lazy_frame import LazyFrameSource
from lightdata.io.memory import MemorySource
from lightdata.physical.builder import Builder, Places, Work, rows_for, work_of
from lightdata.physical.confluence import ConcatStreams, ZipStreams
from lightdata.physical.driver_steps import Conform
from lightdata.physical.lower_step import is_rowwise, lower_reads, lower_step
from lightdata.physical.operators.decode_images import DecodeImagesOperator, ToPixelsOperator
from lightdata.physical.polars_segment import Incoming, PolarsSegment
from lightdata.physical.stage import Pipeline, SharedRows, SourceScan
from lightdata.plan.node import Drop, Filter, Limit, Plan, Rename, Scan, Select, WithColumns
from lightdata.plan.relational import Cache, Concat, Relational, Zip
from lightdata.plan.schema import chains_of, schema_of
from lightdata.plan.words import step_name
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema


def lower(
    plan: Plan, *, workers: int, pixels: bool = False, frames: bool = False, places: Places | None = None
) -> Pipeline:
    """Lower a plan.

    Parameters
    ----------
    plan : Plan
        Verified, and optimized or not.
    workers : int
        Worker processes there will be; only tells which limits on workers matter.
    pixels : bool
        Decode image columns in the workers, for a consumer that asks for pixels.
    frames : bool
        Let rows leave as Polars' own frames, where nothing but Polars makes them and their columns are known. The
        consumer holds them to the schema of the plan.
    places : dict, optional
        Is told what runs each step.
    """
    schema = schema_of(plan)
    builder = _Lowering(plan, workers, {} if places is None else places, pixels=pixels).lowered(plan, ())
    if builder.fragment is not None and _starts_in_polars(builder.fragment, frames=frames):
        builder.is_relational = True  # nothing but Polars needs to see these rows
    _commit(builder)
    builder.begin(None)
    if pixels and (schema is None or any(isinstance(kind, ImageType) for kind in schema.values())):
        if builder.operators and isinstance(last := builder.operators[-1], DecodeImagesOperator):
            builder.operators[-1] = replace(last, decodes=True)
        builder.add(ToPixelsOperator(), "decode", Work.PIXELS)
    builder.cut(Conform(stage="result", schema=schema))
    return _in_frames(builder.pipeline()) if frames else builder.pipeline()


def _starts_in_polars(fragment: Plan, *, frames: bool) -> bool:
    last = next(reversed(list(fragment.walk())))
    if not isinstance(last, Scan):
        return False
    if fragment is last:  # nothing to do for Polars, unless its rows are wanted as it has them
        return frames and isinstance(last.source, LazyFrameSource)
    return isinstance(last.source, MemorySource | LazyFrameSource)


def _in_frames(pipeline: Pipeline) -> Pipeline:
    match pipeline:
        case Pipeline(start=PolarsSegment(borrows=False) as segment, steps=(Conform(schema=Schema() as schema),)) if (
            schema
        ):
            return Pipeline(start=replace(segment, gives_frames=True), steps=())
    return pipeline


@dataclass(slots=True)
class _Lowering:
    """Lowers the steps of one plan."""

    plan: Plan
    workers: int
    places: Places
    pixels: bool = field(kw_only=True)
    shared: dict[int, Pipeline] = field(default_factory=dict)

    def lowered(self, plan: Plan, later: Sequence[Plan]) -> Builder:
        """Lower a step and all before it; ``later`` are those that will see its rows."""
        match plan:
            case Scan():
                return self._from_source(plan)
            case Concat(parts=parts):
                return self._confluence(ConcatStreams(inputs=self._inputs(parts, plan, later)), plan)
            case Zip(parts=parts, pads=pads):
                schemas = tuple(schema_of(part) for part in parts)
                inputs = self._inputs(parts, plan, later)
                return self._confluence(ZipStreams(inputs=inputs, schemas=schemas, pads=pads), plan)
            case Cache():
                return self._shared(plan, later)
        if isinstance(plan, Relational) or not is_rowwise(plan):
            return self._relational(plan, later)
        builder = self.lowered(plan.inputs[0], (plan, *later))
        if builder.fragment is not None and _is_light(plan):
            fragment = builder.fragment
            builder.fragment = plan.map_inputs(lambda _: fragment)
            builder.kept.append(plan)
            return builder
        _commit(builder)
        builder.begin(plan)
        lower_step(plan, later, builder, pixels=self.pixels)
        return builder

    def _from_source(self, scan: Scan) -> Builder:
        start = SourceScan(source=scan.source, pushdowns=scan.pushdowns, task_rows=rows_for(Work.LIGHT))
        builder = Builder(
            workers=self.workers, places=self.places, start=start, rows_are_listed=scan.source.rows_are_listed
        )
        builder.members.append(scan)
        schema = scan.source.schema
        builder.most_rows = rows_for(work_of(schema))
        # Rows that are let go are told of by the stage that reads them.
        builder.fragment = None if schema is None or scan.source.lets_rows_go else scan
        return builder

    def _confluence(self, start: ConcatStreams | ZipStreams | SharedRows, plan: Plan) -> Builder:
        self.places[id(plan)] = start
        return Builder(workers=self.workers, places=self.places, start=start, is_source_cut=False)

    def _shared(self, plan: Cache, later: Sequence[Plan]) -> Builder:
        if plan.number not in self.shared:
            self.shared[plan.number] = self._inputs((plan.input,), plan, later)[0]
        pipeline = self.shared[plan.number]
        return self._confluence(
            SharedRows(pipeline=pipeline, number=plan.number, readers=_readers(self.plan)[plan.number]), plan
        )

    def _inputs(self, parts: Sequence[Plan], plan: Plan, later: Sequence[Plan]) -> tuple[Pipeline, ...]:
        after = (plan, *later)
        return tuple(_as_input(self.lowered(part, after), part, (), after) for part in parts)

    def _relational(self, plan: Plan, later: Sequence[Plan]) -> Builder:
        """Add a step to the segments of its inputs, or begin one with their rows."""
        known = [schema_of(step) for step in plan.inputs]
        kept: list[Plan] = []
        fragments = iter(
            [
                self._fragment(before, chains, schema, (plan, *later), kept)
                for before, chains, schema in zip(plan.inputs, chains_of(plan), known, strict=True)
            ]
        )
        return Builder(
            workers=self.workers,
            places=self.places,
            kept=[*kept, plan],
            fragment=plan.map_inputs(lambda _: next(fragments)),
            is_relational=True,
            is_source_cut=False,
        )

    def _fragment(
        self, before: Plan, chains: Sequence[Chain], schema: Schema | None, later: Sequence[Plan], kept: list[Plan]
    ) -> Plan:
        builder = self.lowered(before, later)
        if not chains and builder.fragment is not None:
            kept += [*builder.members, *builder.kept]
            return builder.fragment
        deferred = {} if schema is None else {chain.name: chain.type_in(schema) for chain in chains}
        columns = None if schema is None else Schema({**schema, **deferred})
        return Incoming(pipeline=_as_input(builder, before, chains, later), schema=columns)


def _as_input(builder: Builder, part: Plan, chains: Sequence[Chain], later: Sequence[Plan]) -> Pipeline:
    """End a pipeline whose rows others will take."""
    _commit(builder)
    builder.begin(None)
    if chains:
        lower_reads(chains, builder)
        from lightdata.physical.operators.evaluate import ComputeChainsOperator  # noqa: PLC0415 - as lower_step's

        builder.add(ComputeChainsOperator(chains=tuple(chains)), "compute", Work.PIXELS)
        builder.cut()
    else:
        builder.cut(Conform(stage=step_name(later[0]), schema=schema_of(part)))
    return builder.pipeline()


def _readers(plan: Plan) -> Counter[int]:
    """Count the places that read shared rows; what is inside of such rows is read once."""
    readers: Counter[int] = Counter()

    def visit(step: Plan) -> None:
        if isinstance(step, Cache):
            readers[step.number] += 1
            if readers[step.number] > 1:
                return
        for before in step.inputs:
            visit(before)

    visit(plan)
    return readers


def _commit(builder: Builder) -> None:
    """Lower the steps that were kept back: as one segment if Polars must run them, else as operators."""
    fragment, builder.fragment = builder.fragment, None
    if fragment is None:
        return
    kept, builder.kept = builder.kept, []
    if builder.is_relational:
        builder.start, builder.is_source_cut = PolarsSegment(plan=fragment), False
        builder.place([*builder.members, *kept], builder.start)
        builder.members = []
        builder.rows_are_listed = False
        return
    for step, whole in zip(reversed(list(fragment.walk())[:-1]), kept, strict=True):
        builder.begin(whole)
        lower_step(step, (), builder, pixels=False)


def _is_light(plan: Plan) -> bool:
    """Whether Polars can run a step among others: it reads no chain, and its columns are known."""
    match plan:
        case Limit() | Drop() | Rename():
            return True
        case Select() | WithColumns() | Filter():
            return not any(chains_of(plan)) and schema_of(plan.input) is not None
    return False
