//! The few pages of Zarr that a trajectory store uses, with errors that name the file.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zarrs::array::codec::{BytesCodec, Crc32cCodec, ShardingCodecOptions, SubchunkWriteOrder, ZstdCodec};
use zarrs::array::{
    Array, ArrayBuilder, ArrayError, ArrayMetadata, ArrayMetadataOptions, ArrayShardedExt,
    ArrayShardedReadableExt, ArrayShardedReadableExtCache, ArrayToBytesCodecTraits, ChunkShape, CodecChain,
    CodecError, CodecOptions, CodecSpecificOptions, FromArrayBytes, data_type,
};
use zarrs::filesystem::{FilesystemStore, FilesystemStoreOptions};
use zarrs::group::{Group, GroupBuilder};
use zarrs::metadata_ext::codec::sharding::ShardingCodecConfiguration;
use zarrs::storage::StorageError;

use super::layout::{Dimension, Layout};
use super::{ARRAY, Description, REGENERATE, coordinates};
use crate::DataError;

/// Files that stay open for reading.
const OPEN_FILES: usize = 32;
/// Chaotic states hardly compress; higher levels cost time and gain nothing.
const ZSTD_LEVEL: i32 = 3;

/// The array of a store.
pub(super) struct ZarrArray {
    root: PathBuf,
    array: Array<FilesystemStore>,
}

impl ZarrArray {
    /// Writes the metadata and coordinates of a new store in the empty folder `root`.
    pub(super) fn create(root: &Path, layout: &Layout, description: &Description) -> Result<Self, DataError> {
        let store = Arc::new(FilesystemStore::new(root).map_err(|e| other("create", root, &e))?);
        let group = GroupBuilder::new()
            .attributes(description.group_attributes())
            .build(store.clone(), "/")
            .map_err(|e| other("create", root, &e))?;
        group.store_metadata().map_err(|e| storage_error("write", root, &e))?;
        coordinates::write(root, &store, layout, description.dt)?;
        let built = builder(layout, description).build(store, &format!("/{ARRAY}"));
        let array = built.map_err(|e| other("create", root, &e))?;
        store_metadata(root, &array)?;
        Ok(Self { root: root.to_path_buf(), array })
    }

    /// For writing on where a killed process stopped: the same codecs as when it was created.
    pub(super) fn reopen(root: &Path, layout: &Layout, description: &Description) -> Result<Self, DataError> {
        let store = Arc::new(FilesystemStore::new(root).map_err(|e| other("open", root, &e))?);
        let built = builder(layout, description).build(store, &format!("/{ARRAY}"));
        Ok(Self { root: root.to_path_buf(), array: built.map_err(|e| other("open", root, &e))? })
    }

    /// For reading: the array, and the layout and description that its attributes tell.
    pub(super) fn open(root: &Path) -> Result<(Self, Layout, Description), DataError> {
        let mut options = FilesystemStoreOptions::default();
        options.file_handle_cache_size(OPEN_FILES);
        let store = FilesystemStore::new_with_options(root, options).map_err(|e| other("open", root, &e))?;
        let store = Arc::new(store);
        let group = Group::open(store.clone(), "/").map_err(|e| corrupted(&root.join("zarr.json"), &e))?;
        let metadata = root.join(ARRAY).join("zarr.json");
        let array = Array::open(store.clone(), &format!("/{ARRAY}")).map_err(|e| corrupted(&metadata, &e))?;
        let layout = layout_of(&metadata, root, &array)?;
        let description = Description::from_attributes(root, group.attributes(), array.attributes())?;
        if let Some((field, detail)) = layout.problem().or_else(|| description.problem(layout.trajectories)) {
            return Err(DataError::field(root, field, detail));
        }
        Ok((Self { root: root.to_path_buf(), array }, layout, description))
    }

    /// The file `file` of block `b`.
    pub(super) fn file(&self, b: usize, file: usize) -> PathBuf {
        self.root.join(self.array.chunk_key(&self.indices(b, file)).as_str())
    }

    /// Writes one file whole (it is on the disk when this returns).
    ///
    /// Shapes: `values` [block, file_steps, D…], NaN where the array ends before.
    pub(super) fn write_file(&self, b: usize, file: usize, values: Vec<f32>) -> Result<(), DataError> {
        let path = self.file(b, file);
        self.array
            .store_chunk_opt(&self.indices(b, file), values, &codec_options())
            .map_err(|e| array_error("write", &path, &e))
    }

    fn indices(&self, first: usize, second: usize) -> Vec<u64> {
        let mut indices = vec![0; self.array.dimensionality()];
        (indices[0], indices[1]) = (first as u64, second as u64);
        indices
    }
}

/// Reads single chunks; keeps the index of each file that it has touched.
pub(super) struct ChunkReader {
    pub(super) zarr: ZarrArray,
    index: ArrayShardedReadableExtCache,
    codecs: CodecChain,
    chunk_shape: ChunkShape,
}

impl ChunkReader {
    pub(super) fn new(zarr: ZarrArray) -> Result<Self, DataError> {
        let metadata = zarr.root.join(ARRAY).join("zarr.json");
        let (codecs, chunk_shape) = inner_codecs(&zarr.array).ok_or_else(|| {
            DataError::field(&metadata, "codecs", "expected sharding_indexed and nothing else")
        })?;
        let codecs = CodecChain::from_metadata(&codecs).map_err(|e| corrupted(&metadata, &e))?;
        Ok(Self { index: ArrayShardedReadableExtCache::new(&zarr.array), zarr, codecs, chunk_shape })
    }

    /// Chunk `chunk` of a trajectory, checksum verified; none where nothing was written. `file` is for the errors.
    ///
    /// The array's own partial reads skip the checksum, hence the two steps.
    pub(super) fn read(
        &self,
        trajectory: usize,
        chunk: usize,
        file: &Path,
    ) -> Result<Option<Vec<f32>>, DataError> {
        let array = &self.zarr.array;
        let encoded = array
            .retrieve_encoded_subchunk(&self.index, &self.zarr.indices(trajectory, chunk))
            .map_err(|e| array_error("read", file, &e))?;
        let Some(encoded) = encoded else { return Ok(None) };
        let shape: Vec<u64> = self.chunk_shape.iter().map(|n| n.get()).collect();
        self.codecs
            .decode(
                Cow::Owned(encoded),
                &self.chunk_shape,
                array.data_type(),
                array.fill_value(),
                &codec_options(),
            )
            .map_err(ArrayError::from)
            .and_then(|bytes| Vec::from_array_bytes(bytes.into_owned(), &shape, array.data_type()))
            .map(Some)
            .map_err(|e| array_error("read", file, &e))
    }
}

/// One thread: blocks are small and the caller has its own threads.
fn codec_options() -> CodecOptions {
    CodecOptions::default().with_concurrent_target(1).with_validate_checksums(true)
}

fn builder(layout: &Layout, description: &Description) -> ArrayBuilder {
    let wide = |shape: Vec<usize>| shape.into_iter().map(|n| n as u64).collect::<Vec<u64>>();
    let names = ["trajectory", "step"].into_iter().chain(layout.dims.iter().map(|d| d.name.as_str()));
    // Chunks in order, so that equal content is equal bytes.
    let ordered = ShardingCodecOptions::default().with_subchunk_write_order(SubchunkWriteOrder::C);
    let mut builder = ArrayBuilder::new(
        wide(layout.shape()),
        wide(layout.with_dims(layout.block, layout.file_steps())),
        data_type::float32(),
        f32::NAN,
    );
    builder
        .subchunk_shape(wide(layout.with_dims(1, layout.chunk_steps)))
        .array_to_bytes_codec(Arc::new(BytesCodec::little()))
        .bytes_to_bytes_codecs(vec![
            Arc::new(ZstdCodec::new(ZSTD_LEVEL, false)),
            Arc::new(Crc32cCodec::new()),
        ])
        .codec_specific_options(CodecSpecificOptions::default().with_option(ordered))
        .dimension_names(Some(names))
        .attributes(description.attributes());
    builder
}

pub(super) fn store_metadata(root: &Path, array: &Array<FilesystemStore>) -> Result<(), DataError> {
    array
        .store_metadata_opt(&ArrayMetadataOptions::default().with_include_zarrs_metadata(false))
        .map_err(|e| storage_error("write", root, &e))
}

/// The layout that the metadata tells; `metadata` is the file, for the errors.
fn layout_of(metadata: &Path, root: &Path, array: &Array<FilesystemStore>) -> Result<Layout, DataError> {
    if array.data_type() != &data_type::float32() {
        return Err(DataError::field(metadata, "data_type", "expected float32"));
    }
    let shape: Vec<usize> = array.shape().iter().map(|&n| n as usize).collect();
    let names: Vec<String> = array.dimension_names().iter().flatten().flatten().cloned().collect();
    if shape.len() < 2 || names.len() != shape.len() || names[0] != "trajectory" || names[1] != "step" {
        let detail =
            format!("found {names:?} for shape {shape:?}, expected trajectory, step and the state's axes");
        return Err(DataError::field(metadata, "dimension_names", detail));
    }
    let file = array.chunk_shape(&vec![0; shape.len()]).map_err(|e| corrupted(metadata, &e))?;
    let expected_axes = |s: &[std::num::NonZeroU64]| {
        s.iter().skip(2).map(|n| n.get() as usize).eq(shape[2..].iter().copied())
    };
    let Some(chunk) =
        array.subchunk_shape().filter(|c| expected_axes(c) && expected_axes(&file) && c[0].get() == 1)
    else {
        let detail =
            format!("files of {file:?}: expected shards of chunks of one trajectory and whole states");
        return Err(DataError::field(metadata, "chunk_grid", detail));
    };
    let dims = names[2..].iter().zip(&shape[2..]);
    let dims = dims.map(|(name, &len)| {
        Ok(Dimension { name: name.clone(), len, coordinate: coordinates::read(root, array, name)? })
    });
    let layout = Layout {
        trajectories: shape[0],
        length: shape[1],
        dims: dims.collect::<Result<_, DataError>>()?,
        block: file[0].get() as usize,
        chunk_steps: chunk[1].get() as usize,
    };
    if layout.problem().is_none() && layout.file_steps() != file[1].get() as usize {
        let detail = format!("files of {} steps, expected {}", file[1], layout.file_steps());
        return Err(DataError::field(metadata, "chunk_grid", detail));
    }
    Ok(layout)
}

/// Codecs and shape of the chunks inside a file.
fn inner_codecs(
    array: &Array<FilesystemStore>,
) -> Option<(Vec<zarrs::metadata::v3::MetadataV3>, ChunkShape)> {
    let ArrayMetadata::V3(metadata) = array.metadata() else { return None };
    let [sharding] = metadata.codecs.as_slice() else { return None };
    match sharding.to_typed_configuration().ok()? {
        ShardingCodecConfiguration::V1(sharding) => Some((sharding.codecs, sharding.chunk_shape)),
        _ => None,
    }
}

/// The system's error if there is one inside, else corruption.
pub(super) fn array_error(action: &'static str, path: &Path, error: &ArrayError) -> DataError {
    match error {
        ArrayError::StorageError(e) | ArrayError::CodecError(CodecError::StorageError(e)) => {
            storage_error(action, path, e)
        }
        ArrayError::CodecError(CodecError::IOError(e)) => system_error(action, path, e),
        _ if action == "read" => corrupted(path, error),
        _ => other(action, path, error),
    }
}

fn storage_error(action: &'static str, path: &Path, error: &StorageError) -> DataError {
    match error {
        StorageError::IOError(e) => system_error(action, path, e),
        _ if action == "read" => corrupted(path, error),
        _ => other(action, path, error),
    }
}

fn system_error(action: &'static str, path: &Path, error: &io::Error) -> DataError {
    if action == "read" && error.kind() == io::ErrorKind::UnexpectedEof {
        let bytes = fs::metadata(path).map_or(0, |m| m.len());
        let detail = format!("it ends after {bytes} bytes");
        return DataError::Truncated { path: path.to_path_buf(), detail, remedy: REGENERATE };
    }
    let source = error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error);
    DataError::Io { action, path: path.to_path_buf(), source }
}

pub(super) fn corrupted(path: &Path, error: &dyn std::error::Error) -> DataError {
    DataError::Corrupted { path: path.to_path_buf(), detail: error.to_string(), remedy: REGENERATE }
}

pub(super) fn other(action: &'static str, path: &Path, error: &dyn std::error::Error) -> DataError {
    DataError::Io { action, path: path.to_path_buf(), source: io::Error::other(error.to_string()) }
}
