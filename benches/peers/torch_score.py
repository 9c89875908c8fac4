"""The method's networks, composition and guidance in plain PyTorch, as the peer that benchmarks compare with.

Written from the method's definition (docs/notation.md and ARCHITECTURE.md name the quantities); eager mode, no
compilation, which is how the method is published and used, but for the library's own layer norm, which is
faster (benches/reports/README.md). `torch_check.py` holds it to tests/reference.

Shapes: B batch, L states of a trajectory, D components, W = 2k + 1 states of a window, C channels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

ETA = 1e-3


def alpha(t: Tensor) -> Tensor:
    """cos(t arccos √η)², the default schedule."""
    return torch.cos(t * math.acos(math.sqrt(ETA))) ** 2


def mu_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """μ = α and σ = √(1 − α² + η²), variance preserving."""
    a = alpha(t)
    return a, torch.sqrt(1 - a**2 + ETA**2)


class LayerNorm(nn.Module):
    """No learned scale, the variance's divisor n − 1; over an axis of n numbers, by the library's own kernel.

    (x − mean) / √(v n/(n − 1) + ε) = √((n − 1)/n) (x − mean) / √(v + ε (n − 1)/n), v with the divisor n.
    """

    def __init__(self, n: int, axis: int = -1):
        super().__init__()
        share = (n - 1) / n
        self.axis, self.eps = axis, 1e-5 * share
        self.register_buffer("scale", torch.full((n,), math.sqrt(share)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        last = x.movedim(self.axis, -1)
        return functional.layer_norm(last, self.scale.shape, self.scale, None, self.eps).movedim(-1, self.axis)


class TimeEmbedding(nn.Sequential):
    """cos(π j t), sin(π j t), j = 1 … 16, through two linear layers. [B] → [B, features]; [] → [features]."""

    def __init__(self, features: int):
        super().__init__(nn.Linear(32, 256), nn.SiLU(), nn.Linear(256, features))
        self.register_buffer("freqs", math.pi * torch.arange(1, 17, dtype=torch.get_default_dtype()))

    def forward(self, t: Tensor) -> Tensor:
        angle = self.freqs * t.unsqueeze(-1)
        return super().forward(torch.cat((angle.cos(), angle.sin()), dim=-1))


class ResidualLinear(nn.Sequential):
    """x + Linear(SiLU(Linear(LN(x))))."""

    def __init__(self, width: int):
        super().__init__(LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def residual_mlp(inputs: int, outputs: int, hidden: list[int]) -> nn.Sequential:
    """A Linear where the width changes, then a residual block at that width."""
    layers: list[nn.Module] = []
    before = inputs
    for width in [*hidden, outputs]:
        if width != before:
            layers.append(nn.Linear(before, width))
        layers.append(ResidualLinear(width))
        before = width
    return nn.Sequential(*layers)


class WindowNetwork(nn.Module):
    """Noise estimate of flattened windows: [B, W·D], t [] or [B] → [B, W·D]."""

    def __init__(self, features: int, embedding: int, hidden: list[int]):
        super().__init__()
        self.embedding = TimeEmbedding(embedding)
        self.network = residual_mlp(features + embedding, features, hidden)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        e = self.embedding(t).expand(*x.shape[:-1], -1)
        return self.network(torch.cat((x, e), dim=-1))


class LocalScore(nn.Module):
    """Windows of 2k + 1 states, slid over the trajectory and composed: [B, L, D] → [B, L, D]."""

    def __init__(self, features: int, order: int, embedding: int, hidden: list[int]):
        super().__init__()
        self.order = order
        self.kernel = WindowNetwork((2 * order + 1) * features, embedding, hidden)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        k, d = self.order, x.shape[-1]
        windows = x.unfold(1, 2 * k + 1, 1).transpose(-1, -2)  # [B, L − 2k, W, D]
        eps = self.kernel(windows.flatten(-2), t).unflatten(-1, (2 * k + 1, d))
        return torch.cat((eps[:, 0, :k], eps[:, :, k], eps[:, -1, -k:]), dim=1)


class ModulatedBlock(nn.Module):
    """x + Conv(SiLU(Conv(LN(x + Linear(e))))) over [B, C, L]."""

    def __init__(self, channels: int, embedding: int, kernel_size: int):
        super().__init__()
        conv = {"kernel_size": kernel_size, "padding": kernel_size // 2}
        self.project = nn.Sequential(nn.Linear(embedding, channels), nn.Unflatten(-1, (-1, 1)))
        self.residue = nn.Sequential(
            LayerNorm(channels, 1),
            nn.Conv1d(channels, channels, **conv),
            nn.SiLU(),
            nn.Conv1d(channels, channels, **conv),
        )

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return x + self.residue(x + self.project(e))


class GlobalScore(nn.Module):
    """One-level U-Net over the whole trajectory: [B, L, D], t [] or [B] → [B, L, D]."""

    def __init__(self, features: int, channels: int, blocks: int, embedding: int, kernel_size: int = 3):
        super().__init__()
        conv = {"kernel_size": kernel_size, "padding": kernel_size // 2}
        self.embedding = TimeEmbedding(embedding)
        self.head = nn.Conv1d(features, channels, **conv)
        self.descent = nn.ModuleList(ModulatedBlock(channels, embedding, kernel_size) for _ in range(blocks))
        self.ascent = nn.ModuleList(ModulatedBlock(channels, embedding, kernel_size) for _ in range(blocks))
        self.tail = nn.Conv1d(channels, features, **conv)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        e = self.embedding(t)
        h = self.head(x.transpose(1, 2))
        for block in [*self.descent, *self.ascent]:
            h = block(h, e)
        return self.tail(h).transpose(1, 2)


def denoising_loss(network: nn.Module, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """Mean square of ε_φ(μ x + σ ε, t) − ε; one t for each sample."""
    mu, sigma = (s.reshape(-1, *[1] * (x.dim() - 1)) for s in mu_sigma(t))
    return (network(mu * x + sigma * eps, t) - eps).square().mean()


def posterior_noise(
    network: nn.Module,
    x: Tensor,
    t: Tensor,
    y: Tensor,
    operator: Callable[[Tensor], Tensor],
    std: float,
    gamma: float,
) -> Tensor:
    """ε − σ ∇ log p(y | x_t) by SDA's guidance, differentiated through the network.

    log p(y | x_t) ≈ −½ Σ (y − A(x̂))² / (σ_y² + γ σ²/μ²), x̂ = (x − σ ε)/μ, A the operator.
    """
    mu, sigma = mu_sigma(t)
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        eps = network(x, t)
        x_hat = (x - sigma * eps) / mu
        variance = std**2 + gamma * (sigma / mu) ** 2
        log_p = -0.5 * ((y - operator(x_hat)) ** 2 / variance).sum()
        (score,) = torch.autograd.grad(log_p, x)
    return (eps - sigma * score).detach()
