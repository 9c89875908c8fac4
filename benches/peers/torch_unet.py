"""The U-Net of fields, its composition over a trajectory and its weights' names, in plain PyTorch.

Written from the method's definition (`crates/nn/src/u_net` says the same); parameters carry the published names, so
that the weights of tests/reference load (`torch_check.py`). Fields run channels last in memory where that is faster.

Shapes: B batch, L states of a trajectory, W = 2k + 1 states of a window, C channels, H × H points.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from torch_score import TimeEmbedding


class ChannelNorm(nn.Module):
    """Layer norm over the channels without learned scale, the variance's divisor n − 1, by the library's own kernel.

    (x − mean) / √(v n/(n − 1) + ε) = √((n − 1)/n) (x − mean) / √(v + ε (n − 1)/n), v with the divisor n.
    """

    def __init__(self, channels: int):
        super().__init__()
        share = (channels - 1) / channels
        self.eps = 1e-5 * share
        self.register_buffer("scale", torch.full((channels,), math.sqrt(share)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        return functional.layer_norm(last, self.scale.shape, self.scale, None, self.eps).permute(0, 3, 1, 2)


class CircularConv(nn.Conv2d):
    """A convolution of a periodic field, padded by half its kernel."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1):
        super().__init__(inputs, outputs, kernel_size, stride)
        self.half = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        # torch.cat keeps the memory format; the library's circular padding makes a channels-first copy.
        h = self.half
        x = torch.cat((x[:, :, -h:], x, x[:, :, :h]), dim=2)
        x = torch.cat((x[..., -h:], x, x[..., :h]), dim=3)
        return super().forward(x)


class ModulatedBlock(nn.Module):
    """x + Conv(SiLU(Conv(LN(x + Linear(e)))))."""

    def __init__(self, channels: int, embedding: int, kernel_size: int):
        super().__init__()
        self.project = nn.Sequential(nn.Linear(embedding, channels), nn.Unflatten(-1, (-1, 1, 1)))
        self.residue = nn.Sequential(
            ChannelNorm(channels),
            CircularConv(channels, channels, kernel_size),
            nn.SiLU(),
            CircularConv(channels, channels, kernel_size),
        )

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return x + self.residue(x + self.project(e))


class UNet(nn.Module):
    """Depth by depth down and up: [B, C, H, H] → [B, outputs, H, H]; `ascent` and `tails` count from the deepest."""

    def __init__(self, inputs: int, outputs: int, hidden: list[int], blocks: list[int], embedding: int, kernel_size: int):
        super().__init__()

        def level(channels: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(ModulatedBlock(channels, embedding, kernel_size) for _ in range(count))

        self.heads, self.tails = nn.ModuleList(), nn.ModuleList()
        self.descent, self.ascent = nn.ModuleList(), nn.ModuleList()
        for depth, (channels, count) in enumerate(zip(hidden, blocks)):
            if depth == 0:
                head: nn.Module = CircularConv(inputs, channels, kernel_size)
                tail: nn.Module = CircularConv(channels, outputs, kernel_size)
            else:
                above = hidden[depth - 1]
                head = nn.Sequential(CircularConv(above, channels, kernel_size, stride=2))
                tail = nn.Sequential(
                    ChannelNorm(channels), nn.Upsample(scale_factor=2), CircularConv(channels, above, kernel_size)
                )
            self.heads.append(head)
            self.descent.append(level(channels, count))
            self.ascent.insert(0, level(channels, count))
            self.tails.insert(0, tail)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        skips = []
        for head, blocks in zip(self.heads, self.descent):
            x = head(x)
            for block in blocks:
                x = block(x, e)
            skips.append(x)
        skips.pop()
        for blocks, tail in zip(self.ascent, self.tails):
            for block in blocks:
                x = block(x, e)
            x = tail(x)
            if skips:
                x = x + skips.pop()
        return x


class FieldWindowNetwork(nn.Module):
    """Noise estimate of windows whose states are channels, told the forcing: [B, W·C, H, H], t [] or [B] → the same."""

    def __init__(self, channels: int, size: int, embedding: int, hidden: list[int], blocks: list[int], kernel_size: int = 3):
        super().__init__()
        self.embedding = TimeEmbedding(embedding)
        self.network = UNet(channels + 1, channels, hidden, blocks, embedding, kernel_size)
        y = 2 * math.pi * (torch.arange(size, dtype=torch.get_default_dtype()) + 0.5) / size
        self.register_buffer("forcing", torch.sin(4 * y).expand(1, size, size).clone())
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        told = torch.cat((x, self.forcing.expand(x.shape[0], -1, -1, -1)), dim=1)
        return self.network(told.contiguous(memory_format=torch.channels_last), self.embedding(t))


class FieldLocalScore(nn.Module):
    """All windows of all trajectories in one batch, composed: [B, L, C, H, H] → the same."""

    def __init__(self, features: int, order: int, **network):
        super().__init__()
        self.order = order
        self.kernel = FieldWindowNetwork((2 * order + 1) * features, **network)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        k = self.order
        width, count = 2 * k + 1, x.shape[1] - 2 * k
        windows = torch.stack([x[:, w : w + count] for w in range(width)], dim=2)  # [B, Q, W, C, H, H]
        merged = windows.flatten(0, 1).flatten(1, 2)
        eps = self.kernel(merged, t).reshape(windows.shape)
        return torch.cat((eps[:, 0, :k], eps[:, :, k], eps[:, -1, -k:]), dim=1)
