//! LAPACK's symbols on faer, so that ndarray-linalg links with cargo alone.
