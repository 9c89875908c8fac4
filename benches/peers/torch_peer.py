"""The peer of `cargo xtask bench cpu`: runs one item at a time on request, in PyTorch.

    torch_peer.py --serve [--threads 2]              answers requests, so that runs may alternate
    torch_peer.py --memory-of ITEM [--threads 2]     peak memory of one item, in a fresh process
    torch_peer.py --list                             the items' names

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
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy
import torch

import torch_kolmogorov
import torch_lorenz

ITEMS = {**torch_lorenz.ITEMS, **torch_kolmogorov.ITEMS}


class Timer:
    """Holds one item, warmed up when it is first asked for: by two runs, or one where that takes over a second."""

    def __init__(self) -> None:
        self.name: str | None = None

    def prepare(self, name: str) -> Callable[[], object]:
        if name != self.name:
            self.name = self.work = None
            torch.manual_seed(0)
            work = ITEMS[name]()
            once = seconds(work, 1)
            if once < 1:
                once = seconds(work, 1)
            self.name, self.work = name, work
            self.repeats = round(min(max(0.05 / max(once, 1e-7), 1), 10_000))
        return self.work

    def seconds(self, name: str) -> float:
        work = self.prepare(name)
        return seconds(work, self.repeats)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Time of one of several runs."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def resident(entry: str) -> int:
    """A line of /proc/self/status in bytes: VmRSS, what is resident, or VmHWM, its largest so far."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(f"{entry}:")) * 1024


def load_everything() -> None:
    """A training step of a tiny network: starts the threads and loads what the library loads when first used."""
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 2, 3), torch.nn.Flatten(), torch.nn.Linear(392, 2))
    for fused in (False, True):
        optimiser = torch.optim.AdamW(network.parameters(), fused=fused)
        network(torch.randn(64, 2, 16, 16)).square().mean().backward()
        optimiser.step()


def memory(name: str) -> dict[str, int | str]:
    """Growth of the largest resident set by an item, in bytes. Linux only."""
    load_everything()
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the largest so far becomes the present one
    before = resident("VmRSS")
    work = ITEMS[name]()
    for _ in range(3):
        work()
    return {"item": name, "bytes": max(resident("VmHWM") - before, 0), "before_bytes": before}


def serve(threads: int) -> None:
    timer = Timer()
    answer({"ready": True, "items": list(ITEMS), "threads": threads, "versions": versions()})
    for line in sys.stdin:
        name = line.strip()
        if name in ITEMS:
            answer({"item": name, "seconds": timer.seconds(name)})
        else:
            answer({"item": name, "error": f"unknown item; known: {', '.join(ITEMS)}"})


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--serve", action="store_true", help="answer requests on stdin")
    task.add_argument("--memory-of", metavar="ITEM", choices=list(ITEMS), help="peak memory of one item")
    task.add_argument("--list", action="store_true", help="print the items' names")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads must be above zero")
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        answer(memory(arguments.memory_of))
    elif arguments.serve:
        serve(arguments.threads)
    else:
        print("\n".join(ITEMS))


if __name__ == "__main__":
    main()
