//! The buffers of a program, and what each launch binds of them.

use super::State;
use super::compiled::{Compiled, Ready, submissions};
use super::context::{Context, PipelineKey};
use super::layout::{Bounds, Launch, Layout, Part};
use sda_graph::{Place, Program};
use sda_kernels::gpu::Array;
use std::collections::HashMap;
use std::sync::Arc;
use wgpu::BufferUsages;

/// Numbers before and after every array when guards are asked for; a multiple of every adapter's alignment.
pub(super) const GUARD: usize = 64;
/// What guards and fresh arrays hold: a NaN of our own.
pub(super) const WORD: u32 = 0x7fc0_dead;

/// Part of a buffer, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) buffer: wgpu::Buffer,
    pub(super) offset: u64,
    /// Numbers.
    pub(super) len: usize,
    /// Guard words behind them, which kernels see too: some adapters pass over what lies outside of what is bound.
    pub(super) guard: usize,
}

/// All buffers of a program.
pub(super) struct Memory<'a> {
    context: &'a Context,
    states: Vec<Region>,
    full: Vec<Region>,
    local: Vec<Region>,
    scratch: Vec<Region>,
    constants: Vec<Region>,
    tables: HashMap<Arc<[u32]>, Region>,
    inputs: Vec<Region>,
    input_buffer: wgpu::Buffer,
    input_bytes: usize,
    dims: wgpu::Buffer,
    dims_stride: usize,
}

/// A buffer of `len` numbers, perhaps between guards.
pub(super) fn array(context: &Context, label: &str, len: usize, guarded: bool) -> Region {
    let margin = if guarded { GUARD } else { 0 };
    let buffer = context.buffer(label, 4 * (len.max(1) + 2 * margin) as u64, BufferUsages::STORAGE);
    if guarded {
        context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&vec![WORD; len.max(1) + 2 * margin]));
    }
    Region { buffer, offset: 4 * margin as u64, len, guard: margin }
}

impl<'a> Memory<'a> {
    pub(super) fn new(
        context: &'a Context,
        program: &Program,
        layout: &Layout,
        states: &[&State],
        guarded: bool,
    ) -> Self {
        let alignment = context.limits.min_storage_buffer_offset_alignment as usize;
        let graph = &program.graph;
        let lengths = graph.inputs().iter().map(|d| 4 * d.shape.iter().product::<usize>());
        let guard = if guarded { GUARD } else { 0 };
        // The key comes first.
        let (starts, input_bytes) =
            stacked([12].into_iter().chain(lengths).map(|n| n.max(4) + 4 * guard), alignment);
        let input_buffer = context.buffer("inputs", input_bytes as u64, BufferUsages::STORAGE);
        let inputs = starts.iter().enumerate().map(|(i, &start)| Region {
            buffer: input_buffer.clone(),
            offset: start as u64,
            len: if i == 0 { 3 } else { graph.inputs()[i - 1].shape.iter().product() },
            guard,
        });
        let make = |label: &'static str| move |&n: &usize| array(context, label, n, guarded);
        let dims_stride = context.limits.min_uniform_buffer_offset_alignment as usize;
        let bytes = (layout.launches.len() * dims_stride).max(dims_stride);
        Self {
            context,
            states: states.iter().map(|s| s.region.clone()).collect(),
            full: layout.plan.full.iter().map(make("slot")).collect(),
            local: layout.local.iter().map(make("slot of a block")).collect(),
            scratch: layout.scratch.iter().map(make("scratch")).collect(),
            constants: constants(context, program, alignment, guard),
            tables: tables(context, layout, alignment),
            inputs: inputs.collect(),
            input_buffer,
            input_bytes,
            dims: context.buffer("dims", bytes as u64, BufferUsages::UNIFORM),
            dims_stride,
        }
    }

    fn at(&self, place: Place) -> &Region {
        match place {
            Place::Input(i) => &self.inputs[i + 1],
            Place::State(i) => &self.states[i],
            Place::Constant(i) => &self.constants[i],
            Place::Full(i) => &self.full[i],
            Place::Local(i) => &self.local[i],
        }
    }

    fn part(&self, part: Part) -> Region {
        let region = self.at(part.place).clone();
        Region { offset: region.offset + 4 * part.first as u64, len: part.len, ..region }
    }

    fn array(&self, array: &Array, part: Option<Part>) -> Region {
        match (array, part) {
            (_, Some(part)) => self.part(part),
            (Array::Table(table), _) => self.tables[table].clone(),
            (Array::Scratch { slot, len, .. }, _) => Region { len: *len, ..self.scratch[*slot].clone() },
            _ => self.inputs[0].clone(),
        }
    }

    pub(super) fn compiled(self, program: &Program, layout: Layout, bounds: &Bounds) -> Compiled {
        let mut dims = vec![0u8; (layout.launches.len() * self.dims_stride).max(self.dims_stride)];
        for (launch, chunk) in layout.launches.iter().zip(dims.chunks_exact_mut(self.dims_stride)) {
            let words: &[u8] = bytemuck::cast_slice(&launch.dispatch.dims);
            chunk[..words.len()].copy_from_slice(words);
        }
        self.context.queue.write_buffer(&self.dims, 0, &dims);
        let launches: Vec<Ready> = layout
            .launches
            .iter()
            .enumerate()
            .map(|(i, launch)| self.ready(i, launch, bounds.widest))
            .collect();
        let (outputs, mut copies): (Vec<Region>, Vec<Option<(Region, Region)>>) =
            layout.plan.outputs.iter().map(|&(place, len)| self.output(place, len)).unzip();
        copies.extend(layout.plan.copies.iter().map(|&(from, state)| {
            let to = self.states[state].clone();
            Some((self.part(Part { place: from, first: 0, len: to.len }), to))
        }));
        let fetched = outputs.iter().map(|o| vec![0.0; o.len]).collect();
        let input_offsets = self.inputs[1..].iter().map(|r| r.offset as usize).collect();
        Compiled {
            program: program.clone(),
            submissions: submissions(&layout.launches, bounds),
            plan: layout.plan,
            launches,
            fetched,
            outputs,
            copies: copies.into_iter().flatten().collect(),
            // Between guards too, so that what is read beyond an input shows.
            staging: vec![WORD; self.input_bytes / 4].iter().flat_map(|w| w.to_le_bytes()).collect(),
            inputs: self.input_buffer,
            input_offsets,
            buffers: [self.full, self.local, self.scratch].concat(),
        }
    }

    /// Where an output lies after a run. A state's old value is copied, since other programs write it.
    fn output(&self, place: Place, len: usize) -> (Region, Option<(Region, Region)>) {
        let lies = self.part(Part { place, first: 0, len });
        match place {
            Place::State(_) => {
                let kept = array(self.context, "output", len, false);
                (kept.clone(), Some((lies, kept)))
            }
            _ => (lies, None),
        }
    }

    fn ready(&self, i: usize, launch: &Launch, widest: u32) -> Ready {
        let dispatch = &launch.dispatch;
        let (pipeline, layout) = self.context.pipeline_of(&key_of(launch));
        let regions: Vec<Region> =
            dispatch.arrays.iter().zip(&launch.parts).map(|(array, part)| self.array(array, *part)).collect();
        let bound = |buffer, offset: u64, bytes: u64| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let words = 4 * dispatch.dims.len() as u64;
        let dims = wgpu::BindGroupEntry {
            binding: 0,
            resource: bound(&self.dims, (i * self.dims_stride) as u64, words),
        };
        let arrays = regions.iter().enumerate().map(|(k, region)| wgpu::BindGroupEntry {
            binding: k as u32 + 1,
            resource: bound(&region.buffer, region.offset, 4 * (region.len.max(1) + region.guard) as u64),
        });
        let entries: Vec<_> = [dims].into_iter().chain(arrays).collect();
        let group = self.context.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&dispatch.name),
            layout: &layout,
            entries: &entries,
        });
        Ready {
            pipeline,
            group,
            groups: grid(dispatch.groups, widest),
            name: dispatch.name.clone(),
            flops: dispatch.flops,
            bytes: dispatch.bytes,
        }
    }
}

/// Workgroups as a grid no wider than the adapter allows; a kernel passes over those that are too many.
fn grid(groups: usize, widest: u32) -> [u32; 2] {
    let down = groups.div_ceil(widest as usize).max(1);
    [groups.div_ceil(down) as u32, down as u32]
}

fn constants(context: &Context, program: &Program, alignment: usize, guard: usize) -> Vec<Region> {
    let all = program.graph.constants();
    let (starts, end) = stacked(all.iter().map(|c| 4 * (c.len().max(1) + guard)), alignment);
    let mut bytes: Vec<u8> = vec![WORD; end.max(4) / 4].iter().flat_map(|w| w.to_le_bytes()).collect();
    for (constant, &start) in all.iter().zip(&starts) {
        let values: Vec<f32> = constant.iter().map(|&x| x as f32).collect();
        bytes[start..start + 4 * values.len()].copy_from_slice(bytemuck::cast_slice(&values));
    }
    let buffer = context.buffer("constants", bytes.len() as u64, BufferUsages::STORAGE);
    context.queue.write_buffer(&buffer, 0, &bytes);
    let region = |(c, &start): (&ndarray::ArrayD<f64>, &usize)| Region {
        buffer: buffer.clone(),
        offset: start as u64,
        len: c.len(),
        guard,
    };
    all.iter().zip(&starts).map(region).collect()
}

fn tables(context: &Context, layout: &Layout, alignment: usize) -> HashMap<Arc<[u32]>, Region> {
    let mut all: Vec<Arc<[u32]>> = Vec::new();
    for array in layout.launches.iter().flat_map(|l| &l.dispatch.arrays) {
        if let Array::Table(table) = array
            && !all.contains(table)
        {
            all.push(Arc::clone(table));
        }
    }
    let (starts, end) = stacked(all.iter().map(|t| 4 * t.len()), alignment);
    let mut bytes = vec![0u8; end.max(4)];
    for (table, &start) in all.iter().zip(&starts) {
        bytes[start..start + 4 * table.len()].copy_from_slice(bytemuck::cast_slice(table));
    }
    let buffer = context.buffer("tables", bytes.len() as u64, BufferUsages::STORAGE);
    context.queue.write_buffer(&buffer, 0, &bytes);
    let region = |start: usize, len| Region { buffer: buffer.clone(), offset: start as u64, len, guard: 0 };
    all.into_iter().zip(starts).map(|(table, start)| (table.clone(), region(start, table.len()))).collect()
}

/// Starts of arrays in one buffer, each a multiple of `alignment`, and the end.
fn stacked(lengths: impl IntoIterator<Item = usize>, alignment: usize) -> (Vec<usize>, usize) {
    let mut end = 0;
    let starts = lengths
        .into_iter()
        .map(|bytes| {
            let start = end;
            end = (start + bytes.max(4)).next_multiple_of(alignment);
            start
        })
        .collect();
    (starts, end)
}

/// What tells a launch's pipeline from others.
pub(super) fn key_of(launch: &Launch) -> PipelineKey {
    (launch.dispatch.text.clone(), launch.dispatch.arrays.iter().map(Array::is_written).collect())
}
