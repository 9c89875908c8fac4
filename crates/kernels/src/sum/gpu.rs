use crate::gpu::{Array, Dispatch, GRID, GpuCall, INVOCATIONS, Strided, Target, Text};
use crate::strided::strides;

const FILE: &str = include_str!("sum.wgsl");
const WALK: &str = include_str!("walk.wgsl");
const SUBGROUPS: &str = include_str!("sum_subgroups.wgsl");

/// Workgroups that fill a large device; a sum with fewer is cut into parts.
const ENOUGH: usize = 1024;
/// Terms of a part at least.
const PART: usize = 512;

pub(crate) fn launches(target: &Target, axes: &[usize], call: &GpuCall<'_>) -> Vec<Dispatch> {
    let shape = call.shapes[0];
    let step = strides(shape);
    let along = |summed: bool| {
        let of = (0..shape.len()).filter(|a| axes.contains(a) == summed);
        Strided::new(of.map(|a| (shape[a], step[a])))
    };
    let form = Form { kept: along(false), summed: along(true), outputs: call.outputs[0].iter().product() };
    let splits = form.splits();
    let bytes = 4 * shape.iter().product::<usize>() as u64;
    let first = |adds, array, splits| {
        let mut made = form.launch(target, splits, adds, vec![Array::Input(0), array]);
        (made.flops, made.bytes) = (bytes / 4, bytes);
        made
    };
    if splits == 1 {
        return vec![first(call.adds, Array::Output(0), 1)];
    }
    let len = splits * form.outputs;
    let parts = first(false, Array::Scratch { slot: 0, len, written: true }, splits);
    vec![parts, of_parts(target, 0, splits, form.outputs, call.adds)]
}

/// Adds up the sums [splits, outputs] of scratch `slot` into the output.
pub(crate) fn of_parts(target: &Target, slot: usize, splits: usize, outputs: usize, adds: bool) -> Dispatch {
    let form =
        Form { kept: Strided::new([(outputs, 1)]), summed: Strided::new([(splits, outputs)]), outputs };
    let len = splits * outputs;
    let mut made =
        form.launch(target, 1, adds, vec![Array::Scratch { slot, len, written: false }, Array::Output(0)]);
    (made.flops, made.bytes) = (len as u64, 4 * (len + outputs) as u64);
    made
}

/// What is kept and what is summed.
struct Form {
    kept: Strided,
    summed: Strided,
    outputs: usize,
}

impl Form {
    /// Neighbouring invocations take neighbouring outputs where those are adjacent in memory, and else terms.
    fn width(&self) -> usize {
        if self.kept.last_stride() == 1 && self.outputs > 1 {
            let wide = if self.summed.len() <= 16 { INVOCATIONS } else { 32 };
            wide.min(self.outputs.next_power_of_two())
        } else if self.summed.len() < 64 {
            INVOCATIONS / self.summed.len().next_power_of_two()
        } else {
            1
        }
    }

    fn splits(&self) -> usize {
        let groups = self.outputs.div_ceil(self.width()).max(1);
        ENOUGH.div_ceil(groups).min(self.summed.len() / PART).max(1)
    }

    fn launch(&self, target: &Target, splits: usize, adds: bool, arrays: Vec<Array>) -> Dispatch {
        let width = self.width();
        let text = self.kept.constants(Text::default(), "K", "T", 4);
        let text = self.summed.constants(text, "R", "U", 4);
        let text = text.constant("TERMS", self.summed.len()).constant("SPLITS", splits).file(WALK);
        let (name, text) = if width == 1 && target.abilities.subgroups {
            ("sum, subgroups", text.file(SUBGROUPS))
        } else {
            ("sum", text.constant("WIDTH", width).file(FILE))
        };
        Dispatch {
            name: name.into(),
            text: text.file(GRID).into_string(),
            arrays,
            dims: vec![self.outputs as u32, u32::from(adds)],
            groups: self.outputs.div_ceil(width) * splits,
            flops: 0,
            bytes: 0,
        }
    }
}
