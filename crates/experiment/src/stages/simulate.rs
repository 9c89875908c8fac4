//! Data: trajectories of the recipe's system, streamed to a Zarr store, in physical units.

use super::keys;
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::{Axis, stack};
use sda_core::Stream;
use sda_data::{Description, Dimension, Layout, Split, TrajectoryStore};
use sda_systems::Dynamics;
use std::path::Path;

const STAGE: &str = "simulate";
/// Stream of the simulated members.
const MEMBERS: u32 = 0x0100;

/// Which trajectories of the dataset a run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All.
    Whole,
    /// Those for validation and test: the same as in the whole.
    HeldOut,
}

/// The store, complete: of the whole where it is there already.
pub(crate) fn simulate(run: &Run, part: Part) -> Result<TrajectoryStore, ExperimentError> {
    let recipe = &run.recipe;
    let key = keys::data(recipe);
    let named = |suffix: &str| {
        run.data_folder.join(format!("{}-{}{suffix}.zarr", run.loaded.experiment.dataset, &key[..12]))
    };
    let (whole, held_out) = (named(""), named("-held-out"));
    if let Some(store) = existing(run, &whole)? {
        return Ok(store);
    }
    let (train, validation, test) = recipe.split;
    match part {
        Part::Whole => made(run, &whole, 0, Split::of_counts(train, validation, test)),
        Part::HeldOut => match existing(run, &held_out)? {
            Some(store) => Ok(store),
            None => made(run, &held_out, train, Split::of_counts(0, validation, test)),
        },
    }
}

/// A store that is there. One that can't be read is an error that says what to do, not a reason to replace it.
fn existing(run: &Run, path: &Path) -> Result<Option<TrajectoryStore>, ExperimentError> {
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    if !path.join("zarr.json").exists() {
        return Ok(None);
    }
    let store = TrajectoryStore::open(path).map_err(&wrap)?;
    TrajectoryStore::remove_leftovers(path).map_err(&wrap)?;
    run.reused(STAGE, path);
    Ok(Some(store))
}

/// Simulates the recipe's trajectories from the member `first` on.
fn made(run: &Run, path: &Path, first: usize, split: Split) -> Result<TrajectoryStore, ExperimentError> {
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    let (recipe, system) = (&run.recipe, &run.system);
    let count = split.test.end;
    let layout = Layout::new(count, recipe.steps, dimensions(system));
    let of = if first > 0 { "; trajectories for validation and test alone" } else { "" };
    let description = Description {
        system: system.name().into(),
        description: format!("{}{of}", recipe.description),
        long_name: format!("trajectories of {}", system.name()),
        units: "1".into(),
        dt: system.dt(),
        seed: recipe.seed,
        split,
        recipe: serde_json::to_value(recipe).map_err(ExperimentError::stage(STAGE))?,
    };
    let stream = Stream::new(recipe.seed, MEMBERS);
    let mut writer = TrajectoryStore::resume(path, layout, description).map_err(&wrap)?;
    let progress = run.progress(STAGE, count);
    let done = writer.blocks_written();
    if done > 0 {
        progress.resume_at(writer.layout().block_range(done - 1).end as u64);
    }
    for block in done..writer.layout().blocks() {
        run.go_on(STAGE)?;
        let range = writer.layout().block_range(block);
        let members = (first + range.start) as u32..(first + range.end) as u32;
        let states = (recipe.burn_in, recipe.steps);
        let made = system
            .trajectories(members, recipe.trajectories() as u32, states, stream)
            .map_err(ExperimentError::stage(STAGE))?;
        for (i, (_, attempts)) in made.iter().enumerate().filter(|(_, (_, attempts))| *attempts > 0) {
            run.say(&format!(
                "{STAGE}: trajectory {} blew up, and member {} stands in its place",
                first + range.start + i,
                first + range.start + i + *attempts as usize * recipe.trajectories()
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
