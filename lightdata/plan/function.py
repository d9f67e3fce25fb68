"""A user's function as a value: what to call, with what, and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightdata.errors import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserFunction:
    """A function, or a class whose instances are called; built where it runs, once for each worker."""

    target: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    constructor_args: tuple[Any, ...] = ()
    constructor_kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_gpus: float = 0
    """GPUs that a process of it has for itself; a part of one where processes share it."""

    @property
    def name(self) -> str:
        """The name users know it by."""
        return getattr(self.target, "__name__", type(self.target).__name__)

    @property
    def is_class(self) -> bool:
        """Whether instances of it are called."""
        return inspect.isclass(self.target)

    def build(self) -> Callable[[Any], Any]:
        """Make the callable: construct the class, bind the arguments."""
        call = self.target(*self.constructor_args, **self.constructor_kwargs) if self.is_class else self.target
        args, kwargs = self.args, self.kwargs
        return call if not args and not kwargs else lambda value: call(value, *args, **kwargs)


def user_function(step: str, target: Any, **arguments: Any) -> UserFunction:
    """Check what was passed to a step that runs a user's function.

    Raises
    ------
    ArgumentError
        If it cannot be called, or constructor arguments are given for a plain function.
    """
    if not callable(target):
        raise ArgumentError(f"{step} takes a function or a callable class; got {target!r}")
    function = UserFunction(target=target, **{key: value for key, value in arguments.items() if value})
    if function.is_class and "__call__" not in dir(target):
        raise ArgumentError(f"{step}: instances of {function.name} cannot be called; give it a __call__ method")
    _check_gpus(step, function)
    if not function.is_class and (function.constructor_args or function.constructor_kwargs):
        raise ArgumentError(f"{step}: fn_constructor_args are for classes, and {function.name} is a function")
    return function


def _check_gpus(step: str, function: UserFunction) -> None:
    wanted = function.num_gpus
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or wanted < 0 or (wanted > 1 and wanted % 1):
        raise ArgumentError(f"{step}: num_gpus must be a whole number, or a part of one GPU; got {wanted!r}")
    if wanted and not function.is_class:
        raise ArgumentError(f"{step}: num_gpus is for classes, built once for each process; {function.name} is none")
