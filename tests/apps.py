"""Applications that tests share: to make one takes longer than most tests."""

import asyncio
import copy
import gc
from collections import deque
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from fastapi import FastAPI

_REMEMBERS = (dict, set, list, deque, int, float, str, bytes, type(None))
_LOOP_BOUND = (asyncio.Event, asyncio.Lock, asyncio.Semaphore)


class SharedApp:
    """One application, for each test as it was made: what its parts remember of callers, keys and event loops is forgotten."""

    def __init__(self, make: Callable[[], FastAPI]) -> None:
        self._app = make()
        self._parts = [(part, _remembered(part)) for part in _parts(self._app)]

    def fresh(self) -> FastAPI:
        """The application, as it was made."""
        for part, remembered in self._parts:
            for name, value in remembered.items():
                vars(part)[name] = copy.copy(value)
            for value in vars(part).values():
                if isinstance(value, _LOOP_BOUND):
                    vars(value)["_loop"] = None  # each test has a loop of its own
        return self._app


def _remembered(part: object) -> dict[str, Any]:
    return {name: copy.copy(value) for name, value in vars(part).items() if type(value) in _REMEMBERS}


def _parts(app: FastAPI) -> Iterator[object]:
    """Every object of our own classes that the application holds on to."""
    seen, left = {id(app)}, [app]
    while left:
        one = left.pop()
        if type(one).__module__.partition(".")[0] in {"shared", "services"} and hasattr(one, "__dict__"):
            yield one
        # A function's globals are everybody's; what it closes over is the application's.
        held = [one.__closure__, one.__defaults__] if isinstance(one, FunctionType) else gc.get_referents(one)
        for other in held:
            if id(other) not in seen and not isinstance(other, type | ModuleType):
                seen.add(id(other))
                left.append(other)
