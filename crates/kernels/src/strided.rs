//! Copies between strided views: every movement op is one.

/// Axes at most; the builder's arrays have at most six.
const MAX_RANK: usize = 8;

/// `dims` points from `src` (offset, strides) to `dst` (offset, strides); a source stride of 0 repeats.
pub(crate) fn copy<T: Copy>(
    dst: &mut [T],
    dst_offset: usize,
    dst_strides: &[usize],
    src: &[T],
    src_offset: usize,
    src_strides: &[usize],
    dims: &[usize],
) {
    if dims.contains(&0) {
        return;
    }
    // Merge neighbouring axes that are one walk in both views; drop axes of length 1.
    let (mut d, mut ds, mut ss) = ([0; MAX_RANK], [0; MAX_RANK], [0; MAX_RANK]);
    let mut rank = 0;
    for i in 0..dims.len() {
        if dims[i] == 1 {
            continue;
        }
        if rank > 0 && ds[rank - 1] == dst_strides[i] * dims[i] && ss[rank - 1] == src_strides[i] * dims[i] {
            d[rank - 1] *= dims[i];
            (ds[rank - 1], ss[rank - 1]) = (dst_strides[i], src_strides[i]);
        } else {
            (d[rank], ds[rank], ss[rank]) = (dims[i], dst_strides[i], src_strides[i]);
            rank += 1;
        }
    }
    walk(dst, dst_offset, &ds[..rank], src, src_offset, &ss[..rank], &d[..rank]);
}

fn walk<T: Copy>(
    dst: &mut [T],
    at: usize,
    ds: &[usize],
    src: &[T],
    from: usize,
    ss: &[usize],
    dims: &[usize],
) {
    match dims {
        [] => dst[at] = src[from],
        [n] => match (ds[0], ss[0]) {
            (1, 1) => dst[at..at + n].copy_from_slice(&src[from..from + n]),
            (1, 0) => dst[at..at + n].fill(src[from]),
            (a, b) => (0..*n).for_each(|i| dst[at + i * a] = src[from + i * b]),
        },
        [n, rest @ ..] => {
            (0..*n).for_each(|i| walk(dst, at + i * ds[0], &ds[1..], src, from + i * ss[0], &ss[1..], rest));
        }
    }
}

/// Row-major strides of a shape.
pub(crate) fn strides(shape: &[usize]) -> [usize; MAX_RANK] {
    assert!(shape.len() <= MAX_RANK, "rank {} is beyond {MAX_RANK}", shape.len());
    let mut out = [0; MAX_RANK];
    let mut step = 1;
    for (i, n) in shape.iter().enumerate().rev() {
        out[i] = step;
        step *= n;
    }
    out
}

/// Index along each axis of the row-major position `flat`.
pub(crate) fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in shape.iter().enumerate().rev() {
        index[i] = flat % n;
        flat /= n;
    }
    index
}

/// Row-major position of an index.
pub(crate) fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i)
}
