use crate::Call;
use sda_core::{Real, Stream};
use sda_graph::Law;

pub(crate) fn reference<T: Real>(stream: u32, law: Law, call: Call<'_, T>) {
    let row_len = call.shape.iter().skip(1).product();
    let stream = Stream::new(call.key.seed, stream);
    match law {
        Law::Normal => stream.fill_normal_plainly(call.key.step, call.first_row as u32, row_len, call.output),
        Law::Uniform => stream.fill_uniform(call.key.step, call.first_row as u32, row_len, call.output),
    }
}
