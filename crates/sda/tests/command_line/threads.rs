//! The number of threads changes no bit.

use super::sandbox::{Contents, Sandbox, assert_same, undisturbed};

/// Everything but the files that tell the number of threads.
fn results(contents: &Contents) -> Contents {
    let tells = |name: &str| name.starts_with("out/versions.") || name.starts_with("out/report.");
    contents.iter().filter(|(name, _)| !tells(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
}

#[test]
fn one_thread_two_threads_or_all() {
    let all = results(undisturbed());
    assert!(
        ["out/metrics.csv", "out/model.safetensors", "out/samples/lo-1-c2.safetensors"]
            .iter()
            .all(|n| all.contains_key(*n))
    );
    for threads in ["1", "2", "5"] {
        let sandbox = Sandbox::new();
        sandbox.finish(&["--threads", threads]);
        assert_same(&results(&sandbox.contents()), &all);
    }
}

#[test]
fn another_seed_is_another_result() {
    let sandbox = Sandbox::new();
    sandbox.finish(&["--seed", "2"]);
    let other = sandbox.contents();
    for name in ["out/model.safetensors", "out/samples/lo-1-c2.safetensors", "out/metrics.csv"] {
        assert_ne!(other[name], undisturbed()[name], "{name}");
    }
}
