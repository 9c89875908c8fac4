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
    if numbers <= 1 << 16 { 4 } else { 256 }
}

/// C[l] = Σ_k a(l, m, k) b(l, k, n), [layers, m, n].
#[derive(Clone)]
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

/// How the products of a step are computed.
struct Way {
    half: bool,
    /// Parts of each operand's largest numbers.
    parts: [usize; 2],
    /// Invocations of a subgroup.
    cooperative: Option<usize>,
    /// Parts of the terms.
    splits: usize,
    /// Rows of C over all products.
    rows: usize,
}

/// The launches of a step's output, whose rows are those of one product, or of several in turn.
pub(crate) fn launches(products: &[Product], target: &Target, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let rows = products.iter().map(|p| p.m).sum();
    let half = target.precision == Precision::Mixed && target.abilities.half;
    let parts = [0, 1].map(|k| largest_parts(call.shapes[k].iter().product()));
    let cooperative = target.abilities.cooperative.filter(|_| half).map(|size| size as usize);
    let mut way = Way { half, parts, cooperative, splits: 1, rows };
    way.splits = splits(products, &way);
    let computed = products.iter().filter(|p| p.layers * p.m * p.n > 0);
    if computed.clone().all(|p| p.k == 0) {
        return nothing(target, call);
    }
    let mut made = Vec::new();
    if half {
        made.extend((0..2).map(|k| largest(k, parts[k], call)));
    }
    made.extend(computed.map(|p| p.launch(&way, call)));
    if way.splits > 1 {
        made.push(sum::gpu::of_parts(target, 0, way.splits, rows * products[0].n, call.adds));
    }
    made
}

/// Parts of the terms: enough to fill a large device, each long enough to be worth its sum.
fn splits(products: &[Product], way: &Way) -> usize {
    let Some(longest) = products.iter().map(|p| p.k).max().filter(|_| products[0].layers == 1) else {
        return 1;
    };
    let tiles: usize = products.iter().map(|p| p.tiles(way)).sum();
    let room = PARTS / (way.rows * products[0].n).max(1);
    ENOUGH.div_ceil(tiles.max(1)).min(longest / PART).min(room).max(1)
}

impl Product {
    fn tiles(&self, way: &Way) -> usize {
        let (_, _, tile) = self.form(way);
        self.layers * self.m.div_ceil(tile[0]) * self.n.div_ceil(tile[1])
    }

    fn launch(&self, way: &Way, call: &GpuCall<'_>) -> Dispatch {
        let (form, text, _) = self.form(way);
        let split = way.splits > 1;
        let result = if split {
            Array::Scratch { slot: 0, len: way.splits * way.rows * self.n, written: true }
        } else {
            Array::Output(0)
        };
        let mut arrays = vec![Array::Input(0), Array::Input(1), result];
        if way.half {
            let scratch = |k| Array::Scratch { slot: 1 + k, len: way.parts[k], written: false };
            arrays.extend((0..2).map(scratch));
        }
        let chunk = if split { self.k.div_ceil(way.splits).next_multiple_of(16) } else { self.k };
        let layers = if split { way.splits } else { self.layers };
        let dims = [self.m, self.k, chunk, layers, usize::from(call.adds && !split), way.rows];
        let share = self.m as f64 / way.rows as f64;
        let bytes = 4 * (numbers(call.shapes) + numbers(call.outputs));
        Dispatch {
            name: format!("{}{form}", self.name),
            text: text
                .flag("SPLIT", split)
                .constant("N", self.n)
                .flag("A_ALONG_K", self.along_k[0])
                .flag("B_ALONG_K", self.along_k[1])
                .file(GRID)
                .into_string(),
            arrays,
            dims: dims.map(|d| d as u32).to_vec(),
            groups: self.tiles(way) * way.splits,
            flops: 2 * (self.layers * self.m * self.n * self.k) as u64,
            bytes: (bytes as f64 * share) as u64,
        }
    }

    /// The form's name, its text, and the rows and columns of its tiles.
    fn form(&self, way: &Way) -> (&'static str, Text, [usize; 2]) {
        let Way { half, parts: [a, b], cooperative, .. } = *way;
        let (begin, scaling) = if half {
            let matrices = if cooperative.is_some() { "enable wgpu_cooperative_matrix;" } else { "" };
            let text = Text::default().file("enable f16;").file(matrices);
            (text.constant("PARTS_A", a).constant("PARTS_B", b), HALF)
        } else {
            (Text::default(), SINGLE)
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
        (if half { ", half" } else { "" }, text, [tile.rows(), tile.columns()])
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
