"""Holds torch_score.py to the numbers of tests/reference, so that the peer does the same work as the Rust code.

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


def report(case: str, found: Tensor, wanted: Tensor) -> bool:
    error = ((found - wanted).norm() / wanted.norm()).item()
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
    found = score.posterior_noise(net, t["in.x"], t["in.t"], t["in.y"], 4, config["std"], config["gamma"])
    return report("SDA guidance", found, t["out.eps"])


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    default = Path(__file__).resolve().parents[2] / "tests" / "reference"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    passed = [check(root) for check in (local, global_, guidance)]
    sys.exit(0 if all(passed) else 1)
