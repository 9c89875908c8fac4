"""The peer of `cargo xtask bench gpu`: networks, products and convolutions in PyTorch on a CUDA device.

    torch_gpu.py --serve [--adapter NAME]      answers requests, so that runs may alternate

The device is the CUDA device whose name the adapter's holds or is held by, else the first. Without any, everything
runs on the CPU and the first answer says so: {"ready": true, "device": name, "cuda": false, "versions": {...}}.

Then for each line MODE/ITEM on stdin the item is run (after warm-up runs when it is first asked for in this mode) and
one line {"item": line, "seconds": s} is answered, or {"item": line, "error": "..."}. Modes: eager, f32 throughout;
tf32, products of operands rounded to TF32; compiled, f32, the network through torch.compile. Items: those of the
Lorenz and Kolmogorov work by name, with any number of samples, states or channels that the name holds, and

    matmul_[nt][nt]_MxKxN                     C = A B, either transposed
    conv_FACE_HxWxCIxCO_sS_bB                 3 × 3; FACE forward, input or filter

Convolutions are padded with zeros, since the library has no periodic ones without a copy, and take the faster of both
memory formats. Short items are repeated within one measurement for about 0.1 s, and `seconds` is the time of one: by
CUDA events for bare kernels, by the synchronised clock for networks. Only the item last asked for is kept.
"""

import argparse
import json
import platform
import re
import sys
import time
from collections.abc import Callable

import torch

import torch_kolmogorov
import torch_lorenz

Work = Callable[[], object]
MODES = ["eager", "tf32", "compiled"]
TURN_SECONDS = 0.1
# Channels of networks that have no entry in torch_kolmogorov: the paper's depth with hardly any work.
NARROW = [2, 4, 8]


class Unknown(Exception):
    """No item, or no mode, of this name."""


def numbers(match: re.Match) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", match[0])]


def matmul(match: re.Match) -> list[Work]:
    m, k, n = numbers(match)
    a = torch.randn(k, m).t() if match[1] == "t" else torch.randn(m, k)
    b = torch.randn(n, k).t() if match[2] == "t" else torch.randn(k, n)
    out = torch.empty(m, n)
    return [lambda: torch.mm(a, b, out=out)]


def convolution(match: re.Match) -> list[Work]:
    h, w, ci, co, stride, batch = numbers(match)
    mask = {"forward": None, "input": [True, False, False], "filter": [False, True, False]}[match[1]]

    def of(layout: torch.memory_format) -> Work:
        x = torch.randn(batch, ci, h, w).to(memory_format=layout)
        weight = torch.randn(co, ci, 3, 3).to(memory_format=layout)
        form = ([stride] * 2, [1, 1], [1, 1], False, [0, 0], 1)
        if mask is None:
            return lambda: torch.ops.aten.convolution(x, weight, None, *form)
        y = torch.randn(batch, co, h // stride, w // stride).to(memory_format=layout)
        return lambda: torch.ops.aten.convolution_backward(y, x, weight, None, *form, mask)

    return [of(torch.channels_last), of(torch.contiguous_format)]


def lorenz_score(match: re.Match, compiled: bool) -> Work:
    network = torch_lorenz.global_score() if match[1] else torch_lorenz.local_score()
    if compiled:
        network.compile(dynamic=False)
    return torch_lorenz.posterior_score(network, int(match[2]))


def lorenz_training(match: re.Match, compiled: bool) -> Work:
    if match[1] == "global":
        network, event = torch_lorenz.global_score(), (32, 3)
    else:
        width = 3 * (2 * torch_lorenz.ORDER + 1)
        network, event = torch_lorenz.WindowNetwork(width, 32, [256] * 5), (width,)
    if compiled:
        network.compile(dynamic=False)
    return torch_lorenz.training(network, event)


BARE = [
    (r"matmul_([nt])([nt])_\d+x\d+x\d+", matmul),
    (r"conv_(forward|input|filter)_\d+x\d+x\d+x\d+_s\d+_b\d+", convolution),
]
NETWORKS = [
    (r"posterior_score_(global_)?(\d+)", lorenz_score),
    (r"train_(local|global)", lorenz_training),
    (r"train_kolmogorov_(\w+)", lambda match, compiled: torch_kolmogorov.train(match[1], compiled)),
    (
        r"posterior_score_kolmogorov_(\w+)_(\d+)",
        lambda match, compiled: torch_kolmogorov.posterior_score(match[1], int(match[2]), compiled),
    ),
]


def find(name: str, among: list) -> tuple[re.Match, Callable] | None:
    matches = ((re.fullmatch(pattern, name), build) for pattern, build in among)
    return next(((match, build) for match, build in matches if match), None)


def set_mode(mode: str) -> None:
    torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"
    torch.backends.cudnn.allow_tf32 = mode == "tf32"


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def by_clock(work: Work, repeats: int) -> float:
    """Time of one of several queued runs."""
    synchronise()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronise()
    return (time.perf_counter() - start) / repeats


def by_events(work: Work, repeats: int) -> float:
    """The same by the device's clock."""
    if not torch.cuda.is_available():
        return by_clock(work, repeats)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    end.synchronize()
    return 1e-3 * start.elapsed_time(end) / repeats


class Ready:
    """An item in one mode, warmed up."""

    def __init__(self, name: str, mode: str):
        if mode not in MODES:
            raise Unknown(f"unknown mode; known: {', '.join(MODES)}")
        torch.manual_seed(0)
        if found := find(name, BARE):
            if mode == "compiled":
                raise Unknown("bare kernels are not compiled")
            match, build = found
            self.seconds_of, choices = by_events, build(match)
        elif found := find(name, NETWORKS):
            match, build = found
            try:
                self.seconds_of, choices = by_clock, [build(match, mode == "compiled")]
            except KeyError as error:
                raise Unknown(f"unknown network {error}") from error
        else:
            raise Unknown("unknown item")
        measured = [(self.warm(work), work) for work in choices]
        self.once, self.work = min(measured, key=lambda pair: pair[0])
        self.repeats = round(min(max(TURN_SECONDS / max(self.once, 1e-7), 1), 10_000))

    def warm(self, work: Work) -> float:
        """Time of one, after two runs, or one where that takes over a second."""
        once = by_clock(work, 1)
        if once < 1:
            by_clock(work, 2)
            once = self.seconds_of(work, 3)
        return once

    def seconds(self) -> float:
        return self.seconds_of(self.work, self.repeats)


class Timer:
    """Holds one item in all modes asked for."""

    def __init__(self) -> None:
        self.name, self.ready = "", {}

    def seconds(self, mode: str, name: str) -> float:
        if name != self.name:
            self.name, self.ready = name, {}
        set_mode(mode)
        if mode not in self.ready:
            self.ready[mode] = Ready(name, mode)
        return self.ready[mode].seconds()


def choose(adapter: str) -> str:
    """Makes a device the default one; its name."""
    if not torch.cuda.is_available():
        return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    plain = adapter.split("(")[0].strip().lower()
    fits = [i for i, name in enumerate(names) if plain and (plain in name.lower() or name.lower() in plain)]
    index = fits[0] if fits else 0
    torch.cuda.set_device(index)
    torch.set_default_device(f"cuda:{index}")
    # The library's fastest algorithm for each shape, found by trying.
    torch.backends.cudnn.benchmark = True
    return names[index]


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


def serve(adapter: str) -> None:
    torch_kolmogorov.NETWORKS["narrow"] = NARROW
    device, timer = choose(adapter), Timer()
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions["cuda"] = torch.version.cuda or torch.version.hip or "none"
    answer({"ready": True, "device": device, "cuda": torch.cuda.is_available(), "versions": versions})
    for line in sys.stdin:
        item = line.strip()
        mode, _, name = item.partition("/")
        try:
            answer({"item": item, "seconds": timer.seconds(mode, name)})
        # The compiler and the device raise errors of many kinds; each is the caller's to report.
        except Exception as error:
            answer({"item": item, "error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", required=True, help="answer requests on stdin")
    parser.add_argument("--adapter", default="", help="name of the adapter that is measured beside this")
    serve(parser.parse_args().adapter)


if __name__ == "__main__":
    main()
