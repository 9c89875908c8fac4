use std::time::Instant;
use ndarray::{Array2, Array3};
use sda_core::Stream;
use sda_evaluation::*;
use sda_systems::*;
fn best<T>(name: &str, n: usize, mut f: impl FnMut() -> T) -> T {
    let mut out = None; let mut best = f64::MAX;
    for _ in 0..n { let t = Instant::now(); let r = f(); best = best.min(t.elapsed().as_secs_f64()); out = Some(r); }
    println!("{name}: {:.2} ms", best * 1e3); out.unwrap()
}
fn main() {
    let system = SystemConfig::lorenz63().build().unwrap();
    let draw = |seed| Simulation { system: &*system, burn_in: 64, steps: 65, stream: Stream::new(seed, 0) }.trajectories(0..1024).unwrap();
    let normal = |seed| { let mut x = Array3::<f64>::zeros((1024, 65, 3)); Stream::new(seed, 0).fill_normal(0, 0, 195, x.as_slice_mut().unwrap()); x };
    let dup = |seed: u64| { let x = draw(seed); let mut s = Stream::new(seed, 3).sequence(0, 0); x.select(ndarray::Axis(0), &(0..1024).map(|_| s.below(300) as usize).collect::<Vec<_>>()) };
    let near = |seed: u64| { let mut x = normal(seed); x *= 0.3; x };
    let n2 = near(5); let n3 = near(6);
    for (name, x, y) in [("lorenz prior", draw(1), draw(2)), ("duplicates", dup(1), dup(2)), ("normal", n2, n3), ("shifted", draw(1), draw(3) + 4.0)] {
        let flat = |a: &Array3<f64>| Array2::from_shape_vec((1024, 195), a.iter().copied().collect()).unwrap();
        let (a, b) = (flat(&x), flat(&y));
        let d = best("  distances", 5, || squared_distances(a.view(), b.view()));
        let c = d.mapv(f64::sqrt);
        best("  assign", 5, || assign(c.view()).cost);
        let w = best(name, 5, || wasserstein1(x.view(), y.view()).unwrap());
        println!("  {w}");
    }
    let (x, y) = (draw(1), draw(2));
    best("mmd", 2, || squared_mmd(x.view(), y.view()).unwrap());
    let mut u = Array2::<f64>::zeros((1024, 1024)); Stream::new(1, 1).fill_uniform(0, 0, 1024, u.as_slice_mut().unwrap());
    best("uniform costs", 3, || assign(u.view()).cost);
    best("product costs", 1, || assign(Array2::from_shape_fn((1024, 1024), |(i, j)| ((i + 1) * (j + 1)) as f64).view()).cost);
}
