"""Several processes of one program, which has done the imports for all of them."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

SECONDS = 240


def run_forked(function: Callable[..., Any], count: int, *arguments: object) -> None:
    """Call `function(rank, count, *arguments)` in `count` processes; if one fails, end them all and the program."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=(rank, count, *arguments), daemon=True) for rank in range(count)]
    for process in processes:
        process.start()
    running = {process.sentinel: process for process in processes}
    while running:
        ended = [running.pop(sentinel) for sentinel in wait(list(running), timeout=SECONDS)]
        for process in ended:
            process.join()  # its exit code may come a moment after its end
        if not ended or any(process.exitcode for process in ended):
            sys.exit(f"exit codes of the processes: {[process.exitcode for process in processes]}")  # ends the others
