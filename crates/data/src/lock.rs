//! What one process at a time may write.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::{DataError, whole_file};

/// The sole right to write something, until it is dropped or its process ends, however that ends.
///
/// The lock is the operating system's, on an empty file, which a kill leaves behind and the next one takes. On a disk that
/// has no locks (a network disk whose lock service is out of reach among them) everybody gets it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on the file `path`, making it and its folder where they are not there.
    ///
    /// Errors: somebody else has it ([`DataError::Busy`]); the file can't be made.
    pub fn take(path: &Path) -> Result<Self, DataError> {
        let folder = whole_file::folder_of(path);
        fs::create_dir_all(folder).map_err(DataError::io("create folder", folder))?;
        loop {
            let file = File::options().create(true).append(true).open(path);
            let file = file.map_err(DataError::io("create", path))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(DataError::Busy { path: path.to_path_buf() }),
                Err(TryLockError::Error(e)) if !is_without_locks(&e) => {
                    return Err(DataError::io("lock", path)(e));
                }
                _ => {}
            }
            let lock = Self { file, path: path.to_path_buf() };
            if lock.is_of_the_file_there() {
                return Ok(lock);
            }
        }
    }

    /// Not where the one before removed the file after this one had opened it.
    fn is_of_the_file_there(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let place = |m: fs::Metadata| (m.dev(), m.ino());
            let there = fs::metadata(&self.path).map(place).ok();
            there.is_some() && there == self.file.metadata().map(place).ok()
        }
        #[cfg(not(unix))]
        {
            let _ = &self.file;
            true
        }
    }
}

/// Whether an error says that the disk has no locks.
fn is_without_locks(error: &io::Error) -> bool {
    // ENOLCK, what NFS without its lock service answers.
    const NO_LOCKS: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
        Some(37)
    } else if cfg!(target_vendor = "apple") {
        Some(77)
    } else {
        None
    };
    error.kind() == ErrorKind::Unsupported || NO_LOCKS.is_some() && error.raw_os_error() == NO_LOCKS
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Elsewhere an open file can't be removed, and stays.
        #[cfg(unix)]
        if self.is_of_the_file_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_it_and_its_end_lets_it_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/.lock");
        let first = Lock::take(&path).unwrap();
        let message = Lock::take(&path).unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()) && message.contains("another run"), "{message}");
        drop(first);
        #[cfg(unix)]
        assert!(!path.exists());
        drop(Lock::take(&path).unwrap());
        // What a kill leaves is no lock.
        fs::write(&path, b"").unwrap();
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_disk_without_locks_is_told_from_one_that_fails() {
        assert!(is_without_locks(&ErrorKind::Unsupported.into()));
        assert!(!is_without_locks(&ErrorKind::PermissionDenied.into()));
        #[cfg(target_os = "linux")]
        for (code, message, none) in [(37, "No locks available", true), (5, "Input/output error", false)] {
            let error = io::Error::from_raw_os_error(code);
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(is_without_locks(&error), none, "{error}");
        }
    }

    /// Many take, hold and let go: never two at once.
    #[test]
    fn nobody_has_it_beside_another() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let (holders, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Ok(_lock) = Lock::take(&path) {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            holders.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
    }
}
