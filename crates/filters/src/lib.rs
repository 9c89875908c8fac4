//! Kalman filter and smoother, particle filter: reference and baseline.
