//! Coordinates of a store's axes, one vector each.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayBuilder, ArrayError, DataType, FillValue, data_type};
use zarrs::filesystem::FilesystemStore;

use super::layout::{Coordinate, Dimension, Layout};
use super::zarr::{array_error, corrupted, other, store_metadata};
use crate::DataError;

/// Writes `step`, `time` and what is known of the state's axes.
pub(super) fn write(
    root: &Path,
    store: &Arc<FilesystemStore>,
    layout: &Layout,
    dt: f64,
) -> Result<(), DataError> {
    let attributes = |long_name: &str, units: &str| {
        Map::from_iter([("long_name".to_string(), json!(long_name)), ("units".to_string(), json!(units))])
    };
    let vector = |name: &str,
                  dim: &str,
                  len: usize,
                  data_type: DataType,
                  fill: FillValue,
                  attributes: Map<String, Value>| {
        let built = ArrayBuilder::new(vec![len as u64], vec![len as u64], data_type, fill)
            .dimension_names(Some([dim]))
            .attributes(attributes)
            .build(store.clone(), &format!("/{name}"));
        let array = built.map_err(|e| other("create", root, &e))?;
        store_metadata(root, &array)?;
        Ok::<_, DataError>(array)
    };
    let written = |name: &str, result: Result<(), ArrayError>| {
        result.map_err(|e| array_error("write", &root.join(name), &e))
    };
    let n = layout.length;
    let nan = || FillValue::from(f64::NAN);
    let step =
        vector("step", "step", n, data_type::int64(), FillValue::from(-1i64), attributes("step", "1"))?;
    written("step", step.store_chunk(&[0], (0..n as i64).collect::<Vec<_>>()))?;
    let time = vector("time", "step", n, data_type::float64(), nan(), attributes("model time", "1"))?;
    written("time", time.store_chunk(&[0], (0..n).map(|i| i as f64 * dt).collect::<Vec<_>>()))?;
    for Dimension { name, len, coordinate } in &layout.dims {
        match coordinate {
            None => {}
            Some(Coordinate::Names(names)) => {
                let array = vector(
                    name,
                    name,
                    *len,
                    data_type::string(),
                    FillValue::from(""),
                    attributes(name, "1"),
                )?;
                written(name, array.store_chunk(&[0], names.clone()))?;
            }
            Some(Coordinate::Positions { values, units }) => {
                let array = vector(name, name, *len, data_type::float64(), nan(), attributes(name, units))?;
                written(name, array.store_chunk(&[0], values.clone()))?;
            }
        }
    }
    Ok(())
}

/// What the store tells of the axis `name` of its array.
pub(super) fn read(
    root: &Path,
    array: &Array<FilesystemStore>,
    name: &str,
) -> Result<Option<Coordinate>, DataError> {
    let metadata = root.join(name).join("zarr.json");
    if !metadata.exists() {
        return Ok(None);
    }
    let array = Array::open(array.storage(), &format!("/{name}")).map_err(|e| corrupted(&metadata, &e))?;
    let all = array.subset_all();
    if array.data_type() == &data_type::string() {
        let names = array.retrieve_array_subset(&all).map_err(|e| array_error("read", &metadata, &e))?;
        return Ok(Some(Coordinate::Names(names)));
    }
    let values = array.retrieve_array_subset(&all).map_err(|e| array_error("read", &metadata, &e))?;
    let units = array.attributes().get("units").and_then(Value::as_str).unwrap_or("1").to_string();
    Ok(Some(Coordinate::Positions { values, units }))
}
