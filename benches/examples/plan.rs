use sda_device::Cpu;
use sda_diffusion::*;
use sda_graph::*;
use sda_nn::*;
fn main() {
    let which = std::env::args().nth(1).unwrap();
    let net: Network = serde_json::from_str(if which == "global" {r#"{"UNet": {"channels": 3, "embedding": 32, "hidden_channels": [64], "hidden_blocks": [3], "kernel": 3, "stride": 2, "boundary": ["Zero"]}}"#} else {r#"{"ResMlp": {"features": 27, "embedding": 32, "hidden_features": [256, 256, 256, 256, 256]}}"#}).unwrap();
    let mut g = Graph::new();
    let program = if which == "post" {
        let op = sda_observe::Operator::Compose(vec![sda_observe::Operator::EveryNth(8), sda_observe::Operator::Components(vec![0])]);
        let obs = sda_observe::Observation::new(op, ndarray::ArrayD::zeros(vec![9,1]), 0.05).unwrap();
        let prior = GlobalScore{network: net, weights: Weights::Trained}.local(4,1);
        let p = Posterior{prior, observation: obs, guidance: Guidance::Sda{gamma:3e-2, detach:false}};
        let time = TimeNodes{features: g.input(Declaration::shared("f",&[1,32])), mu: g.input(Declaration::shared("mu",&[])), sigma: g.input(Declaration::shared("s",&[]))};
        let x = g.state(Declaration::rows("x", &[1024,65,3]));
        let y = p.emit(&mut g, x, &time);
        Program::new(g).update("x", y)
    } else {
        let w: Vec<usize> = if which == "global" {vec![64,32,3]} else {vec![64,9,3]};
        let x = g.input(Declaration::rows("x", &w));
        let time = TimeNodes{features: g.input(Declaration::rows("f",&[64,32])), mu: g.input(Declaration::rows("mu",&[64,1])), sigma: g.input(Declaration::rows("s",&[64,1]))};
        let n = g.noise(&w, 1, Law::Normal);
        let params: Vec<_> = net.parameters().iter().map(|p| Weights::Trained.read(&mut g, p)).collect();
        let pr = GlobalScore{network: net.clone(), weights: Weights::Trained};
        let loss = denoising_loss(&mut g, &pr, x, n, &time, None);
        let grads = g.gradient(loss, &params);
        let named: Vec<_> = net.parameters().iter().map(|p| p.name.clone()).zip(grads).collect();
        let s: Vec<_> = ["r","c1","c2"].iter().map(|n| g.input(Declaration::shared(*n,&[]))).collect();
        let up = AdamW::default().emit(&mut g, s[0], [s[1], s[2]], &named);
        up.into_iter().fold(Program::new(g).output("loss", loss), |p,(a,b)| p.update(&a,b))
    };
    let plan = Plan::new(&program, PlanOptions::default());
    for st in &plan.stages {
        let steps = match st { Stage::Global(s) => {println!("GLOBAL"); s}, Stage::Rows{rows,block,steps,local} => {println!("ROWS {rows} block {block} local/row {} in {} slots", local.iter().sum::<usize>(), local.len()); steps} };
        for s in steps {
            let n = match &s.kind { StepKind::Op(o) => o.name(), StepKind::Fused(f) => format!("fused {}x{} pro {} body {} regs {}/{}: {}", f.rows, f.cols, f.prologue.len(), f.body.len(), f.full_registers, f.row_registers, f.body.iter().map(|i| format!("{:?}", i.operation)).collect::<Vec<_>>().join(" ")) };
            println!("  {n} {} <- {:?} -> {:?}", if s.reduces {"REDUCE"} else {""}, s.inputs.iter().map(|i| (i.place, &i.shape, i.access)).collect::<Vec<_>>(), s.outputs.iter().map(|i| (i.place,&i.shape)).collect::<Vec<_>>());
        }
    }
    println!("full slots {} copies {}", plan.full.iter().sum::<usize>(), plan.copies.len());
    let mut cpu = Cpu::new(2).unwrap();
    let h = cpu.compile(&program).unwrap();
    let inputs: Vec<Vec<f32>> = program.graph.inputs().iter().map(|d| vec![0.5; d.shape.iter().product()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(|v| &v[..]).collect();
    for i in 0..std::env::var("N").map_or(10, |n| n.parse().unwrap()) { let t = std::time::Instant::now(); cpu.run(h, RunKey{seed:1,step:i}, &inputs).unwrap(); println!("{:?}", t.elapsed()); }
}
