use super::Product;
use crate::Call;
use sda_core::Real;

pub(crate) fn reference<T: Real>(ta: bool, tb: bool, call: Call<'_, T>) {
    let p = Product::new(ta, tb, call.shapes);
    call.output.fill(T::ZERO);
    for q in 0..p.batch {
        let a = &call.inputs[0][q * p.m * p.k..][..p.m * p.k];
        let b = &call.inputs[1][q * p.k * p.n..][..p.k * p.n];
        let c = &mut call.output[q * p.m * p.n..][..p.m * p.n];
        for i in 0..p.m {
            for l in 0..p.k {
                let x = a[i * p.a.0 + l * p.a.1];
                for j in 0..p.n {
                    c[i * p.n + j] += x * b[l * p.b.0 + j * p.b.1];
                }
            }
        }
    }
}
