"""The doors to other libraries: whole arrays, and datasets for PyTorch, TensorFlow and Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.dataset.exchange import Exchange
from lightdata.dataset.gathered import gathered_table
from lightdata.errors import ArgumentError
from lightdata.plan.schema import schema_of

if TYPE_CHECKING:
    from lightdata.dataset.for_tensorflow import Columns


class Handover(Exchange):
    """A query whose rows other libraries go on with."""

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """Run the query and give each column as one array ``[N, ...]``, images as pixels; never an array of objects.

        Nulls among floats become NaN.

        >>> import lightdata as ld
        >>> ld.range(3).to_numpy()
        {'id': array([0, 1, 2])}

        Raises
        ------
        SchemaError
            If a column has no array form, its shapes differ, or it has nulls that no number stands for.
        """
        from lightdata.dataset.arrays import joined_arrays  # noqa: PLC0415 - each door for those who use it

        arrays = joined_arrays(self._run(self._plan, verb="collect", pixels=True))
        return arrays or joined_arrays(_batches(gathered_table([], schema_of(self._plan))))

    def to_torch(
        self,
        *,
        batch_size: int | None = None,
        dtypes: Any = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
    ) -> Any:
        """Give a ``torch.utils.data.IterableDataset`` of rows, dicts whose arrays are tensors, for a ``DataLoader``.

        The query runs each time it is iterated. With ``num_workers`` each worker of the loader reads a share of the
        rows, so that each row comes once, in an order of the loader's. After a step that needs all rows, each worker
        runs the query and gives a part of the result. Start workers with ``multiprocessing_context="spawn"`` or
        ``"forkserver"``: Polars does not outlive a fork.

        Parameters
        ----------
        batch_size : int, optional
            Give batches of so many rows, for ``DataLoader(..., batch_size=None)``; by default the loader makes them.
        dtypes : torch.dtype or mapping of column to torch.dtype, optional
        drop_last : bool
            Leave out a last batch that is not full.
        local_shuffle_buffer_size : int, optional
            Mix rows among at least so many; ``local_shuffle_seed`` makes it repeatable.

        Raises
        ------
        ArgumentError
            If torch is not installed, or sizes cannot work.
        """
        from lightdata.dataset.for_torch import Delivery, torch_dataset  # noqa: PLC0415 - each door for those who use it

        for name, size in (("batch_size", batch_size), ("local_shuffle_buffer_size", local_shuffle_buffer_size)):
            if size is not None and size < 1:
                raise ArgumentError(f"to_torch: {name} must be a positive number of rows or None; got {size!r}")
        shuffle = None if local_shuffle_buffer_size is None else (local_shuffle_buffer_size, local_shuffle_seed)
        delivery = Delivery(batch_size=batch_size, drop_last=drop_last, shuffle=shuffle, dtypes=dtypes)
        return torch_dataset(self, delivery)

    def to_tf(
        self,
        feature_columns: Columns,
        label_columns: Columns,
        *,
        additional_columns: Columns | None = None,
        prefetch_batches: int = 1,
        batch_size: int = 1,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        feature_type_spec: Any = None,
        label_type_spec: Any = None,
        additional_type_spec: Any = None,
    ) -> Any:
        """Give a ``tf.data.Dataset`` of batches ``(features, labels)``, for Keras' ``fit``.

        The query runs each time it is iterated.

        Parameters
        ----------
        feature_columns, label_columns, additional_columns : str or list of str
            One column gives a tensor, a list gives a dict of them.
        feature_type_spec, label_type_spec, additional_type_spec : tf.TypeSpec or dict of them, optional
            What the tensors are, where columns do not tell.

        Raises
        ------
        ArgumentError
            If TensorFlow is not installed.
        ColumnNotFoundError
            If there is no such column.
        SchemaError
            If a column is no tensor of one shape.
        """
        from lightdata.dataset.for_tensorflow import Part, tf_dataset  # noqa: PLC0415 - each door for those who use it

        told = [
            (feature_columns, feature_type_spec),
            (label_columns, label_type_spec),
            (additional_columns, additional_type_spec),
        ]
        parts = [Part(columns=columns, spec=spec) for columns, spec in told if columns is not None]
        names = list(dict.fromkeys(name for part in parts for name in part.names))

        def batches() -> Iterator[dict[str, NDArray[Any]]]:
            return self.select(names).iter_batches(
                batch_size=batch_size,
                prefetch_batches=prefetch_batches,
                drop_last=drop_last,
                local_shuffle_buffer_size=local_shuffle_buffer_size,
                local_shuffle_seed=local_shuffle_seed,
            )

        return tf_dataset(batches, self.schema(), parts)

    def to_huggingface(self) -> Any:
        """Run the query and give a ``datasets.Dataset``; its images are the bytes of their files, as PNG if made here.

        Raises
        ------
        ArgumentError
            If ``datasets`` is not installed.
        """
        from lightdata.dataset.for_huggingface import huggingface_dataset  # noqa: PLC0415 - each door for those who use it

        return huggingface_dataset(self.to_arrow())


def _batches(table: pa.Table) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in table.schema.types], names=table.schema.names)]
