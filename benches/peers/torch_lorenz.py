"""The Lorenz work of `cargo xtask bench`, in PyTorch, and products of matrices."""

import math
from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from torch_score import GlobalScore, LocalScore, WindowNetwork, denoising_loss, posterior_noise

Work = Callable[[], object]
MATMULS = [(64, 256, 256), (1024, 256, 256), (4096, 256, 256), (4096, 864, 96), (1024, 1024, 1024)]
ORDER, LENGTH, DT = 4, 65, 0.025
PARTICLES, PATHS, FILTER_STD = 16384, 1024, 0.25
CENTRE, SCALE = torch.tensor([0.0, 0.0, 25.0]), torch.tensor([8.0, 9.0, 8.6])


def training(network: torch.nn.Module, event: tuple[int, ...]) -> Work:
    """One AdamW step on a batch of 64, draws of t and ε included."""
    batch = torch.randn(64, *event)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        denoising_loss(network, batch, torch.rand(64), torch.randn_like(batch)).backward()
        optimiser.step()

    return step


def train_local() -> Work:
    width = 3 * (2 * ORDER + 1)
    return training(WindowNetwork(width, 32, [256] * 5), (width,))


def train_global() -> Work:
    return training(global_score(), (32, 3))


def local_score() -> LocalScore:
    return LocalScore(3, ORDER, 32, [256] * 5)


def global_score() -> GlobalScore:
    return GlobalScore(3, 64, 3, 32)


def posterior_score(network: torch.nn.Module, samples: int) -> Work:
    """lo: the first component of every 8th state, σ 0.05, γ 3e-2."""
    network.requires_grad_(False)
    x, y, t = torch.randn(samples, LENGTH, 3), torch.randn(9, 1), torch.tensor(0.5)
    return lambda: posterior_noise(network, x, t, y, lambda x: x[:, ::8, :1], 0.05, 3e-2)


def matmul(m: int, k: int, n: int) -> Work:
    a, b, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    return lambda: torch.mm(a, b, out=out)


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


def systematic(weights: Tensor, count: int = PARTICLES) -> Tensor:
    """So many ancestors by systematic resampling."""
    positions = (torch.arange(count, dtype=torch.float64) + torch.rand((), dtype=torch.float64)) / count
    return torch.searchsorted(weights.double().cumsum(0), positions).clamp_(max=weights.numel() - 1)


def filter_problem(particles: int) -> tuple[Tensor, list[float]]:
    """Particles of the prior after 64 transitions, and hi: every state's first component, σ 0.25."""
    truth = initial(1)
    y = []
    for i in range(64 + LENGTH):
        truth = transition(truth)
        if i >= 64:
            y.append((truth[0, 0] / SCALE[0]).item() + FILTER_STD * torch.randn(()).item())
    prior = initial(particles)
    for _ in range(64):
        prior = transition(prior)
    return prior, y


def weights_of(x: Tensor, y: float) -> Tensor:
    """Normalised likelihoods of the particles."""
    return torch.softmax(-0.5 * ((y - x[:, 0] / SCALE[0]) / FILTER_STD) ** 2, dim=0)


def particle_filter() -> Work:
    """hi with 16384 particles, L = 65: systematic resampling, 1024 paths by tracing ancestors at the end."""
    prior, y = filter_problem(PARTICLES)

    def work() -> Tensor:
        x, states, ancestors = prior, [], []
        for i in range(LENGTH):
            if i:
                parent = systematic(weights)
                ancestors.append(parent)
                x = transition(x[parent])
            states.append(x)
            weights = weights_of(x, y[i])
        index = systematic(weights, PATHS)
        path = [x[index]]
        for state, parent in zip(reversed(states[:-1]), reversed(ancestors)):
            index = parent[index]
            path.append(state[index])
        return torch.stack(path[::-1], dim=1)

    return work


def particle_filter_published() -> Work:
    """The same as the published algorithm does it: the particles are whole histories [P, i, 3].

    At each state i the last states of all histories are moved by one transition and appended, so that the histories
    are copied once; then they are weighted by the likelihood of y_i, P ancestors are drawn by multinomial resampling,
    and the histories of the ancestors are copied a second time. Copies grow with i: Σ_i 2 · 12 P i bytes in all.
    """
    prior, y = filter_problem(PARTICLES)

    def work() -> Tensor:
        histories = prior.unsqueeze(1)
        for i in range(LENGTH):
            if i:
                moved = transition(histories[:, -1])
                histories = torch.cat((histories, moved.unsqueeze(1)), dim=1)
            parent = torch.multinomial(weights_of(histories[:, -1], y[i]), PARTICLES, replacement=True)
            histories = histories[parent]
        return histories

    return work


def exact_w1() -> Work:
    """Exact W1 of two sets of 1024 trajectories of the chain, 65 states after 64: Euclidean costs, then the assignment."""

    def trajectories() -> Tensor:
        x, states = initial(1024), []
        for i in range(64 + LENGTH):
            if i:
                x = transition(x)
            if i >= 64:
                states.append(x)
        return torch.stack(states, dim=1).flatten(1)

    a, b = trajectories(), trajectories()

    def work() -> float:
        cost = torch.cdist(a, b).double().numpy()
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].mean())

    return work


ITEMS: dict[str, Callable[[], Work]] = {
    "train_local": train_local,
    "train_global": train_global,
    "posterior_score_64": lambda: posterior_score(local_score(), 64),
    "posterior_score_1024": lambda: posterior_score(local_score(), 1024),
    "posterior_score_global_64": lambda: posterior_score(global_score(), 64),
    "simulate": simulate,
    "particle_filter": particle_filter,
    "particle_filter_published": particle_filter_published,
    "exact_w1": exact_w1,
    **{f"matmul_{m}x{k}x{n}": lambda s=(m, k, n): matmul(*s) for m, k, n in MATMULS},
}
