#!/usr/bin/env bash
# Creates benches/peers/.venv (ignored by git) with PyTorch, NumPy and SciPy, for `cargo xtask bench … --peer torch`.
# A venv that already imports all three is left alone; `--fresh` builds it anew. Delete the folder to be rid of it.
# Where there is an NVIDIA GPU a PyTorch without CUDA is replaced by one with it, for `bench gpu`.
#
#   setup.sh jax-cfd [--fresh]   creates .venv-jax-cfd with jax-cfd instead, for `--peer jax-cfd`
#
#   PYTHON       interpreter to build the venv with (default: python3, at least 3.10)
#   TORCH_INDEX  another package index for torch alone, such as https://download.pytorch.org/whl/cpu, whose
#                wheels leave out the GPU libraries (0.2 GB in place of about 3 GB; the CPU code is the same)
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$here/.venv"
python="${PYTHON:-python3}"

fail() {
    echo "setup.sh: $1" >&2
    exit 1
}

works() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import torch, numpy, scipy' 2>/dev/null
}

has_nvidia_gpu() {
    command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU'
}

# Built for a GPU: CUDA, or ROCm, whose version stands in `hip`.
is_built_for_gpus() {
    "$venv/bin/python" -c 'import sys, torch; sys.exit(not (torch.version.cuda or torch.version.hip))'
}

sees_gpu() {
    "$venv/bin/python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null
}

make_venv() {
    command -v "$python" >/dev/null || fail "no '$python': install Python 3.10 or later, or set PYTHON"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "'$python' is $("$python" -V 2>&1); 3.10 or later is needed (set PYTHON)"
    rm -rf "$venv"
    "$python" -m venv "$venv" ||
        fail "'$python -m venv' failed: on Debian and Ubuntu, apt-get install python3-venv"
}

peer=torch
if [ "${1:-}" = jax-cfd ]; then
    peer=jax-cfd
    venv="$here/.venv-jax-cfd"
    shift
fi
case "${1:-}" in
    --fresh) rm -rf "$venv" ;;
    "") ;;
    *) fail "unknown argument '$1'; there are jax-cfd and --fresh" ;;
esac

if [ "$peer" = jax-cfd ]; then
    # jax_cfd_peer.py mends what jax-cfd 0.2.1 expects of an older jax.
    if ! { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import jax, jax_cfd' 2>/dev/null; }; then
        make_venv
        "$venv/bin/python" -m pip install --disable-pip-version-check --quiet jax jax-cfd
    fi
    "$venv/bin/python" -c 'from importlib.metadata import version; print(*(f"{p} {version(p)}" for p in ("jax", "jax-cfd")), sep=", ")'
    exit
fi

if ! works; then
    make_venv
    index=()
    if [ -n "${TORCH_INDEX:-}" ]; then
        index=(--index-url "$TORCH_INDEX")
    fi
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet numpy scipy
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "${index[@]}" torch
    works || fail "the packages were installed but do not import; run $0 --fresh"
fi

if has_nvidia_gpu && ! is_built_for_gpus; then
    [ -z "${TORCH_INDEX:-}" ] || fail "there is an NVIDIA GPU, and TORCH_INDEX names an index without CUDA: unset it"
    # An installed version that differs in its CUDA part alone would be taken for the one asked for.
    "$venv/bin/python" -m pip uninstall --disable-pip-version-check --quiet --yes torch
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet torch
    works && is_built_for_gpus || fail "the PyTorch of the default index has no CUDA here: set TORCH_INDEX to one that has"
fi
if has_nvidia_gpu && ! sees_gpu; then
    echo "setup.sh: there is an NVIDIA GPU, but PyTorch cannot use it: its driver may be too old for this PyTorch;" \
        "update it, or set TORCH_INDEX to an index of an older CUDA and run $0 --fresh" >&2
fi

"$venv/bin/python" - <<'PY'
import platform

import numpy
import scipy
import torch

print(f"python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}, scipy {scipy.__version__}")
PY
