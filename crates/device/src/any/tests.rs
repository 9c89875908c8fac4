use super::*;

fn cpu(threads: usize) -> Device {
    Device::open(&DeviceChoice::Cpu, threads, Precision::F32).unwrap()
}

#[test]
fn the_cpu_in_one_line() {
    assert_eq!(cpu(2).describe(), format!("CPU, 2 threads, {:?}", Level::detect()));
    assert_eq!(cpu(1).describe(), format!("CPU, 1 thread, {:?}", Level::detect()));
}

#[test]
fn the_cpu_has_f32_alone() {
    let opened = Device::choose(&DeviceChoice::Cpu, 1, Precision::Mixed).unwrap();
    assert_eq!(opened.device.precision(), Precision::F32);
    assert_eq!((opened.choice, opened.remark), (DeviceChoice::Cpu, None));
}

#[test]
fn it_runs_what_its_executor_runs() {
    use ndarray::arr1;
    use sda_graph::{Declaration, Graph};
    let mut g = Graph::new();
    let (x, total) = (g.input(Declaration::shared("x", &[])), g.state(Declaration::shared("total", &[1])));
    let more = g.broadcast(x, &[1]);
    let sum = g.add(total, more);
    let program = Program::new(g).output("sum", sum).update("total", sum);
    let mut device = cpu(1);
    device.write("total", arr1(&[1.0]).into_dyn().view()).unwrap();
    let handle = device.compile(&program).unwrap();
    for step in 0..2 {
        device.run(handle, RunKey { seed: 0, step }, &[&[2.0]]).unwrap();
    }
    assert_eq!(device.output(handle, 0).unwrap(), [5.0]);
    assert_eq!(device.read("total").unwrap(), arr1(&[5.0]).into_dyn());
}

#[cfg(feature = "gpu")]
mod automatic {
    use super::*;
    use crate::wgpu::AdapterKind;
    use sda_kernels::gpu::Abilities;

    fn adapter(name: &str, kind: AdapterKind) -> AdapterDescription {
        AdapterDescription {
            name: name.into(),
            backend: "Vulkan".into(),
            kind,
            driver: String::new(),
            buffer_bytes: 1 << 30,
            binding_bytes: 1 << 27,
            workgroup_bytes: 16 << 10,
            invocations: 256,
            abilities: Abilities::PORTABLE,
            timestamps: false,
        }
    }

    fn refuses(_: &AdapterChoice) -> Result<Device, ExecutorError> {
        Err(ExecutorError::Device("out of memory".into()))
    }

    #[track_caller]
    fn on_cpu(adapters: &[AdapterDescription]) -> Option<String> {
        let opened = choose_automatically(adapters, refuses, || Ok(cpu(1))).unwrap();
        assert!(matches!(opened.device, Device::Cpu(_)));
        assert_eq!(opened.choice, DeviceChoice::Cpu);
        opened.remark
    }

    #[test]
    fn without_hardware_it_is_the_cpu_and_nothing_is_said() {
        assert_eq!(on_cpu(&[]), None);
        assert_eq!(on_cpu(&[adapter("a program", AdapterKind::Software)]), None);
    }

    #[test]
    fn hardware_that_does_not_open_is_named() {
        let adapters = [adapter("a program", AdapterKind::Software), adapter("Arc", AdapterKind::Discrete)];
        let remark = on_cpu(&adapters).unwrap();
        assert!(remark.contains("Arc") && remark.contains("out of memory"), "{remark}");
    }

    #[test]
    fn a_discrete_adapter_comes_before_all_others_and_the_first_before_the_second() {
        use AdapterKind::{Discrete, Integrated, Software};
        let kinds = [Software, Integrated, Discrete, Discrete];
        let adapters = kinds.map(|kind| adapter("some", kind));
        let mut asked = None;
        let opens = |best: &AdapterChoice| {
            asked = Some(best.clone());
            Ok(cpu(1))
        };
        let never = || -> Result<Device, ExecutorError> { panic!("the CPU was opened") };
        let opened = choose_automatically(&adapters, opens, never).unwrap();
        assert_eq!(asked, Some(AdapterChoice::Index(2)));
        assert_eq!(opened.choice, DeviceChoice::Gpu(AdapterChoice::Index(2)));
        assert_eq!(opened.remark, None);
    }

    #[test]
    fn an_adapter_that_is_not_there_is_an_error_that_says_what_is() {
        for which in ["no-such-adapter", "9999"] {
            let choice: DeviceChoice = format!("gpu:{which}").parse().unwrap();
            let message = Device::open(&choice, 1, Precision::F32).unwrap_err().to_string();
            assert!(message.contains("there is no GPU adapter"), "{message}");
            // A machine without any adapter says how to come by one, any other what it has.
            assert!(message.contains(which) || message.contains("install"), "{message}");
        }
    }

    #[test]
    fn mixed_needs_f16_and_tensor_cores_a_self_test() {
        let plain = adapter("plain", AdapterKind::Discrete);
        let mut rich = plain.clone();
        rich.abilities = Abilities { half: true, subgroups: true, cooperative: Some(32), arrays: 16 };
        assert_eq!(plain.precision(Precision::Mixed), Precision::F32);
        assert_eq!(plain.variants(Precision::Mixed), Vec::<&str>::new());
        assert_eq!(rich.variants(Precision::F32), ["subgroup sums"]);
        let all = ["f16 tiles", "cooperative matrices (after a start-up self-test)", "subgroup sums"];
        assert_eq!(rich.variants(Precision::Mixed), all);
    }
}
