use super::*;
use crate::network::Network;
use crate::reference::{evaluate_with, random_weights, wave};
use crate::time_embedding::time_features;
use ndarray::{Array2, ArrayD, Axis};

fn plane(boundary: [Boundary; 2]) -> UNet {
    UNet {
        channels: 2,
        embedding: 4,
        hidden_channels: vec![4, 6],
        hidden_blocks: vec![1, 1],
        kernel: 3,
        stride: 2,
        activation: Activation::SiLU,
        boundary: boundary.to_vec(),
        context: None,
    }
}

fn line() -> UNet {
    UNet { boundary: vec![Boundary::Zero], ..plane([Boundary::Zero; 2]) }
}

fn features(times: &[f64]) -> ArrayD<f64> {
    Array2::from_shape_fn((times.len(), 32), |(i, j)| time_features(times[i])[j]).into_dyn()
}

/// The network's estimate with its initial weights.
fn estimate(network: &UNet, x: ArrayD<f64>, times: &[f64]) -> ArrayD<f64> {
    let mut g = Graph::new();
    let [x, f] = [x, features(times)].map(|a| g.constant(a));
    let y = network.emit(&mut g, Weights::Trained, x, f);
    evaluate_with(g, &random_weights(&Network::UNet(network.clone())), &[y]).remove(0)
}

fn rolled(x: &ArrayD<f64>, axis: usize, by: usize) -> ArrayD<f64> {
    let n = x.shape()[axis];
    let order: Vec<usize> = (0..n).map(|i| (i + n - by) % n).collect();
    x.select(Axis(axis), &order)
}

/// Shifting the input by whole strides shifts the output, along circular axes and only along those.
#[test]
fn is_equivariant_along_circular_axes_only() {
    let (zero, circular) = (Boundary::Zero, Boundary::Circular);
    let x = wave(&[1, 8, 8, 2], 0.83);
    for boundary in [[circular, circular], [zero, circular], [circular, zero], [zero, zero]] {
        let network = plane(boundary);
        let y = estimate(&network, x.clone(), &[0.4]);
        for axis in [1, 2] {
            let moved = estimate(&network, rolled(&x, axis, 2), &[0.4]);
            let error = (&moved - &rolled(&y, axis, 2)).iter().fold(0.0_f64, |m, d| m.max(d.abs()));
            let shifts = error < 1e-12;
            assert_eq!(shifts, boundary[axis - 1] == circular, "{boundary:?}, axis {axis}: {error}");
        }
    }
}

#[test]
fn one_time_for_all_is_the_same_time_for_each() {
    let x = wave(&[3, 8, 2], 0.7);
    let (shared, each) = (estimate(&line(), x.clone(), &[0.3]), estimate(&line(), x.clone(), &[0.3; 3]));
    assert!((&shared - &each).iter().all(|d| d.abs() < 1e-13));
    let other = estimate(&line(), x, &[0.3, 0.3, 0.6]);
    let differs = |i: usize| (&other - &each).index_axis(Axis(0), i).iter().any(|d| d.abs() > 1e-6);
    assert_eq!([0, 1, 2].map(differs), [false, false, true]);
}

#[test]
fn the_context_reaches_the_output() {
    let blind = plane([Boundary::Circular; 2]);
    let told = |wavenumber| UNet { context: Some(Context::Forcing { wavenumber }), ..blind.clone() };
    let x = wave(&[1, 8, 8, 2], 0.83);
    let [one, two] = [1, 2].map(|k| estimate(&told(k), x.clone(), &[0.4]));
    assert!((&one - &two).iter().any(|d| d.abs() > 1e-6));
    assert_eq!(one.shape(), x.shape());
}

#[test]
fn forcing_is_a_sine_along_the_last_axis() {
    let values = Context::Forcing { wavenumber: 1 }.values(&[3, 4]);
    assert_eq!(values.shape(), [3, 4, 1]);
    for (i, want) in [1.0, 1.0, -1.0, -1.0].into_iter().enumerate() {
        assert!((values[[2, i, 0]] - want * std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-14);
    }
}

#[test]
fn a_size_that_does_not_divide_is_refused_with_the_remedy() {
    let deep = UNet { hidden_channels: vec![4; 3], hidden_blocks: vec![1; 3], ..line() };
    deep.check_size(&[12]).unwrap();
    let error = deep.check_size(&[10]).unwrap_err().to_string();
    assert!(error.starts_with("run a U-Net on a field of size [10]: each axis must divide by 4"), "{error}");
    assert!(deep.check_size(&[0]).is_err() && deep.check_size(&[8, 8]).is_err());
    UNet { hidden_channels: vec![4], hidden_blocks: vec![1], ..line() }.check_size(&[17]).unwrap();
    let wide = UNet { kernel: 7, ..plane([Boundary::Zero, Boundary::Circular]) };
    wide.check_size(&[2, 6]).unwrap();
    let error = wide.check_size(&[8, 4]).unwrap_err().to_string();
    assert!(error.contains("has 2 points, and circular padding takes 3"), "{error}");
}

#[test]
#[should_panic(expected = "failed to run a U-Net on a field of size [7]: each axis must divide by 2")]
fn emission_panics_on_a_size_that_does_not_divide() {
    estimate(&line(), wave(&[1, 7, 2], 1.0), &[0.5]);
}

#[test]
#[should_panic(expected = "1-D U-Net of 2 channels: x [1, 8, 3]")]
fn names_the_shape_that_does_not_fit() {
    estimate(&line(), wave(&[1, 8, 3], 1.0), &[0.5]);
}

#[test]
fn refuses_what_does_not_exist_by_its_field() {
    let bad = [
        ("channels", UNet { channels: 0, ..line() }),
        ("embedding", UNet { embedding: 0, ..line() }),
        ("hidden_channels", UNet { hidden_channels: vec![], hidden_blocks: vec![], ..line() }),
        ("hidden_channels", UNet { hidden_channels: vec![4, 1], ..line() }),
        ("hidden_blocks", UNet { hidden_blocks: vec![1], ..line() }),
        ("hidden_blocks", UNet { hidden_blocks: vec![1, usize::MAX], ..line() }),
        ("kernel", UNet { kernel: 4, ..line() }),
        ("stride", UNet { stride: 0, ..line() }),
        ("boundary", UNet { boundary: vec![], ..line() }),
        ("context", UNet { context: Some(Context::Forcing { wavenumber: 0 }), ..line() }),
    ];
    for (field, network) in bad {
        let error = Network::UNet(network).validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("build a U-Net: `{field}` must be ")), "{error}");
    }
}

#[test]
fn more_weights_than_there_is_room_for_are_refused() {
    let most = usize::MAX;
    let told = Some(Context::Forcing { wavenumber: 4 });
    for bad in [
        UNet { channels: most, context: told, ..line() },
        UNet { embedding: most, ..line() },
        UNet { hidden_channels: vec![4, most], ..line() },
        UNet { hidden_channels: vec![4, 1 << 14], ..line() },
        UNet { kernel: most, ..plane([Boundary::Zero; 2]) },
    ] {
        let error = bad.validate().unwrap_err().to_string();
        assert!(error.contains("more than 1073741823 weights; lower channels"), "{error}");
    }
    let published = UNet { hidden_channels: vec![96, 192, 384], hidden_blocks: vec![3; 3], ..line() };
    published.validate().unwrap();
}

#[test]
fn configurations_survive_serialisation_and_unknown_fields_are_refused() {
    let network = Network::UNet(UNet { context: Some(Context::Forcing { wavenumber: 4 }), ..line() });
    let text = serde_json::to_string(&network).unwrap();
    assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), network);
    let wrong = text.replacen("\"stride\"", "\"strides\"", 1);
    let error = serde_json::from_str::<Network>(&wrong).unwrap_err().to_string();
    assert!(error.contains("unknown field `strides`"), "{error}");
}
