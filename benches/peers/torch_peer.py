"""The peer of `cargo xtask bench cpu --peer torch`: our items in PyTorch."""

import platform

import numpy as np
import scipy
import torch

import serving
import torch_kolmogorov
import torch_lorenz

VERSIONS = {
    "python": platform.python_version(),
    "torch": torch.__version__,
    "numpy": np.__version__,
    "scipy": scipy.__version__,
}


def load_everything() -> None:
    """A training step of a tiny network: starts the threads and loads what the library loads when first used."""
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 2, 3), torch.nn.Flatten(), torch.nn.Linear(392, 2))
    for fused in (False, True):
        optimiser = torch.optim.AdamW(network.parameters(), fused=fused)
        network(torch.randn(64, 2, 16, 16)).square().mean().backward()
        optimiser.step()


LIBRARY = serving.Library(
    items={**torch_lorenz.ITEMS, **torch_kolmogorov.ITEMS},
    versions=VERSIONS,
    set_threads=torch.set_num_threads,
    load_everything=load_everything,
    seed=lambda: torch.manual_seed(0),
)

if __name__ == "__main__":
    serving.main(LIBRARY, __doc__)
