//! Data: trajectories of the recipe's system, streamed to a Zarr store, in physical units.

use super::keys;
use crate::error::ExperimentError;
use crate::run::Run;
use sda_core::Stream;
use sda_data::{Description, Dimension, Layout, Split, TrajectoryStore};
use sda_systems::Simulation;

const STAGE: &str = "simulate";
/// Stream of the simulated members.
const MEMBERS: u32 = 0x0100;

/// The store, complete.
pub(crate) fn simulate(run: &Run) -> Result<TrajectoryStore, ExperimentError> {
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    let recipe = &run.recipe;
    let key = keys::data(recipe);
    let path = run.data_folder.join(format!("{}-{}.zarr", run.loaded.experiment.dataset, &key[..12]));
    // A store that is there and can't be read is an error that says what to do, not a reason to replace it.
    if path.join("zarr.json").exists() {
        let store = TrajectoryStore::open(&path).map_err(&wrap)?;
        TrajectoryStore::remove_leftovers(&path).map_err(&wrap)?;
        run.reused(STAGE, &path);
        return Ok(store);
    }
    let system = &*run.system;
    let names = system.component_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let layout =
        Layout::new(recipe.trajectories(), recipe.steps, vec![Dimension::named("component", &names)]);
    let (train, validation, test) = recipe.split;
    let description = Description {
        system: system.name().into(),
        description: recipe.description.clone(),
        long_name: format!("trajectories of {}", system.name()),
        units: "1".into(),
        dt: system.dt(),
        seed: recipe.seed,
        split: Split::of_counts(train, validation, test),
        recipe: serde_json::to_value(recipe).map_err(ExperimentError::stage(STAGE))?,
    };
    let stream = Stream::new(recipe.seed, MEMBERS);
    let simulation = Simulation { system, burn_in: recipe.burn_in, steps: recipe.steps, stream };
    let mut writer = TrajectoryStore::resume(&path, layout, description).map_err(&wrap)?;
    let progress = run.progress(STAGE, recipe.trajectories());
    let done = writer.blocks_written();
    if done > 0 {
        progress.resume_at(writer.layout().block_range(done - 1).end as u64);
    }
    for block in done..writer.layout().blocks() {
        run.go_on(STAGE)?;
        let range = writer.layout().block_range(block);
        let members = range.start as u32..range.end as u32;
        let values = simulation.trajectories(members).map_err(ExperimentError::stage(STAGE))?;
        writer.write_block(range.start, &values.mapv(|x| x as f32)).map_err(&wrap)?;
        progress.advance(range.len() as u64);
    }
    let store = writer.finish().map_err(&wrap)?;
    progress.finish();
    Ok(store)
}
