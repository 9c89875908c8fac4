// Operands as they are: tiles of f32.
alias Element = f32;

fn prepare(lane: u32) {}

fn scale_a() -> f32 {
    return 1.0;
}

fn scale_b() -> f32 {
    return 1.0;
}

fn unscale(sum: vec4<f32>) -> vec4<f32> {
    return sum;
}
