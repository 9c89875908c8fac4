use super::*;
use crate::reference::{Case, reference_networks, wave};
use crate::{Activation, Boundary, Context, ResMlp, UNet};
use proptest::collection::vec;
use proptest::prelude::*;

fn published(case: &Case) -> BTreeMap<String, ArrayD<f64>> {
    case.under("param.")
}

#[test]
fn every_reference_network_goes_in_and_out_unchanged() {
    for (name, network) in reference_networks() {
        let tensors = published(&Case::read(name));
        let weights = network.from_published(&tensors).unwrap();
        let prefix = tensors.keys().find_map(|n| n.strip_suffix(LANDMARK)).unwrap();
        let mut back = network.to_published(&weights, prefix).unwrap();
        back.extend(network.published_buffers(prefix, &[16, 16][..network.spatial_axes()]));
        assert_eq!(back.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>(), "{name}");
        for (key, tensor) in &tensors {
            assert_eq!(back[key].shape(), tensor.shape(), "{name}: {key}");
            let error = (&back[key] - tensor).iter().fold(0.0_f64, |m, d| m.max(d.abs()));
            let tolerance = if key.ends_with(FREQUENCIES) || key.ends_with(FORCING) { 5e-6 } else { 0.0 };
            assert!(error <= tolerance, "{name}: {key} differs by {error}");
        }
    }
}

#[test]
fn lists_every_name_that_is_wrong() {
    let (name, network) = reference_networks().remove(0);
    let mut tensors = published(&Case::read(name));
    tensors.remove("kernel.network.0.bias");
    tensors.insert("kernel.network.9.weight".into(), wave(&[2], 1.0));
    tensors.insert("kernel.forcing".into(), wave(&[1, 4], 1.0));
    tensors.insert("kernel.network.4.weight".into(), wave(&[15, 23], 1.0));
    let error = network.from_published(&tensors).unwrap_err().to_string();
    let want = "load the weights: they are another network's; missing: network.0.bias; \
                unexpected: forcing, network.9.weight; of another shape: network.4.weight is [23, 15], not [24, 15]";
    assert_eq!(error, want);
}

#[test]
fn refuses_buffers_of_another_configuration_and_numbers_that_are_not_finite() {
    let (name, network) = reference_networks().pop().unwrap();
    let tensors = published(&Case::read(name));
    let broken = |key: &str, value: ArrayD<f64>| {
        let mut tensors = tensors.clone();
        assert!(tensors.insert(key.into(), value).is_some(), "{key}");
        network.from_published(&tensors).unwrap_err().to_string()
    };
    let other = tensors["forcing"].mapv(|x| -x);
    assert!(broken("forcing", other).contains("`forcing` holds other values"));
    assert!(broken("forcing", wave(&[16, 16], 1.0)).contains("`forcing` is [16, 16], not one channel"));
    assert!(broken("embedding.freqs", wave(&[17], 1.0)).contains("`embedding.freqs` has the shape [17]"));
    let nan = tensors["network.heads.0.bias"].mapv(|_| f64::NAN);
    assert!(
        broken("network.heads.0.bias", nan)
            .contains("`network.heads.0.bias` holds a number that is not finite")
    );
}

#[test]
fn one_prefix_holds_for_all_names() {
    let (name, network) = reference_networks().remove(0);
    let mut tensors = published(&Case::read(name));
    let bias = tensors.remove("kernel.network.0.bias").unwrap();
    tensors.insert("network.0.bias".into(), bias);
    let error = network.from_published(&tensors).unwrap_err().to_string();
    assert!(error.contains("unexpected: network.0.bias (without the prefix kernel.)"), "{error}");
}

fn any_network() -> impl Strategy<Value = Network> {
    let activation = Activation::SiLU;
    let res_mlp =
        (2..6_usize, 1..5_usize, vec(2..7_usize, 0..4)).prop_map(move |(features, embedding, widths)| {
            Network::ResMlp(ResMlp { features, embedding, hidden_features: widths, activation })
        });
    let depths = vec((2..5_usize, 0..3_usize), 1..4);
    let rest = (1..4_usize, 0..3_usize, 1..3_usize, any::<bool>());
    let u_net = (depths, rest).prop_map(move |(depths, (channels, half, axes, told))| {
        let (hidden_channels, hidden_blocks) = depths.into_iter().unzip();
        let boundary = std::vec![Boundary::Circular; axes];
        let context = told.then_some(Context::Forcing { wavenumber: 2 });
        let (embedding, kernel, stride) = (3, 2 * half + 1, 2);
        Network::UNet(UNet {
            channels,
            embedding,
            hidden_channels,
            hidden_blocks,
            kernel,
            stride,
            activation,
            boundary,
            context,
        })
    });
    prop_oneof![res_mlp, u_net]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_network_s_weights_go_out_and_in_unchanged(network in any_network(), seed in any::<u64>()) {
        network.validate().unwrap();
        let weights: BTreeMap<_, _> =
            network.initialise(seed).into_iter().map(|(n, w)| (n, w.mapv(f64::from))).collect();
        prop_assert_eq!(weights.len(), network.parameters().len());
        let mut tensors = network.to_published(&weights, "score.").unwrap();
        tensors.extend(network.published_buffers("score.", &[4, 8][..network.spatial_axes()]));
        prop_assert_eq!(network.from_published(&tensors).unwrap(), weights);
    }
}

#[test]
fn an_empty_set_lists_everything_as_missing() {
    let (_, network) = reference_networks().remove(0);
    let error = network.from_published(&BTreeMap::new()).unwrap_err();
    let NnError::Parameters { missing, .. } = error else { panic!("{error}") };
    assert_eq!(missing.len(), network.parameters().len());
}
