//! Files that are there whole or not at all.
//!
//! A file is written under a temporary name in its own folder, flushed to the disk and renamed over the old one,
//! so that a kill, a full disk or a power cut leaves the old file (or none), never half of the new one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::DataError;

const MARK: &str = ".unfinished-";

/// Replaces the file at `path` by `bytes`, making its folder if need be.
///
/// Errors: the folder cannot be made or written, the disk is full; the old file is then untouched.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    write_with(path, |file| file.write_all(bytes))
}

/// As [`write()`], for content that is produced piece by piece.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), DataError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(DataError::io("create folder", folder))?;
    // The rename would put a file in the place of a device.
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let special = io::Error::new(io::ErrorKind::InvalidInput, "what is there is no regular file");
        return Err(DataError::io("write", path)(special));
    }
    let unfinished = Unfinished(unfinished_name(path)?);
    (|| {
        let mut file = BufWriter::with_capacity(1 << 18, File::create(&unfinished.0)?);
        content(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished.0, path)
    })()
    .map_err(DataError::io("write", path))?;
    sync_folder(folder);
    Ok(())
}

/// Removes what killed processes left unfinished in `folder` and says how many files that were.
///
/// Files of processes that still run (where `/proc` tells) are left alone.
pub fn remove_unfinished(folder: &Path) -> Result<usize, DataError> {
    let mut removed = 0;
    for path in left_in(folder, |_| true)? {
        removed += usize::from(remove(&path)?);
    }
    Ok(removed)
}

/// Removes a file, and says whether it was there: another run that cleans up may have been first.
pub(crate) fn remove(path: &Path) -> Result<bool, DataError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true).map_err(DataError::io("remove", path)),
    }
}

/// What killed processes left of `path` itself, as far as [`remove_unfinished`] would remove it.
pub(crate) fn left_of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let begin = sibling(path, MARK)?;
    let begin = begin.file_name().expect("a name with a mark").as_encoded_bytes();
    left_in(folder_of(path), |name| name.as_encoded_bytes().starts_with(begin))
}

fn left_in(folder: &Path, of: impl Fn(&OsStr) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let path = entry.map_err(DataError::io("list", folder))?.path();
        let Some(process) = writer_of(&path) else { continue };
        let runs = process != std::process::id() && Path::new("/proc").join(process.to_string()).exists();
        if !runs && path.file_name().is_some_and(&of) {
            left.push(path);
        }
    }
    Ok(left)
}

/// Makes a rename in `folder` survive a power cut, where the system can do that.
pub(crate) fn sync_folder(folder: &Path) {
    // Some systems cannot open a folder as a file; the rename itself has happened all the same.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// The folder that holds `path`; "." for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.{name}{suffix}` beside `path`.
pub(crate) fn sibling(path: &Path, suffix: &str) -> Result<PathBuf, DataError> {
    let name = path.file_name().ok_or_else(|| {
        DataError::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(suffix);
    Ok(folder_of(path).join(hidden))
}

/// One name per process and call.
fn unfinished_name(path: &Path) -> Result<PathBuf, DataError> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    sibling(path, &format!("{MARK}{}-{call}", std::process::id()))
}

/// The process that wrote an unfinished file; none for any other file.
fn writer_of(path: &Path) -> Option<u32> {
    let (_, tail) = path.file_name()?.to_str()?.strip_prefix('.')?.rsplit_once(MARK)?;
    let (process, call) = tail.split_once('-')?;
    call.parse::<u64>().ok()?;
    process.parse().ok()
}

/// Removed when dropped; after the rename there is nothing left to remove.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/deep/a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["a.json"]);
    }

    #[test]
    fn a_failure_half_way_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write(&path, b"good").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(&vec![0; 1 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let message = failed.unwrap_err().to_string();
        assert!(message.contains("a.bin") && message.contains("free some space"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"good");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let message = write(&path, b"x").unwrap_err().to_string();
        assert!(message.contains("socket") && message.contains("no regular file"), "{message}");
        assert!(!fs::metadata(&path).unwrap().is_file());
    }

    /// A path under a file stands for a read-only folder: the super-user ignores permissions, not this.
    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, b"").unwrap();
        let message = write(&file.join("a.json"), b"x").unwrap_err().to_string();
        assert!(
            message.contains(file.to_str().unwrap()) && message.contains("choose another folder"),
            "{message}"
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_read_only_folder_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
        let result = write(&closed.join("a.json"), b"x");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        // The super-user may write everywhere; then the file must simply be whole.
        match result {
            Ok(()) => assert_eq!(fs::read(closed.join("a.json")).unwrap(), b"x"),
            Err(e) => assert!(e.to_string().contains("make it readable and writable"), "{e}"),
        }
    }

    #[test]
    fn only_what_dead_writers_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dead = u32::MAX; // above any process number
        for name in
            [format!(".a.json{MARK}{dead}-3"), format!(".b{MARK}1-0"), "a.json".into(), ".hidden".into()]
        {
            fs::write(folder.path().join(name), b"x").unwrap();
        }
        let first_process_runs = Path::new("/proc/1").exists();
        assert_eq!(remove_unfinished(folder.path()).unwrap(), if first_process_runs { 1 } else { 2 });
        let kept = names(folder.path());
        assert!(kept.contains(&"a.json".to_string()) && kept.contains(&".hidden".to_string()), "{kept:?}");
        assert_eq!(kept.len(), if first_process_runs { 3 } else { 2 });
    }
}
