"""Values to files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ColumnNotFoundError, EncodeError, OutputExistsError, RowError
from lightdata.expr.deferred import Chain
from lightdata.io.uris.redaction import visible
from lightdata.io.uris.write import Content, write_file
from lightdata.physical.operators.chains import compute_parts
from lightdata.physical.stage import Context, uri_of, visible_names, with_column
from lightdata.types.file_name import checked_name, filled_template
from lightdata.types.image import RAW, ImageType, binary_values, iter_images
from lightdata.types.plain_array import plain_array
from lightdata.types.uri_operation import WriteUri


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteUrisOperator:
    """Write what chains make of each row, once, and add the paths under the deferred names of these chains."""

    chains: tuple[Chain, ...]

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Write the rows of each batch; those before one that fails are written and passed on."""
        for batch in batches:
            for values in self._computed(batch, context):
                yield from self._written(values, is_again=context.is_again)

    def _computed(self, batch: pa.RecordBatch, context: Context) -> Iterator[pa.RecordBatch]:
        """Add what is to be written, in place of the paths, to some rows at a time."""
        values = {chain: Chain(chain.column, chain.operations[:-1]) for chain in self.chains}
        for some, made in compute_parts(batch, values.values(), context):
            rows = some
            for chain, value in values.items():
                rows = with_column(rows, chain.name, made[value.name])
            yield rows

    def _written(self, batch: pa.RecordBatch, *, is_again: bool) -> Iterator[pa.RecordBatch]:
        rows = zip(*(_jobs(batch, chain) for chain in self.chains), strict=True)
        paths: list[tuple[str | None, ...]] = []
        failure: Exception | None = None
        try:
            for number, jobs in enumerate(rows):
                paths.append(tuple(_path(job, batch, number, is_again=is_again) for job in jobs))
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        out = batch.slice(0, len(paths))
        for place, chain in enumerate(self.chains):
            out = with_column(out, chain.name, plain_array([row[place] for row in paths], pa.large_string()))
        if paths or failure is None:
            yield out
        if failure is not None:
            raise failure


@dataclass(frozen=True, slots=True)
class _Job:
    """One value, and what its file is called."""

    chain: Chain
    value: Any
    names: tuple[Any, ...]


def _jobs(batch: pa.RecordBatch, chain: Chain) -> Iterator[_Job]:
    settings = _settings(chain)
    for name in settings.name_columns:
        if name not in batch.schema.names:
            raise ColumnNotFoundError.for_step(name, step=str(chain), available=visible_names(batch))
    names = [batch.column(name).to_pylist() for name in settings.name_columns]
    for value, row in zip(_values(batch.column(chain.name)), zip(*names, strict=True), strict=True):
        yield _Job(chain, value, row)


def _values(array: pa.Array) -> Sequence[Any]:
    """List bytes, text or images as they are stored."""
    if isinstance(array.type, ImageType):
        return iter_images(array)
    if pa.types.is_large_binary(array.type):
        return binary_values(array)
    return array.to_pylist()


def _path(job: _Job, batch: pa.RecordBatch, number: int, *, is_again: bool) -> str | None:
    if job.value is None:
        return None
    settings = _settings(job.chain)
    try:
        content, name = _content(job.value), _name(settings, job.names)
        path = write_file(
            settings.folder,
            name,
            content,
            overwrite=settings.overwrite,
            retries=settings.retries,
            is_again=is_again,
        )
    except RowError as error:
        raise error.at(uri=uri_of(batch, number), row=number, stage=str(job.chain)) from error.__cause__
    except OutputExistsError as error:
        raise OutputExistsError(f"{job.chain}, row {number} of its batch: {error}") from error.__cause__
    return path


def _content(value: Any) -> Content:
    match value:
        case str():
            return value.encode()
        case bytes() | memoryview():
            return value
    if value.encoding == RAW:
        raise EncodeError("this image is pixels, without bytes of its own; encode it first, as in .image.encode('png')")
    return value.payload


def _name(settings: WriteUri, values: Sequence[Any]) -> str:
    """Give a row's file a name."""
    fields = dict(zip(settings.fields, values, strict=True))
    if nulls := [name for name, value in fields.items() if value is None]:
        raise EncodeError(f"{nulls[0]} is null, which cannot name a file")
    filled = filled_template(settings.name, fields).format() if "{" in settings.name else str(fields[settings.name])
    if visible(filled) != filled:
        raise EncodeError(f"{visible(filled)!r} has characters that nobody sees, which cannot be part of a file name")
    return checked_name(filled)


def _settings(chain: Chain) -> WriteUri:
    operation: Any = chain.operations[-1]
    return operation
