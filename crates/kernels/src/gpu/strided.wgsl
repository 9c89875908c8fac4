// Where element `flat` of the output, an array of up to six axes, lies in a strided input.
//
// Constants: N1 … N5 lengths of the output's axes but the first, S0 … S5 strides of the input along them.
fn strided(flat: u32) -> u32 {
    let a5 = flat;
    let a4 = a5 / N5;
    let a3 = a4 / N4;
    let a2 = a3 / N3;
    let a1 = a2 / N2;
    let a0 = a1 / N1;
    return a0 * S0 + (a1 % N1) * S1 + (a2 % N2) * S2 + (a3 % N3) * S3 + (a4 % N4) * S4 + (a5 % N5) * S5;
}
