//! Operators on fields [B, L, H, W, C].

pub(crate) mod coarsen;
pub(crate) mod crop;
pub(crate) mod divergence;
pub(crate) mod mask;
pub(crate) mod spectrum;
pub(crate) mod subsample;
pub(crate) mod upsample;
pub(crate) mod vorticity;

pub use mask::Region;
pub use upsample::Interpolation;

/// The axes of a field, or why the shape is not one.
pub(crate) fn axes(shape: &[usize]) -> Result<[usize; 5], String> {
    <[usize; 5]>::try_from(shape).map_err(|_| "it takes fields [B, L, H, W, C]".into())
}
