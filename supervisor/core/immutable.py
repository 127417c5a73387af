"""Make classes of values like `@dataclass(frozen=True, slots=True)`, at a tenth of the cost of its import.

`dataclasses` writes source code for each class and compiles it. With its imports, this takes a third of the time to
the first task. Here one small function does the same for all classes:

- fields in order, defaults, equality, hash, repr, pattern matching, pickling;
- a value cannot be changed, only replaced;
- type checkers treat it as a frozen dataclass (PEP 681).

There is no inheritance, no mutable default, and no computed field.
"""

from __future__ import annotations

from _weakref import ref  # `weakref` would import more
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")
R = TypeVar("R")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[T]) -> type[T]:
    """Turn a class with annotations into a class of values; the annotations define its `__init__`."""
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    for name in defaults:
        delattr(cls, name)
    methods = {"__setattr__": _frozen, "__delattr__": _frozen, "__init__": _maker(cls.__name__, names, defaults)}
    shared = {"__eq__": _equal, "__hash__": _hash, "__repr__": _repr, "__reduce__": _reduce, "__match_args__": names}
    for name, content in {**methods, **shared}.items():
        setattr(cls, name, content)
    _kinds[cls] = defaults
    return cls


def replace(old: T, **changes: object) -> T:
    """Return a copy of the value with some fields changed.

    Raises:
        TypeError: it has no such field.
    """
    new = object.__new__(type(old))
    fields = new.__dict__
    fields.update(old.__dict__)
    fields.update(changes)
    if len(fields) != len(old.__dict__):
        raise TypeError(f"{type(old).__name__} has no {', '.join(changes.keys() - old.__dict__)}")
    return new


def once(function: Callable[[T], R]) -> Callable[[T], R]:
    """Make a function that computes its result once for each value, and knows it as long as the value lives."""
    known: dict[int, tuple[ref[T], R]] = {}

    def look(value: T) -> R:
        number = id(value)
        if number not in known:
            known[number] = ref(value, lambda _: known.pop(number)), function(value)
        return known[number][1]

    return look


def names_of(kind: type) -> tuple[str, ...]:
    """Return the names of the fields, in order."""
    names: tuple[str, ...] = kind.__match_args__  # type: ignore[attr-defined]
    return names


def not_default(one: object) -> dict[str, Any]:
    """Return the fields that differ from their defaults, by name."""
    defaults = _kinds[type(one)]
    return {
        name: inner for name, inner in one.__dict__.items() if name not in defaults or _differ(inner, defaults[name])
    }


def _differ(one: object, other: object) -> bool:
    return one is not other and (type(one) is not type(other) or one != other)


def plain(one: object) -> dict[str, Any]:
    """Return the fields by name; do the same with fields that are values themselves."""
    return {name: plain(inner) if type(inner) in _kinds else inner for name, inner in one.__dict__.items()}


_kinds: dict[type, dict[str, Any]] = {}
"""All classes of values, with their defaults."""


def _maker(kind: str, names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    count = len(names)
    by_name = [frozenset(names[given:]) for given in range(count + 1)]  # what may be named after so many contents

    def __init__(self: object, *contents: object, **named: object) -> None:  # noqa: N807
        fields = self.__dict__
        fields.update(defaults)
        fields.update(zip(names, contents, strict=False))
        fields.update(named)
        if len(fields) != count or len(contents) > count or (named and not named.keys() <= by_name[len(contents)]):
            if missing := [name for name in names if name not in fields]:
                raise TypeError(f"{kind} needs {', '.join(missing)}")
            raise TypeError(f"{kind} takes {', '.join(names)}; each once")

    return __init__


def _equal(self: object, other: object) -> bool:
    return NotImplemented if type(self) is not type(other) else self.__dict__ == other.__dict__


def _contents(self: object) -> tuple[object, ...]:
    return tuple(self.__dict__[name] for name in names_of(type(self)))


def _hash(self: object) -> int:
    return hash(_contents(self))


def _repr(self: object) -> str:
    inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in names_of(type(self)))
    return f"{type(self).__qualname__}({inside})"


def _reduce(self: object) -> tuple[type, tuple[object, ...]]:
    return type(self), _contents(self)


def _frozen(self: object, *_: object) -> NoReturn:
    raise AttributeError(f"a {type(self).__name__} cannot be changed; see `replace`")
