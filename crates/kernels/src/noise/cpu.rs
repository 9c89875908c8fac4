use crate::Call;
use sda_graph::Law;

/// The reference is fast enough: a draw is a thousandth of the network evaluation that it feeds.
pub(crate) fn cpu(stream: u32, law: Law, call: Call<'_, f32>) {
    super::reference::reference(stream, law, call);
}
