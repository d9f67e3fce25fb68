"""The messages of TFRecord files, as Protocol Buffers reads them: one at a time, and right whatever their layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as ProtobufDecodeError

Row = Mapping[str, tuple[str | None, Sequence[Any]]]
"""For each feature, its kind (``None`` where it is not set) and its values."""


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """One ``tf.train.SequenceExample``."""

    context: bytes
    """Its context as a ``tf.train.Example``, in the usual layout."""

    steps: Mapping[str, Sequence[tuple[str | None, Sequence[Any]]]]
    """For each feature list, the kind and the values of every step."""


def in_usual_layout(content: bytes) -> bytes:
    """Write a ``tf.train.Example`` again, without what is unknown, names sorted and numbers packed.

    >>> in_usual_layout(b"").hex()
    ''

    Raises
    ------
    ValueError
        If it is none, or has feature lists, which an example has not.
    """
    if has_steps(content):
        raise ValueError("it is a tf.train.SequenceExample; read it with sequences=True")
    return _laid_out(_parsed("Example", content))


def has_steps(content: bytes) -> bool:
    """Whether a message has feature lists, and so is a ``tf.train.SequenceExample``.

    >>> has_steps(b"")
    False
    """
    try:
        return bool(_parsed("SequenceExample", content).feature_lists.feature_list)
    except ValueError:
        return False


def parse_example(content: bytes) -> Row:
    """Read one ``tf.train.Example``.

    >>> parse_example(bytes.fromhex("0a100a0e0a056c6162656c12051a030a0107"))
    {'label': ('int64_list', [7])}

    Raises
    ------
    ValueError
        If it is none.
    """
    features = _parsed("Example", content).features.feature
    return {name: _values(features[name]) for name in sorted(features)}


def parse_sequence(content: bytes) -> SequenceRow:
    """Read one ``tf.train.SequenceExample``.

    >>> parse_sequence(b"")
    SequenceRow(context=b'', steps={})

    Raises
    ------
    ValueError
        If it is none.
    """
    message = _parsed("SequenceExample", content)
    lists = message.feature_lists.feature_list
    context = _class("Example")()
    context.features.MergeFrom(message.context)
    steps = {name: [_values(step) for step in lists[name].feature] for name in sorted(lists)}
    return SequenceRow(_laid_out(context) if message.context.feature else b"", steps)


def _parsed(name: str, content: bytes) -> Any:
    try:
        return _class(name).FromString(content)
    except ProtobufDecodeError as error:
        raise ValueError(f"it is not a tf.train.{name}") from error


def _laid_out(message: Any) -> bytes:
    message.DiscardUnknownFields()
    return bytes(message.SerializeToString(deterministic=True))


def _values(feature: Any) -> tuple[str | None, Sequence[Any]]:
    kind = feature.WhichOneof("kind")
    return kind, list(getattr(feature, kind).value) if kind else ()


@cache
def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"lightdata.{name}"))


@cache
def _pool() -> Any:
    """Describe the messages, in a pool of its own: TensorFlow may be loaded too."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="lightdata", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        _message(file, name).field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
    feature = _message(file, "Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        _submessage(feature, f"{name.removesuffix('List').lower()}_list", number, name).oneof_index = 0
    _map(_message(file, "Features"), "Features", "feature", "Feature")
    _submessage(_message(file, "Example"), "features", 1, "Features")
    steps = _submessage(_message(file, "FeatureList"), "feature", 1, "Feature")
    steps.label = field.LABEL_REPEATED
    _map(_message(file, "FeatureLists"), "FeatureLists", "feature_list", "FeatureList")
    sequence = _message(file, "SequenceExample")
    _submessage(sequence, "context", 1, "Features")
    _submessage(sequence, "feature_lists", 2, "FeatureLists")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _message(file: Any, name: str) -> Any:
    return file.message_type.add(name=name)


def _map(message: Any, owner: str, name: str, kind: str) -> None:
    field = descriptor_pb2.FieldDescriptorProto
    entry = message.nested_type.add(name=f"{''.join(map(str.capitalize, name.split('_')))}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    _submessage(entry, "value", 2, kind)
    _submessage(message, name, 1, f"{owner}.{entry.name}").label = field.LABEL_REPEATED


def _submessage(message: Any, name: str, number: int, kind: str) -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    return message.field.add(
        name=name,
        number=number,
        type=proto.TYPE_MESSAGE,
        label=proto.LABEL_OPTIONAL,
        type_name=f".lightdata.{kind}",
    )
