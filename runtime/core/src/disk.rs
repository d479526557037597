//! What the log needs of a disk: one folder of files.
//!
//! What a disk may do at a crash is what POSIX lets it: everything that was not synced may be there, not be
//! there, or be there in part, in any order. [`SimDisk`] does all of that on purpose. The real one is in
//! the crate `anabranch`.

mod sim;

pub use sim::{Crash, SimDisk};

use std::fmt;

/// A folder. Names are plain file names.
///
/// Obligations of an implementation:
/// - after `sync(name)` the file's present contents and length survive a crash, if the file itself does;
/// - after `sync_dir` the files that exist, and their names, survive a crash, and those that do not exist
///   do not return;
/// - between those, a crash may keep any part of what was done;
/// - a failed `sync` says nothing about what is on the disk: the caller must not sync again and go on.
pub trait Disk: Send {
    /// All files, sorted by name.
    fn list(&mut self) -> Result<Vec<String>, DiskError>;
    /// A file's contents.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, DiskError>;
    /// Makes an empty file, or empties one.
    fn create(&mut self, name: &str) -> Result<(), DiskError>;
    /// Writes at an offset that is at most the file's length, over what is there, and makes the file longer where
    /// need be. After an error any part of `bytes` may have been written.
    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Cuts a file.
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError>;
    /// Makes a file's contents durable.
    fn sync(&mut self, name: &str) -> Result<(), DiskError>;
    /// Renames a file, replacing another atomically.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&mut self) -> Result<(), DiskError>;
}

impl<D: Disk + ?Sized> Disk for Box<D> {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        (**self).list()
    }
    fn read(&mut self, name: &str) -> Result<Vec<u8>, DiskError> {
        (**self).read(name)
    }
    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).create(name)
    }
    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        (**self).write(name, at, bytes)
    }
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        (**self).truncate(name, len)
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).sync(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        (**self).rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), DiskError> {
        (**self).sync_dir()
    }
}

/// Why a disk did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskError {
    /// What was tried, as a verb: `write`, `sync` …
    pub op: &'static str,
    /// The file.
    pub name: String,
    /// What happened.
    pub kind: DiskErrorKind,
}

/// Kinds of disk errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskErrorKind {
    /// No space is left.
    Full,
    /// There is no such file.
    NotFound,
    /// The simulated machine has crashed: nothing works until [`SimDisk::restart`].
    Crashed,
    /// Anything else, in the system's words.
    Other(String),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} `{}`: ", self.op, self.name)?;
        match &self.kind {
            DiskErrorKind::Full => f.write_str("no space is left on the disk"),
            DiskErrorKind::NotFound => f.write_str("there is no such file"),
            DiskErrorKind::Crashed => f.write_str("the machine has crashed"),
            DiskErrorKind::Other(message) => f.write_str(message),
        }
    }
}
impl std::error::Error for DiskError {}
