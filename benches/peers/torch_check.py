"""Holds torch_score.py and torch_unet.py to the numbers of tests/reference, so that the peer does the same work as the Rust code.

    benches/peers/.venv/bin/python benches/peers/torch_check.py [tests/reference]
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import torch_score as score
import torch_unet


def load(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Configuration and tensors of one safetensors file, in float64."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    meta = header.pop("__metadata__")
    kinds = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + length + start : 8 + length + end], kinds[entry["dtype"]])
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).astype(np.float64))
    return json.loads(meta["config"]), tensors


def weights(tensors: dict[str, Tensor], rename: dict[str, str]) -> dict[str, Tensor]:
    """The parameters under our names; `rename` maps published prefixes."""
    result = {}
    for name, value in tensors.items():
        if name.startswith("param."):
            name = name.removeprefix("param.")
            for published, ours in rename.items():
                if name.startswith(published):
                    name = ours + name.removeprefix(published)
                    break
            result[name] = value
    return result


def relative_error(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def report(case: str, found: Tensor, wanted: Tensor) -> bool:
    error = relative_error(found, wanted)
    ok = found.shape == wanted.shape and error < 1e-6
    print(f"{'ok  ' if ok else 'FAIL'} {case}: relative error {error:.1e}")
    return ok


def local(folder: Path) -> bool:
    config, t = load(folder / "score_mlp_local.safetensors")
    net = score.LocalScore(config["features"], config["order"], config["embedding"], config["hidden_features"])
    net.load_state_dict(weights(t, {}))
    return report("local score", net(t["in.x"], t["in.t"]), t["out.eps"])


def global_(folder: Path) -> bool:
    config, t = load(folder / "score_unet1d_global.safetensors")
    (channels,), (blocks,) = config["hidden_channels"], config["hidden_blocks"]
    net = score.GlobalScore(config["channels"], channels, blocks, config["embedding"], config["kernel_size"])
    rename = {
        "score.embedding": "embedding",
        "score.network.heads.0": "head",
        "score.network.tails.0": "tail",
        "score.network.descent.0": "descent",
        "score.network.ascent.0": "ascent",
    }
    net.load_state_dict(weights(t, rename))
    return report("global score", net(t["in.x"], t["in.t"]), t["out.eps"])


def guidance(folder: Path) -> bool:
    config, t = load(folder / "guidance_sda_full.safetensors")
    c = config["network"]
    net = score.LocalScore(c["features"], c["order"], c["embedding"], c["hidden_features"])
    net.load_state_dict(weights(t, {}))
    first_of_every_4th = lambda x: x[:, ::4, :1]
    found = score.posterior_noise(
        net, t["in.x"], t["in.t"], t["in.y"], first_of_every_4th, config["std"], config["gamma"]
    )
    return report("SDA guidance", found, t["out.eps"])


def field(config: dict) -> dict:
    """Settings of the two-dimensional U-Net."""
    names = {"size": "size", "embedding": "embedding", "hidden": "hidden_channels", "blocks": "hidden_blocks"}
    return {**{ours: config[theirs] for ours, theirs in names.items()}, "kernel_size": config["kernel_size"]}


def unet(folder: Path) -> bool:
    config, t = load(folder / "score_unet2d_circular.safetensors")
    net = torch_unet.FieldWindowNetwork(config["channels"], **field(config))
    net.load_state_dict(weights(t, {}))
    return score_and_gradient("field window score", net, t)


def field_local(folder: Path) -> bool:
    config, t = load(folder / "score_unet2d_chain.safetensors")
    net = torch_unet.FieldLocalScore(config["features"], config["order"], **field(config))
    net.load_state_dict(weights(t, {}))
    return score_and_gradient("field local score", net, t)


def score_and_gradient(case: str, net: torch.nn.Module, t: dict[str, Tensor]) -> bool:
    """The score, and the gradients of its input and of every weight, of which only failures are printed."""
    x = t["in.x"].requires_grad_(True)
    eps = net(x, t["in.t"])
    (eps * t["in.cotangent"]).sum().backward()
    found = {"grad.x": x.grad, **{f"grad.param.{name}": p.grad for name, p in net.named_parameters()}}
    wrong = [name for name, value in found.items() if relative_error(value, t[name]) >= 1e-6]
    wrong += [name for name in t if name.startswith("grad.") and name not in found]
    print(f"{'FAIL' if wrong else 'ok  '} {case}: {len(found)} gradients {' '.join(wrong)}")
    return report(case, eps, t["out.eps"]) and not wrong


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    default = Path(__file__).resolve().parents[2] / "tests" / "reference"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    passed = [check(root) for check in (local, global_, guidance, unet, field_local)]
    sys.exit(0 if all(passed) else 1)
