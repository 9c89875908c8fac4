"""How a peer runs its items one at a time on request; what every peer script shares.

    SCRIPT --serve [--threads 2]              answers requests, so that runs may alternate
    SCRIPT --memory-of ITEM [--threads 2]     peak memory of one item, in a fresh process
    SCRIPT --list                             the items' names

Serving: on start one line {"ready": true, "items": [...], "threads": n, "versions": {...}}. Then for each line
with an item's name on stdin, the item is run once (after warm-up runs when it is first asked for) and one
line {"item": name, "seconds": s} is answered; for another name, {"item": name, "error": "..."}. The end of stdin
ends the process. Nothing else is written to stdout. Short items are repeated within one measurement, for about
50 ms, and `seconds` is the time of one. Only the item last asked for is kept.

Memory: {"item": name, "bytes": growth, "before_bytes": before}: by how much the largest resident set grows while the
item is prepared and run three times, and what is resident before, all libraries loaded and threads started.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass
class Library:
    """A peer: its items by name, each a function that prepares work, and what it needs around them."""

    items: dict[str, Callable[[], Work]]
    versions: dict[str, str]
    set_threads: Callable[[int], None]
    load_everything: Callable[[], None]
    seed: Callable[[], None] = lambda: None


class Timer:
    """Holds one item, warmed up when it is first asked for: by two runs, or one where that takes over a second."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.name: str | None = None

    def prepare(self, name: str) -> Work:
        if name != self.name:
            self.name = self.work = None
            self.library.seed()
            work = self.library.items[name]()
            once = seconds(work, 1)
            if once < 1:
                once = seconds(work, 1)
            self.name, self.work = name, work
            self.repeats = round(min(max(0.05 / max(once, 1e-7), 1), 10_000))
        return self.work

    def seconds(self, name: str) -> float:
        work = self.prepare(name)
        return seconds(work, self.repeats)


def seconds(work: Work, repeats: int) -> float:
    """Time of one of several runs."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def resident(entry: str) -> int:
    """A line of /proc/self/status in bytes: VmRSS, what is resident, or VmHWM, its largest so far."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(f"{entry}:")) * 1024


def memory(library: Library, name: str) -> dict[str, int | str]:
    """Growth of the largest resident set by an item, in bytes. Linux only."""
    library.load_everything()
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the largest so far becomes the present one
    before = resident("VmRSS")
    work = library.items[name]()
    for _ in range(3):
        work()
    return {"item": name, "bytes": max(resident("VmHWM") - before, 0), "before_bytes": before}


def serve(library: Library, threads: int) -> None:
    timer = Timer(library)
    answer({"ready": True, "items": list(library.items), "threads": threads, "versions": library.versions})
    for line in sys.stdin:
        name = line.strip()
        if name in library.items:
            answer({"item": name, "seconds": timer.seconds(name)})
        else:
            answer({"item": name, "error": f"unknown item; known: {', '.join(library.items)}"})


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


def main(library: Library, description: str | None) -> None:
    parser = argparse.ArgumentParser(
        description=f"{description}\n\n{__doc__}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--serve", action="store_true", help="answer requests on stdin")
    task.add_argument("--memory-of", metavar="ITEM", choices=list(library.items), help="peak memory of one item")
    task.add_argument("--list", action="store_true", help="print the items' names")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads must be above zero")
    library.set_threads(arguments.threads)
    if arguments.memory_of:
        answer(memory(library, arguments.memory_of))
    elif arguments.serve:
        serve(library, arguments.threads)
    else:
        print("\n".join(library.items))
