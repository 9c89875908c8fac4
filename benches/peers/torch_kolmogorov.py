"""The Kolmogorov work of `cargo xtask bench`, in PyTorch: three U-Nets on windows of 5 states of 2 × 64 × 64."""

from collections.abc import Callable

import torch
from torch.nn.functional import avg_pool2d

from torch_score import denoising_loss, posterior_noise
from torch_unet import FieldLocalScore, FieldWindowNetwork

Work = Callable[[], object]
NETWORKS = {"paper": [96, 192, 384], "small": [32, 64, 128], "tiny": [16, 32, 64]}
LENGTHS = [8, 29]
ORDER, SIZE, FEATURES, BATCH = 2, 64, 2, 8


def settings(name: str) -> dict:
    return {"size": SIZE, "embedding": 64, "hidden": NETWORKS[name], "blocks": [3, 3, 3]}


def train(name: str, compiled: bool = False) -> Work:
    """One AdamW step on a batch of 8 windows, draws of t and ε included."""
    channels = (2 * ORDER + 1) * FEATURES
    network = FieldWindowNetwork(channels, **settings(name))
    if compiled:
        network.compile(dynamic=False)
    batch = torch.randn(BATCH, channels, SIZE, SIZE)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-4, weight_decay=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        denoising_loss(network, batch, torch.rand(BATCH), torch.randn_like(batch)).backward()
        optimiser.step()

    return step


def posterior_score(name: str, length: int, compiled: bool = False) -> Work:
    """One sample, seen through the mean of blocks of 8 × 8 points of every 4th state, σ 0.1, γ 1e-2."""
    network = FieldLocalScore(FEATURES, ORDER, **settings(name))
    network.requires_grad_(False)
    if compiled:
        network.compile(dynamic=False)
    x, t = torch.randn(1, length, FEATURES, SIZE, SIZE), torch.tensor(0.5)
    operator = lambda x: avg_pool2d(x[:, ::4].flatten(0, 1), 8)
    y = torch.randn_like(operator(x))
    return lambda: posterior_noise(network, x, t, y, operator, 0.1, 1e-2)


ITEMS: dict[str, Callable[[], Work]] = {
    **{f"train_kolmogorov_{name}": lambda name=name: train(name) for name in NETWORKS},
    **{
        f"posterior_score_kolmogorov_{name}_{length}": lambda name=name, length=length: posterior_score(name, length)
        for name in NETWORKS
        for length in LENGTHS
    },
}
