"""The Lorenz work of `cargo xtask bench`, in PyTorch: one JSON object of times, or one item at a time on request.

    torch_lorenz.py [--threads 2] [--seconds 3] [--items a,b]     times every item: medians, minima, memory
    torch_lorenz.py --serve [--threads 2]                         answers requests, so that runs may alternate
    torch_lorenz.py --memory ITEM                                 peak memory of one item, in a fresh process

Serving: on start one line {"ready": true, "items": [...], "threads": n, "versions": {...}}. Then for each line
with an item's name on stdin, the item is run once (after two unmeasured runs when it is first asked for) and one
line {"item": name, "seconds": s} is answered; for another name, {"item": name, "error": "..."}. The end of stdin
ends the process. Nothing else is written to stdout. Very short items are repeated within one measurement and
`seconds` is the time of one.
"""

import argparse
import json
import math
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from torch_score import GlobalScore, LocalScore, WindowNetwork, denoising_loss, posterior_noise

Work = Callable[[], object]
MATMULS = [(64, 256, 256), (1024, 256, 256), (4096, 256, 256), (4096, 864, 96), (1024, 1024, 1024)]
ORDER, LENGTH, DT = 4, 65, 0.025
CENTRE, SCALE = torch.tensor([0.0, 0.0, 25.0]), torch.tensor([8.0, 9.0, 8.6])


def training(network: torch.nn.Module, event: tuple[int, ...]) -> Work:
    """One AdamW step on a batch of 64, draws of t and ε included."""
    batch = torch.randn(64, *event)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        denoising_loss(network, batch, torch.rand(64), torch.randn_like(batch)).backward()
        optimiser.step()

    return step


def train_local() -> Work:
    width = 3 * (2 * ORDER + 1)
    return training(WindowNetwork(width, 32, [256] * 5), (width,))


def train_global() -> Work:
    return training(GlobalScore(3, 64, 3, 32), (32, 3))


def posterior_score(samples: int) -> Work:
    """lo: the first component of every 8th state, σ 0.05, γ 3e-2."""
    network = LocalScore(3, ORDER, 32, [256] * 5)
    network.requires_grad_(False)
    x, y, t = torch.randn(samples, LENGTH, 3), torch.randn(9, 1), torch.tensor(0.5)
    return lambda: posterior_noise(network, x, t, y, 8, 0.05, 3e-2)


def matmul(m: int, k: int, n: int) -> Work:
    a, b, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    repeats = max(1, 20_000_000 // (m * k * n) * 10)

    def work() -> None:
        for _ in range(repeats):
            torch.mm(a, b, out=out)

    work.repeats = repeats
    return work


def lorenz63(x: Tensor) -> Tensor:
    """σ = 10, ρ = 28, β = 8/3, over the last axis."""
    a, b, c = x.unbind(-1)
    return torch.stack((10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c), dim=-1)


def transition(x: Tensor) -> Tensor:
    """One RK4 step of Δ, then N(0, Δ I)."""
    k1 = lorenz63(x)
    k2 = lorenz63(x + DT / 2 * k1)
    k3 = lorenz63(x + DT / 2 * k2)
    k4 = lorenz63(x + DT * k3)
    return x + DT / 6 * (k1 + 2 * (k2 + k3) + k4) + math.sqrt(DT) * torch.randn_like(x)


def initial(particles: int) -> Tensor:
    """N((0, 0, 25), [[64, 50, 0], [50, 81, 0], [0, 0, 75]])."""
    covariance = torch.tensor([[64.0, 50.0, 0.0], [50.0, 81.0, 0.0], [0.0, 0.0, 75.0]])
    return CENTRE + torch.randn(particles, 3) @ torch.linalg.cholesky(covariance).T


def simulate() -> Work:
    """1024 trajectories of 256 transitions, every state kept."""

    def work() -> Tensor:
        x = initial(1024)
        states = []
        for _ in range(256):
            x = transition(x)
            states.append(x)
        return torch.stack(states, dim=1)

    return work


def systematic(weights: Tensor) -> Tensor:
    """Ancestors by systematic resampling."""
    n = weights.numel()
    positions = (torch.arange(n, dtype=torch.float64) + torch.rand((), dtype=torch.float64)) / n
    return torch.searchsorted(weights.double().cumsum(0), positions).clamp_(max=n - 1)


def particle_filter(burn_in: int) -> Work:
    """hi: every state's first component, σ 0.25; 16384 particles, L = 65; whole paths by tracing ancestors."""
    particles, std = 16384, 0.25
    truth = initial(1)
    y = []
    for i in range(64 + LENGTH):
        truth = transition(truth)
        if i >= 64:
            y.append((truth[0, 0] / SCALE[0]).item() + std * torch.randn(()).item())
    prior = initial(particles)
    for _ in range(0 if burn_in else 64):
        prior = transition(prior)

    def work() -> Tensor:
        x = initial(particles) if burn_in else prior
        for _ in range(burn_in):
            x = transition(x)
        states, ancestors = [], []
        for i in range(LENGTH):
            if i:
                x = transition(x)
            weights = torch.softmax(-0.5 * ((y[i] - x[:, 0] / SCALE[0]) / std) ** 2, dim=0)
            parent = systematic(weights)
            states.append(x)
            ancestors.append(parent)
            x = x[parent]
        path, index = [], torch.arange(particles)
        for state, parent in zip(reversed(states), reversed(ancestors)):
            index = parent[index]
            path.append(state[index])
        return torch.stack(path[::-1], dim=1)

    return work


def exact_w1() -> Work:
    """Exact W1 of 1024 × 1024 flattened trajectories: Euclidean costs, then the assignment."""
    a, b = torch.randn(1024, LENGTH * 3), torch.randn(1024, LENGTH * 3)

    def work() -> float:
        cost = torch.cdist(a, b).double().numpy()
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].mean())

    return work


ITEMS: dict[str, Callable[[], Work]] = {
    "train_local": train_local,
    "train_global": train_global,
    "posterior_score_64": lambda: posterior_score(64),
    "posterior_score_1024": lambda: posterior_score(1024),
    "simulate": simulate,
    "particle_filter": lambda: particle_filter(0),
    "particle_filter_with_burn_in": lambda: particle_filter(64),
    "exact_w1": exact_w1,
    **{f"matmul_{m}x{k}x{n}": lambda s=(m, k, n): matmul(*s) for m, k, n in MATMULS},
}


class Timer:
    """Builds an item when it is first asked for, warms it up twice, and times single runs."""

    def __init__(self) -> None:
        self.built: dict[str, Work] = {}

    def work(self, name: str) -> Work:
        if name not in self.built:
            torch.manual_seed(0)
            self.built[name] = ITEMS[name]()
            for _ in range(2):
                self.built[name]()
        return self.built[name]

    def seconds(self, name: str) -> float:
        work = self.work(name)
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / getattr(work, "repeats", 1)


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def peak_mib() -> float:
    """Largest resident set so far, in MiB."""
    try:
        # Not getrusage here: Linux hands its maximum on from the parent process.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        # macOS counts bytes, other systems KiB.
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory(name: str) -> dict[str, float]:
    """Peak of this process after three runs, and before the item was built: the libraries alone."""
    before = peak_mib()
    Timer().work(name)()
    return {"peak_mib": round(peak_mib(), 1), "libraries_mib": round(before, 1)}


def serve(threads: int) -> None:
    timer = Timer()
    answer({"ready": True, "items": list(ITEMS), "threads": threads, "versions": versions()})
    for line in sys.stdin:
        name = line.strip()
        try:
            answer({"item": name, "seconds": timer.seconds(name)})
        except KeyError:
            answer({"item": name, "error": f"unknown item; known: {', '.join(ITEMS)}"})


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


def measure(names: list[str], threads: int, budget: float) -> dict:
    """Each item at least three times, then until its budget of seconds is spent or 500 runs are done."""
    timer, results = Timer(), {}
    for name in names:
        timer.work(name)
        times: list[float] = []
        start = time.perf_counter()
        while len(times) < 3 or (len(times) < 500 and time.perf_counter() - start < budget):
            times.append(timer.seconds(name))
        timer.built.pop(name)
        child = [sys.executable, __file__, "--threads", str(threads), "--memory", name]
        used = subprocess.run(child, check=True, capture_output=True, text=True).stdout
        results[name] = {
            "median_seconds": statistics.median(times),
            "min_seconds": min(times),
            "runs": len(times),
            **json.loads(used),
        }
    return {"threads": threads, "versions": versions(), "items": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="time spent on each item")
    parser.add_argument("--items", default=",".join(ITEMS), help="names, separated by commas")
    parser.add_argument("--serve", action="store_true", help="answer requests on stdin")
    parser.add_argument("--memory", metavar="ITEM", help="peak memory of one item")
    arguments = parser.parse_args()
    names = [arguments.memory] if arguments.memory else arguments.items.split(",")
    unknown = [name for name in names if name not in ITEMS]
    if unknown:
        parser.error(f"unknown items {', '.join(unknown)}; known: {', '.join(ITEMS)}")
    if arguments.threads < 1 or not arguments.seconds > 0:
        parser.error("--threads and --seconds must be above zero")
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        answer(memory(arguments.memory))
    elif arguments.serve:
        serve(arguments.threads)
    else:
        print(json.dumps(measure(names, arguments.threads, arguments.seconds), indent=2))


if __name__ == "__main__":
    main()
