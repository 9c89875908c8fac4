//! What can go wrong with a file, worded to continue "failed to …".

use std::io;
use std::path::{Path, PathBuf};

/// A file that cannot be read, written or trusted; each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("{action} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// A verb: create, write, read, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// Another process has the lock.
    #[error("lock {}: another run is writing there; wait for its end or choose another folder", path.display())]
    Busy {
        /// The locked file.
        path: PathBuf,
    },
    /// Nothing at the path.
    #[error("find {what} {}: nothing is there; {remedy}", path.display())]
    NotFound {
        /// Kind of file.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What makes one.
        remedy: &'static str,
    },
    /// The file ends early.
    #[error("read {}: the file is truncated ({detail}); {remedy}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes found and expected.
        detail: String,
        /// What makes it anew.
        remedy: &'static str,
    },
    /// The bytes are not what was written.
    #[error("read {}: the file is corrupted ({detail}); {remedy}", path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What does not add up.
        detail: String,
        /// What makes it anew.
        remedy: &'static str,
    },
    /// A number type that is not asked for.
    #[error("read tensor `{tensor}` of {}: its type is {found}, expected {expected}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// Name in the file.
        tensor: String,
        /// Type in the file.
        found: String,
        /// Types that are read.
        expected: &'static str,
    },
    /// NaN or ±∞, or beyond what the file's type of number holds.
    #[error("accept {place} of {}: the value is {value}, not a number that it can hold; {remedy}", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Tensor and index, or trajectory and step.
        place: String,
        /// NaN, inf or -inf.
        value: f64,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A field that is missing or has the wrong form.
    #[error("read field `{field}` of {}: {detail}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Its name there.
        field: String,
        /// Found, expected, remedy.
        detail: String,
    },
    /// Tensors of another network.
    #[error("use {} as the weights asked for: {detail}", path.display())]
    Shapes {
        /// The file.
        path: PathBuf,
        /// Missing, unexpected and mis-shaped names, and the file's architecture.
        detail: String,
    },
    /// A request that the store cannot meet.
    #[error("read {request} from {}: {detail}", path.display())]
    OutOfRange {
        /// The store.
        path: PathBuf,
        /// Trajectory, first step, length.
        request: String,
        /// What there is.
        detail: String,
    },
}

impl DataError {
    /// Binds a system error to what was being done and where: `file.read(…).map_err(DataError::io("read", path))`.
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> DataError + 'a {
        move |source| DataError::Io { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn field(path: &Path, field: impl Into<String>, detail: impl Into<String>) -> Self {
        DataError::Field { path: path.to_path_buf(), field: field.into(), detail: detail.into() }
    }
}

/// What the user can do about a system error.
pub fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there or choose a folder on another disk"
        }
        io::ErrorKind::PermissionDenied => {
            "make it readable and writable for this user or choose another folder"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the disk is mounted read-only: choose a folder on another disk",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed: move it away or choose another folder"
        }
        io::ErrorKind::IsADirectory => {
            "a folder stands where a file is needed: move it away or choose another name"
        }
        io::ErrorKind::NotFound => "check that the path is spelled right",
        _ => "check the disk and the path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_error_names_path_and_remedy() {
        for (kind, word) in [
            (io::ErrorKind::StorageFull, "free some space"),
            (io::ErrorKind::PermissionDenied, "writable"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::NotADirectory, "a file stands where a folder is needed"),
            (io::ErrorKind::NotFound, "spelled right"),
        ] {
            let message = DataError::io("write", Path::new("/runs/a.json"))(kind.into()).to_string();
            assert!(message.starts_with("write /runs/a.json: ") && message.contains(word), "{message}");
        }
    }
}
