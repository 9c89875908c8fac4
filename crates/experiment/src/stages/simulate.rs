//! Data: trajectories of the recipe's system, streamed to a Zarr store, in physical units.

use super::keys;
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::{ArrayD, Axis, concatenate};
use sda_core::Stream;
use sda_data::{DataError, Description, Dimension, Layout, Split, TrajectoryStore, TrajectoryWriter};
use sda_systems::Dynamics;
use std::path::Path;
use std::time::Duration;

const STAGE: &str = "simulate";
/// Stream of the simulated members.
const MEMBERS: u32 = 0x0100;
/// Between two looks at whether another process has ended its writing.
const WAIT: Duration = Duration::from_millis(500);

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
    let wrap = ExperimentError::stage::<DataError>(STAGE);
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
    let wrap = ExperimentError::stage::<DataError>(STAGE);
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
    let mut writer = match begun(run, path, &layout, &description)? {
        Begun::Ours(writer) => writer,
        Begun::Theirs(store) => return Ok(store),
    };
    let progress = run.progress(STAGE, count);
    let done = writer.blocks_written();
    if done > 0 {
        progress.resume_at(writer.layout().block_range(done - 1).end as u64);
    }
    // As many blocks at once as keep every thread busy: of fields a block is a few trajectories.
    let at_once = rayon::current_num_threads().div_ceil(writer.layout().block);
    let blocks: Vec<usize> = (done..writer.layout().blocks()).collect();
    for blocks in blocks.chunks(at_once) {
        run.go_on(STAGE)?;
        let ranges: Vec<_> = blocks.iter().map(|&block| writer.layout().block_range(block)).collect();
        let all = ranges[0].start..ranges[ranges.len() - 1].end;
        let members = (first + all.start) as u32..(first + all.end) as u32;
        let states = (recipe.burn_in, recipe.steps);
        let mut made = system
            .trajectories(members, recipe.trajectories() as u32, states, stream)
            .map_err(ExperimentError::stage(STAGE))?;
        for (i, (_, attempts)) in made.iter().enumerate().filter(|(_, (_, attempts))| *attempts > 0) {
            run.say(&format!(
                "{STAGE}: trajectory {} blew up, and member {} stands in its place",
                first + all.start + i,
                first + all.start + i + *attempts as usize * recipe.trajectories()
            ));
        }
        for range in ranges {
            let values = made.drain(..range.len()).map(|(values, _)| values.insert_axis(Axis(0))).collect();
            writer.write_block(range.start, &joined(values)?).map_err(&wrap)?;
            progress.advance(range.len() as u64);
        }
    }
    let store = writer.finish().map_err(&wrap)?;
    progress.finish();
    Ok(store)
}

/// Who writes a store.
enum Begun {
    Ours(TrajectoryWriter),
    /// Another process did, and has ended.
    Theirs(TrajectoryStore),
}

/// A writer of the store, once nobody else writes it.
fn begun(
    run: &Run,
    path: &Path,
    layout: &Layout,
    description: &Description,
) -> Result<Begun, ExperimentError> {
    let mut is_told = false;
    loop {
        let writer = match TrajectoryStore::resume(path, layout.clone(), description.clone()) {
            Err(DataError::Busy { .. }) => None,
            writer => Some(writer.map_err(ExperimentError::stage::<DataError>(STAGE))?),
        };
        match writer {
            // It may have been finished between the look for it and the lock.
            Some(writer) if !path.join("zarr.json").exists() => return Ok(Begun::Ours(writer)),
            Some(writer) => drop(writer),
            None => {
                if !is_told {
                    run.say(&format!(
                        "{STAGE}: another run is making {}, which is waited for",
                        path.display()
                    ));
                    is_told = true;
                }
                std::thread::sleep(WAIT);
            }
        }
        run.go_on(STAGE)?;
        if let Some(store) = existing(run, path)? {
            return Ok(Begun::Theirs(store));
        }
    }
}

/// Trajectories [1, L, state…] as one array; a block of one is not copied.
fn joined(mut values: Vec<ArrayD<f32>>) -> Result<ArrayD<f32>, ExperimentError> {
    if values.len() == 1 {
        return Ok(values.remove(0));
    }
    let views: Vec<_> = values.iter().map(|values| values.view()).collect();
    concatenate(Axis(0), &views).map_err(ExperimentError::stage(STAGE))
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
