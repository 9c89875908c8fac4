//! Data: trajectories of the recipe's system, streamed to a Zarr store, in physical units.

use super::keys;
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::{Axis, stack};
use sda_core::Stream;
use sda_data::{Description, Dimension, Layout, Split, TrajectoryStore};
use sda_systems::Dynamics;

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
    let system = &run.system;
    let layout = Layout::new(recipe.trajectories(), recipe.steps, dimensions(system));
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
        let states = (recipe.burn_in, recipe.steps);
        let made = system
            .trajectories(members, recipe.trajectories() as u32, states, stream)
            .map_err(ExperimentError::stage(STAGE))?;
        for (i, (_, attempts)) in made.iter().enumerate().filter(|(_, (_, attempts))| *attempts > 0) {
            run.say(&format!(
                "{STAGE}: trajectory {} blew up, and member {} stands in its place",
                range.start + i,
                range.start + i + *attempts as usize * recipe.trajectories()
            ));
        }
        let views: Vec<_> = made.iter().map(|(values, _)| values.view()).collect();
        let values = stack(Axis(0), &views).map_err(ExperimentError::stage(STAGE))?;
        writer.write_block(range.start, &values).map_err(&wrap)?;
        progress.advance(range.len() as u64);
    }
    let store = writer.finish().map_err(&wrap)?;
    progress.finish();
    Ok(store)
}

/// The axes of a state: components, or points and components.
fn dimensions(system: &Dynamics) -> Vec<Dimension> {
    let names = system.component_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let components = Dimension::named("component", &names);
    match system.flow() {
        None => vec![components],
        Some(flow) => {
            let centres = flow.output().centres();
            vec![Dimension::grid("x", centres.clone(), "1"), Dimension::grid("y", centres, "1"), components]
        }
    }
}
