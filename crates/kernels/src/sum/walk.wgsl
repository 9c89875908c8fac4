// Where a sum's outputs and terms lie in its input.
//
// Constants: K1 K2 K3, T0 … T3 lengths of the kept axes but the first, and their strides in the input; R1 R2 R3, U0 … U3 the
// same of the summed axes.

fn kept(o: u32) -> u32 {
    let a2 = o / K3;
    let a1 = a2 / K2;
    return a1 / K1 * T0 + a1 % K1 * T1 + a2 % K2 * T2 + o % K3 * T3;
}

fn summed(t: u32) -> u32 {
    let a2 = t / R3;
    let a1 = a2 / R2;
    return a1 / R1 * U0 + a1 % R1 * U1 + a2 % R2 * U2 + t % R3 * U3;
}
