use crate::Call;
use sda_core::Stream;
use sda_graph::Law;

/// Whole blocks of counters side by side; see `sda_core::random::normal`.
pub(crate) fn cpu(stream: u32, law: Law, call: Call<'_, f32>) {
    let row_len = call.shape.iter().skip(1).product();
    let stream = Stream::new(call.key.seed, stream);
    match law {
        Law::Normal => stream.fill_normal(call.key.step, call.first_row as u32, row_len, call.output),
        Law::Uniform => stream.fill_uniform(call.key.step, call.first_row as u32, row_len, call.output),
    }
}
