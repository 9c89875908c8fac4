use std::time::Instant;
use ndarray::Array2;
use sda_core::Stream;
use sda_filters::*;
use sda_systems::*;
fn best<T>(name: &str, n: usize, mut f: impl FnMut() -> T) -> T {
    let mut out = None; let mut best = f64::MAX;
    for _ in 0..n { let t = Instant::now(); let r = f(); best = best.min(t.elapsed().as_secs_f64()); out = Some(r); }
    println!("{name}: {:.2} ms", best * 1e3); out.unwrap()
}
fn main() {
    let system = SystemConfig::lorenz63().build().unwrap();
    let quiet = SystemConfig::Lorenz63 { dt: 0.025, substeps: 1, sigma: 10.0, rho: 28.0, beta: 8.0 / 3.0, diffusion: 0.0 }.build().unwrap();
    let l96 = SystemConfig::lorenz96_benchmark().build().unwrap();
    let run = |s: &dyn System| Simulation { system: s, burn_in: 0, steps: 256, stream: Stream::new(0, 0) }.trajectories(0..1024).unwrap();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            println!("threads {threads}");
            best("l63 noisy 1024x256", 10, || run(&*system));
            best("l63 quiet 1024x256", 10, || run(&*quiet));
            best("l96-40 1024x256", 3, || run(&*l96));
            let truth = Simulation { system: &*system, burn_in: 1024, steps: 65, stream: Stream::new(7, 0) }.trajectories(0..1).unwrap();
            let op = LinearOperator::component(&system.normalisation(), 0);
            for (every, std) in [(1usize, 0.25), (8, 0.05)] {
                let steps: Vec<usize> = (0..65).step_by(every).collect();
                let values = Array2::from_shape_fn((steps.len(), 1), |(k, _)| truth[[0, steps[k], 0]] / 8.0 + std * Stream::new(8, 0).sequence(0, k as u32).normal());
                let obs = Observations::new(steps, values, std).unwrap();
                let filter = BootstrapFilter { system: &*system, particles: 16384, burn_in: 64, resample_below: 1.0, stream: Stream::new(9, 0) };
                let h = best(&format!("pf every {every}"), 10, || filter.run(65, &obs, &op).unwrap());
                best("paths", 5, || h.sample_paths(1024));
                println!("ess {:?} log ev {}", &h.effective_sample_size[..4], h.log_evidence);
                let b = best("backward 1024", 1, || h.sample_backward(&*system, 1024).unwrap());
                let p = h.sample_paths(1024);
                println!("log prior backward {} paths {}", log_trajectory(&*system, b.view()).unwrap().mean().unwrap(), log_trajectory(&*system, p.view()).unwrap().mean().unwrap());
            }
        });
    }
}
