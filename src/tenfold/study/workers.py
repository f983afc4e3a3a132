"""What worker processes need whoever starts them: one thread each, and an end when their parent wants or has one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

import torch


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Workers that are started inside inherit it: Ctrl-C reaches every process of a terminal, and only the parent is
    to decide what follows from it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start_worker(stop: Event, parent: int) -> None:
    """Called in a new worker: it trains on one thread, and leaves at once when told to or left alone."""
    torch.set_num_threads(1)

    def leave_with_parent() -> None:
        while not stop.wait(0.5) and os.getppid() == parent:
            pass
        os._exit(130)

    threading.Thread(target=leave_with_parent, daemon=True).start()
