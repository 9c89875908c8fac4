//! Every launch of every case as WGSL: valid, within the limits of every adapter, and translated to SPIR-V, MSL and HLSL.
//! No adapter is needed.

use crate::catalogue::{kernels, random_program};
use crate::gpu::{Abilities, Array, Dispatch, GpuCall, Precision, Target, launches};
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};
use sda_graph::{Plan, PlanOptions, Program, Step, StepKind};
use std::collections::HashSet;

/// Each form of the kernels, with whether HLSL has it.
fn targets() -> [(&'static str, Target, bool); 5] {
    let all = Abilities { half: true, subgroups: true, arrays: 16, ..Abilities::PORTABLE };
    let mixed = |abilities| Target { abilities, precision: Precision::Mixed };
    [
        ("portable", Target::PORTABLE, true),
        ("subgroups", Target { abilities: all, precision: Precision::F32 }, true),
        ("half", mixed(all), true),
        ("cooperative", mixed(Abilities { cooperative: Some(32), ..all }), false),
        ("cooperative, 64", mixed(Abilities { cooperative: Some(64), ..all }), false),
    ]
}

/// All launches of a program's steps on whole arrays.
pub(super) fn program_launches(program: &Program, target: &Target) -> Vec<Dispatch> {
    let options = PlanOptions {
        block: Some(usize::MAX),
        arrays: target.abilities.arrays,
        sequential: true,
        ..PlanOptions::default()
    };
    Plan::new(program, options).steps().flat_map(|step| step_launches(step, target)).collect()
}

fn step_launches(step: &Step, target: &Target) -> Vec<Dispatch> {
    let places: Vec<_> =
        step.inputs.iter().map(|i| i.place).chain(step.outputs.iter().map(|o| o.place)).collect();
    let memory: Vec<usize> = places.iter().map(|p| places.iter().position(|q| q == p).unwrap()).collect();
    let shapes: Vec<&[usize]> = step.inputs.iter().map(|i| &i.shape[..]).collect();
    let outputs: Vec<&[usize]> = step.outputs.iter().map(|o| &o.shape[..]).collect();
    let rows = match &step.kind {
        StepKind::Fused(fused) => fused.rows,
        StepKind::Op(_) => 0,
    };
    let call = GpuCall {
        kind: &step.kind,
        shapes: &shapes,
        outputs: &outputs,
        rows,
        memory: &memory,
        first_row: 0,
        adds: false,
    };
    launches(target, &call)
}

fn parsed(text: &str) -> (Module, ModuleInfo) {
    let show = |message: String| -> ! { panic!("{message}\n{text}") };
    let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|e| show(e.emit_to_string(text)));
    let capabilities =
        Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP | Capabilities::COOPERATIVE_MATRIX;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .unwrap_or_else(|e| show(e.emit_to_string(text)));
    (module, info)
}

/// Bindings of the text against those of the launch, and what the portable form promises.
fn check(name: &str, dispatch: &Dispatch, module: &Module) {
    let [entry] = &module.entry_points[..] else { panic!("{name}: one entry point") };
    assert_eq!(entry.name, "main", "{name}");
    assert!(entry.workgroup_size.iter().product::<u32>() <= 256, "{name}: {:?}", entry.workgroup_size);
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    let (mut shared, mut arrays) = (0, vec![None; dispatch.arrays.len()]);
    for (_, variable) in module.global_variables.iter() {
        match (variable.space, &variable.binding) {
            (AddressSpace::WorkGroup, _) => shared += layouter[variable.ty].size,
            (AddressSpace::Private, _) => {}
            (AddressSpace::Uniform, Some(binding)) => {
                assert_eq!(binding.binding, 0, "{name}");
                assert_eq!(layouter[variable.ty].size as usize, 4 * dispatch.dims.len(), "{name}: Dims");
            }
            (AddressSpace::Storage { access }, Some(binding)) => {
                arrays[binding.binding as usize - 1] = Some(access.contains(StorageAccess::STORE));
            }
            _ => panic!("{name}: {variable:?}"),
        }
    }
    let declared: Vec<Option<bool>> = dispatch.arrays.iter().map(|a| Some(Array::is_written(a))).collect();
    assert_eq!(arrays, declared, "{name}: arrays and whether they are written\n{}", dispatch.text);
    assert!(shared <= 24 << 10, "{name}: {shared} bytes of workgroup memory");
    if name.starts_with("portable") {
        assert!(shared <= 16 << 10, "{name}: {shared} bytes of workgroup memory");
        assert!(arrays.len() <= 8, "{name}: {} arrays", arrays.len());
    }
}

fn translate(name: &str, module: &Module, info: &ModuleInfo, to_hlsl: bool) {
    let options = spv::Options { lang_version: (1, 6), ..spv::Options::default() };
    let words =
        spv::write_vec(module, info, &options, None).unwrap_or_else(|e| panic!("{name}: SPIR-V: {e}"));
    assert!(words.len() > 50, "{name}");
    let options =
        msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..msl::Options::default() };
    let (metal, _) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
    assert!(metal.contains("kernel void"), "{name}");
    if to_hlsl {
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_6,
            fake_missing_bindings: true,
            ..hlsl::Options::default()
        };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(module, info, None)
            .unwrap_or_else(|e| panic!("{name}: HLSL: {e}"));
        assert!(text.contains("numthreads"), "{name}");
    }
}

/// Checks and translates each text once.
fn all(programs: impl Iterator<Item = (String, Program)>) -> usize {
    let mut seen: HashSet<String> = HashSet::new();
    for (case, program) in programs {
        for (form, target, to_hlsl) in targets() {
            for dispatch in program_launches(&program, &target) {
                let name = format!("{form}: {case}: {}", dispatch.name);
                if !seen.insert(dispatch.text.clone()) {
                    continue;
                }
                let (module, info) = parsed(&dispatch.text);
                check(&name, &dispatch, &module);
                translate(&name, &module, &info, to_hlsl || !dispatch.text.contains("coop_mat"));
            }
        }
    }
    seen.len()
}

#[test]
fn parity_every_kernel_and_case_is_valid_and_translates() {
    let cases =
        kernels().into_iter().flat_map(|kernel| kernel.cases().into_iter().map(move |c| (kernel.name, c)));
    let texts = all(cases.map(|(kernel, case)| (format!("{kernel} {}", case.name), case.program)));
    assert!(texts > 300, "{texts} texts only");
}

#[test]
fn parity_random_programs_are_valid_and_translate() {
    all((0..24).map(|seed| (format!("program {seed}"), random_program(seed, 40))));
}
