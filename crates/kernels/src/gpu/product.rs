//! Products of matrices and convolutions: tiles, parts of long sums, and the form for f16.

use super::{Array, Dispatch, GRID, GpuCall, INVOCATIONS, Precision, Target, Text, numbers};
use crate::sum;

const SINGLE: &str = include_str!("single.wgsl");
const HALF: &str = include_str!("half.wgsl");
const TILES: &str = include_str!("product.wgsl");
const COOPERATIVE: &str = include_str!("product_cooperative.wgsl");
const LARGEST: &str = include_str!("largest.wgsl");

/// Workgroups that fill a large device; a product with fewer tiles has its terms cut into parts.
const ENOUGH: usize = 256;
/// Terms of a part at least.
const PART: usize = 256;
/// Numbers of all parts' sums at most.
const PARTS: usize = 1 << 24;
/// Parts of an array whose largest numbers are found side by side: few of a small array, enough of a large one.
fn largest_parts(numbers: usize) -> usize {
    if numbers <= 1 << 16 { 4 } else { 64 }
}

/// C[l] = Σ_k a(l, m, k) b(l, k, n), [layers, m, n].
pub(crate) struct Product {
    pub(crate) name: &'static str,
    pub(crate) layers: usize,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Whether neighbouring terms are neighbours in memory, for a and b.
    pub(crate) along_k: [bool; 2],
    /// Constants and functions of the op.
    pub(crate) operands: Text,
}

/// Rows and columns of a tile.
#[derive(Clone, Copy)]
struct Tile {
    pm: usize,
    v: usize,
}

impl Tile {
    fn rows(self) -> usize {
        4 * self.pm
    }

    fn columns(self) -> usize {
        4 * self.v * INVOCATIONS / self.pm
    }

    /// Wide tiles read less; small ones leave less of the device idle.
    fn of(layers: usize, m: usize, n: usize) -> Self {
        let wide = Self {
            pm: 32,
            v: match n {
                ..=32 => 1,
                33..=64 => 2,
                _ if n.next_multiple_of(96) <= n.next_multiple_of(128) => 3,
                _ => 4,
            },
        };
        let tiles = layers * m.div_ceil(wide.rows()) * n.div_ceil(wide.columns());
        let small = Self { pm: 16, v: 1 };
        if n > 32 && (m <= small.rows() || tiles < ENOUGH / 4) { small } else { wide }
    }
}

impl Product {
    pub(crate) fn launches(self, target: &Target, call: &GpuCall<'_>) -> Vec<Dispatch> {
        if self.layers * self.k * self.m * self.n == 0 {
            return nothing(target, call);
        }
        let half = target.precision == Precision::Mixed && target.abilities.half;
        let cooperative = target.abilities.cooperative.filter(|_| half).map(|size| size as usize);
        let parts = [0, 1].map(|k| largest_parts(call.shapes[k].iter().product()));
        let (form, text, tile) = self.form(half.then_some(parts), cooperative);
        let tiles = self.layers * self.m.div_ceil(tile[0]) * self.n.div_ceil(tile[1]);
        let splits = self.splits(tiles);
        let outputs = self.m * self.n;
        let chunk = if splits == 1 { self.k } else { self.k.div_ceil(splits).next_multiple_of(16) };
        let splits = self.k.div_ceil(chunk);
        let parts = |written| Array::Scratch { slot: 0, len: splits * outputs, written };
        let result = if splits == 1 { Array::Output(0) } else { parts(true) };
        let mut arrays = vec![Array::Input(0), Array::Input(1), result];
        let mut made = Vec::new();
        if half {
            for k in 0..2 {
                let parts = largest_parts(call.shapes[k].iter().product());
                made.push(largest(k, parts, call));
                arrays.push(Array::Scratch { slot: 1 + k, len: parts, written: false });
            }
        }
        let layers = if splits == 1 { self.layers } else { splits };
        let dims = [self.m, self.k, chunk, layers, usize::from(call.adds && splits == 1)];
        let flops = 2 * (self.layers * self.m * self.n * self.k) as u64;
        made.push(Dispatch {
            name: format!("{}{form}", self.name),
            text: text
                .flag("SPLIT", splits > 1)
                .constant("N", self.n)
                .flag("A_ALONG_K", self.along_k[0])
                .flag("B_ALONG_K", self.along_k[1])
                .file(GRID)
                .into_string(),
            arrays,
            dims: dims.map(|d| d as u32).to_vec(),
            groups: tiles * splits,
            flops,
            bytes: 4 * (numbers(call.shapes) + numbers(call.outputs)),
        });
        if splits > 1 {
            made.push(sum::gpu::of_parts(target, 0, splits, outputs, call.adds));
        }
        made
    }

    /// The form's name, its text, and the rows and columns of its tiles.
    ///
    /// `half`: for f16, the parts of each operand's largest numbers.
    fn form(&self, half: Option<[usize; 2]>, cooperative: Option<usize>) -> (&'static str, Text, [usize; 2]) {
        let (begin, scaling) = match half {
            Some([a, b]) => {
                let text = Text::default().file("enable f16;").file(if cooperative.is_some() {
                    "enable wgpu_cooperative_matrix;"
                } else {
                    ""
                });
                (text.constant("PARTS_A", a).constant("PARTS_B", b), HALF)
            }
            None => (Text::default(), SINGLE),
        };
        if let Some(size) = cooperative {
            let subgroups = INVOCATIONS / size;
            let j = self.n.div_ceil(32).min(if self.n.next_multiple_of(96) <= self.n.next_multiple_of(128) {
                3
            } else {
                4
            });
            let text = begin
                .constant("SUBGROUPS", subgroups)
                .constant("SIZE", size)
                .constant("J", j)
                .file(scaling)
                .file(COOPERATIVE)
                .file(self.operands.as_str());
            return (", cooperative", text, [16 * subgroups, 32 * j]);
        }
        let tile = Tile::of(self.layers, self.m, self.n);
        let text = begin
            .constant("PM", tile.pm)
            .constant("PN", INVOCATIONS / tile.pm)
            .constant("V", tile.v)
            .constant("BK", INVOCATIONS / tile.pm)
            .file(scaling)
            .file(TILES)
            .file(self.operands.as_str());
        (if half.is_some() { ", half" } else { "" }, text, [tile.rows(), tile.columns()])
    }

    /// Parts of the terms: enough to fill a large device, each long enough to be worth its sum.
    fn splits(&self, tiles: usize) -> usize {
        if self.layers > 1 {
            return 1;
        }
        let room = (PARTS / (self.m * self.n)).max(1);
        ENOUGH.div_ceil(tiles).min(self.k / PART).min(room).max(1)
    }
}

/// A product without terms is zero.
fn nothing(target: &Target, call: &GpuCall<'_>) -> Vec<Dispatch> {
    if call.adds {
        return Vec::new();
    }
    vec![sum::gpu::of_parts(target, 0, 0, call.outputs[0].iter().product(), false)]
}

/// Bits of the largest numbers of an operand's parts, in scratch 1 + `input`.
fn largest(input: usize, parts: usize, call: &GpuCall<'_>) -> Dispatch {
    let count: usize = call.shapes[input].iter().product();
    let scratch = Array::Scratch { slot: 1 + input, len: parts, written: true };
    Dispatch {
        name: "largest".into(),
        text: Text::default().constant("PARTS", parts).file(LARGEST).file(GRID).into_string(),
        arrays: vec![Array::Input(input), scratch],
        dims: vec![count as u32],
        groups: parts,
        flops: count as u64,
        bytes: 4 * count as u64,
    }
}
