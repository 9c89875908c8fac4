use crate::Call;
use sda_graph::Law;

/// The reference: one draw an element, beside the thousands of products of the network evaluation that it feeds.
pub(crate) fn cpu(stream: u32, law: Law, call: Call<'_, f32>) {
    super::reference::reference(stream, law, call);
}
