"""The peer of `cargo xtask bench cpu --peer jax-cfd`: one state of Kolmogorov flow, 0.2 of model time, by jax-cfd.

Whatever an item's name says of our grid and precision, the peer's work is the published data generator's: finite
volumes on a staggered grid of 256 × 256 points in f32, in Euler steps of 0.2/82. So `flow_256_f32` is the ratio at equal
grid and precision.
"""

import os
import platform
import sys
import warnings

# Both before jax starts its threads.
threads = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 2
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
warnings.filterwarnings("ignore")

import jax  # noqa: E402

if not hasattr(jax, "tree_map"):  # jax-cfd 0.2.1 is older than its move
    jax.tree_map = jax.tree_util.tree_map

import jax_cfd  # noqa: E402, F401
import jax_cfd.base as cfd  # noqa: E402
import numpy as np  # noqa: E402
from importlib.metadata import version  # noqa: E402

import serving  # noqa: E402

POINTS, DT, REYNOLDS = 256, 0.2, 1e3


def step(grid: cfd.grids.Grid):
    """The function from one state to the next, compiled."""
    forcing = cfd.forcings.simple_turbulence_forcing(
        grid=grid,
        constant_magnitude=1.0,
        constant_wavenumber=4.0,
        linear_coefficient=-0.1,
        forcing_type="kolmogorov",
    )
    largest = cfd.equations.stable_time_step(
        max_velocity=5.0, max_courant_number=0.5, viscosity=1 / REYNOLDS, grid=grid
    )
    inner = int(np.ceil(DT / largest))
    euler = cfd.equations.semi_implicit_navier_stokes(
        density=1.0, viscosity=1 / REYNOLDS, dt=DT / inner, grid=grid, forcing=forcing
    )
    return jax.jit(cfd.funcutils.repeated(euler, inner))


def flow() -> serving.Work:
    """From a developed state: 40 states after the published first one."""
    grid = cfd.grids.Grid((POINTS, POINTS), domain=((0, 2 * np.pi), (0, 2 * np.pi)))
    velocity = cfd.initial_conditions.filtered_velocity_field(
        jax.random.PRNGKey(0), grid, maximum_velocity=3.0, peak_wavenumber=4.0
    )
    advance = step(grid)
    for _ in range(40):
        velocity = advance(velocity)

    def work() -> None:
        jax.block_until_ready(advance(velocity))

    return work


NAMES = ["flow_96_f32", "flow_128_f32", "flow_128_f64", "flow_256_f32", "flow_256_f64"]

LIBRARY = serving.Library(
    items={name: flow for name in NAMES},
    versions={"python": platform.python_version(), "jax": jax.__version__, "jax-cfd": version("jax-cfd")},
    set_threads=lambda _: None,
    load_everything=lambda: jax.block_until_ready(jax.numpy.ones(3) + 1),
)

if __name__ == "__main__":
    serving.main(LIBRARY, __doc__)
