//! The fast form: without a matrix of columns on AMX tiles or with AVX2 or AVX-512, else by the matrix library.

use super::columns;
#[cfg(target_arch = "x86_64")]
use super::{
    axis::{Axis, Lengths},
    direct, filter,
};
#[cfg(target_arch = "x86_64")]
use crate::matmul::{blocks::Vectors, pack::Form};
use crate::{Call, Level};
use sda_graph::{ConvGeometry, Face};

/// Output points of the step from which weights are packed for tiles.
#[cfg(target_arch = "x86_64")]
const TILE_POINTS: usize = 96;

/// (Ci, Co) and images, from the shapes of the inputs; weights [kh, kw, Ci, Co] are the second of two faces.
#[cfg(target_arch = "x86_64")]
fn lengths(face: Face, g: &ConvGeometry, shapes: &[&[usize]]) -> Lengths {
    let (ci, co) = match face {
        Face::Forward | Face::Input => (shapes[1][2], shapes[1][3]),
        Face::Filter => (shapes[0][3], shapes[1][3]),
    };
    Lengths::new(*g, shapes[0][0], ci, co)
}

/// The vectors of a face that is computed without columns. With AVX2 columns are faster for the filter's gradient, by a tenth
/// at 96 channels and by up to seven tenths at 384.
#[cfg(target_arch = "x86_64")]
fn direct_vectors(level: Level, face: Face, g: &ConvGeometry) -> Option<Vectors> {
    let vectors = Vectors::of(level)?;
    let is_direct = match face {
        Face::Forward => true,
        Face::Input => Axis::has_input_phases(g, 0) && Axis::has_input_phases(g, 1),
        Face::Filter => vectors == filter::VECTORS,
    };
    is_direct.then_some(vectors)
}

/// Whether the filter's gradient can be added to what the output holds.
pub(crate) fn can_add(level: Level, g: &ConvGeometry) -> bool {
    #[cfg(target_arch = "x86_64")]
    return direct_vectors(level, Face::Filter, g).is_some();
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (level, g);
        false
    }
}

/// How weights are packed: a matter of the whole step.
#[cfg(target_arch = "x86_64")]
fn form(level: Level, face: Face, g: &ConvGeometry, shapes: &[&[usize]]) -> Option<Form> {
    let vectors = direct_vectors(level, face, g)?;
    let l = lengths(face, g, shapes);
    if face == Face::Filter || l.ci * l.co == 0 {
        return None;
    }
    let [h, w] = g.output();
    let many = shapes[0][0] * h * w >= TILE_POINTS;
    let tiles = level == Level::Amx && many && direct::fills_tiles(face, l);
    Some(if tiles { Form::Tiles } else { Form::Panels(vectors) })
}

/// Whether a filter's gradient is computed on tiles.
#[cfg(target_arch = "x86_64")]
fn filter_by_tiles(level: Level, l: Lengths) -> bool {
    let [h, w] = l.g.output();
    level == Level::Amx && l.batch * h * w >= 64 && l.ci >= 8 && l.co >= 8 && w >= 4
}

pub(crate) fn packed_len(level: Level, face: Face, g: &ConvGeometry, shapes: &[&[usize]]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(form) = form(level, face, g, shapes) {
        return direct::packed_len(form, face, lengths(face, g, shapes));
    }
    let _ = (level, face, g, shapes);
    0
}

pub(crate) fn pack(
    level: Level,
    face: Face,
    g: &ConvGeometry,
    shapes: &[&[usize]],
    weights: &[f32],
    packed: &mut [f32],
    parallel: bool,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(form) = form(level, face, g, shapes) {
        direct::pack_weights(form, face, lengths(face, g, shapes), weights, packed, parallel);
        return;
    }
    let _ = (level, face, g, shapes, weights, packed, parallel);
}

pub(crate) fn scratch_len(level: Level, face: Face, g: &ConvGeometry, shapes: &[&[usize]]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(vectors) = direct_vectors(level, face, g) {
        let l = lengths(face, g, shapes);
        if face == Face::Filter {
            return filter::scratch_len(filter_by_tiles(level, l), l);
        }
        let len = |form| direct::scratch_len(form, face, l);
        let panels = len(Form::Panels(vectors));
        return if level == Level::Amx { len(Form::Tiles).max(panels) } else { panels };
    }
    let _ = (level, face);
    columns::scratch_len(g, shapes)
}

pub(crate) fn cpu(
    level: Level,
    face: Face,
    g: &ConvGeometry,
    call: Call<'_, f32>,
    packed: Option<&[f32]>,
    scratch: &mut [f32],
    parallel: bool,
) {
    // A sum of nothing: no channels, or no images.
    if call.inputs.iter().any(|input| input.is_empty()) {
        if !call.adds {
            call.output.fill(0.0);
        }
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(vectors) = direct_vectors(level, face, g) {
        let mut l = lengths(face, g, call.shapes);
        l.adds = call.adds;
        let (a, b) = (call.inputs[0], call.inputs[1]);
        if face == Face::Filter {
            filter::run(filter_by_tiles(level, l), l, a, b, call.output, scratch, parallel);
        } else {
            let packed = packed.expect("convolution: the caller packs weights where packed_len says so");
            let panels = Form::Panels(vectors);
            let form = if packed.len() == direct::packed_len(panels, face, l) { panels } else { Form::Tiles };
            direct::run(form, face, l, a, packed, call.output, scratch, parallel);
        }
        return;
    }
    let _ = (level, packed);
    columns::run(face, g, call, scratch, parallel);
}
