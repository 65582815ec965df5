"""What the machine itself adds: two bare processes that ask and answer, and together take as long as an answer of ours.

On a machine whose processors are lent to others too, whatever runs for milliseconds is held up now and then. So the slowest
hundredth of our answers stands beside the slowest hundredth of these, which only count.
"""

import os
import socket
import time
from statistics import median


def exchange(milliseconds: float, number: int) -> list[float]:
    """Milliseconds of so many exchanges that take some ``milliseconds`` of one processor or the other, in turns."""
    count = _numbers_in(milliseconds / 2)
    ours, theirs = socket.socketpair()
    if (child := os.fork()) == 0:
        ours.close()
        while theirs.recv(1):
            _count(count)
            theirs.send(b"a")
        os._exit(0)
    theirs.close()
    times = []
    for _ in range(number):
        before = time.perf_counter()
        ours.send(b"q")
        ours.recv(1)
        _count(count)
        times.append((time.perf_counter() - before) * 1000)
    ours.close()
    os.waitpid(child, 0)
    return times


def _numbers_in(milliseconds: float) -> int:
    """How far is counted in so long, in the middle of some tries."""
    tried, seconds = 100_000, []
    for _ in range(9):
        before = time.perf_counter()
        _count(tried)
        seconds.append(time.perf_counter() - before)
    return max(1, round(tried * milliseconds / 1000 / median(seconds)))


def _count(to: int) -> None:
    number = to
    while number:
        number -= 1
