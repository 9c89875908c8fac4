//! Dynamical systems: Lorenz-63, Lorenz-96, Lotka–Volterra, damped spring.
