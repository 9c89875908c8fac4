use crate::Call;
use sda_core::Real;
use sda_graph::{Binary, Op, Unary};

pub(crate) fn reference<T: Real>(op: &Op, call: Call<'_, T>) {
    let x = call.inputs;
    for (i, y) in call.output.iter_mut().enumerate() {
        *y = match op {
            Op::Unary(u) => unary(*u, x[0][i]),
            Op::Binary(b) => binary(*b, x[0][i], x[1][i]),
            _ if x[0][i] == T::ZERO => x[2][i],
            _ => x[1][i],
        };
    }
}

/// One value; what the docs of [`Unary`] say.
pub(crate) fn unary<T: Real>(op: Unary, x: T) -> T {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign if x > T::ZERO => T::ONE,
        Unary::Sign if x < T::ZERO => -T::ONE,
        Unary::Sign => x * T::ZERO,
        Unary::Exp => x.exp(),
        Unary::Ln => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Recip => T::ONE / x,
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => T::ONE / (T::ONE + (-x).exp()),
        Unary::Erf => T::from_f64(libm::erf(x.to_f64())),
        Unary::Finite if x.is_finite() => T::ONE,
        Unary::Finite => T::ZERO,
    }
}

/// One value; what the docs of [`Binary`] say. Max and min of a NaN are the NaN.
pub(crate) fn binary<T: Real>(op: Binary, a: T, b: T) -> T {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max if a < b || b.ne(&b) => b,
        Binary::Min if b < a || b.ne(&b) => b,
        Binary::Max | Binary::Min => a,
        Binary::Less if a < b => T::ONE,
        Binary::Less => T::ZERO,
    }
}
