// The convolution's geometry: H W points of the input, HO WO of the output, KW taps a row, SY SX strides, PY PX points of
// padding before the first, CIRCULAR_Y CIRCULAR_X whether the padding is periodic (zeros otherwise); CI CO channels.

// The input's index that a padded index shows; its length where that is a zero.
fn source(at: u32, before: u32, length: u32, circular: bool) -> u32 {
    if (at >= before && at - before < length) {
        return at - before;
    }
    if (!circular) {
        return length;
    }
    // A periodic padding is no longer than the input.
    return select(at - before - length, at + length - before, at < before);
}

// x[image, y, x, channel] of an input [B, H, W, CI] under padding.
fn padded(image: u32, y: u32, x: u32, channel: u32) -> u32 {
    let sy = source(y, PY, H, CIRCULAR_Y);
    let sx = source(x, PX, W, CIRCULAR_X);
    if (sy == H || sx == W) {
        return 0xffffffffu;
    }
    return ((image * H + sy) * W + sx) * CI + channel;
}
