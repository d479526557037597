//! What can go wrong with a log.

use super::Identity;
use crate::disk::DiskError;
use std::fmt;

/// Why a log cannot be opened. Nothing was changed on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The disk failed.
    Disk(DiskError),
    /// Something that was durable is damaged or gone.
    Corrupt {
        /// The file.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Written by another version of the file format.
    OtherFormat {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
    },
    /// Written by another protocol, or another version of this one.
    OtherProtocol {
        /// Who wrote it.
        found: Identity,
        /// Who opens it.
        expected: Identity,
    },
    /// Written by another node of this protocol.
    OtherNode {
        /// Who wrote it.
        found: Identity,
        /// Who opens it.
        expected: Identity,
    },
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> OpenError {
        OpenError::Disk(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Disk(error) => error.fmt(f),
            OpenError::Corrupt { file, offset, what } => write!(
                f,
                "`{file}` is corrupt at byte {offset}: {what}; this node's durable state cannot be trusted, restore the \
                 folder from a copy or remove it"
            ),
            OpenError::OtherFormat { file, found } => {
                write!(
                    f,
                    "`{file}` has format version {found}, this program reads {}",
                    super::format::VERSION
                )
            }
            OpenError::OtherProtocol { found, expected } => write!(
                f,
                "the folder belongs to protocol `{}` (fingerprint {:016x}), this program runs `{}` (fingerprint {:016x}): use \
                 the program that wrote it, or another folder",
                found.protocol, found.fingerprint, expected.protocol, expected.fingerprint
            ),
            OpenError::OtherNode { found, expected } => write!(
                f,
                "the folder belongs to role {} instance {} partition {}, not to role {} instance {} partition {}",
                found.seat.role,
                found.seat.instance,
                found.seat.partition,
                expected.seat.role,
                expected.seat.instance,
                expected.seat.partition
            ),
        }
    }
}
impl std::error::Error for OpenError {}

/// Why a running log cannot go on. The node must stop: what was not reported stable may or may not be on
/// the disk, and trying again after a failed sync would only seem to help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogError {
    /// The disk failed.
    Disk(DiskError),
    /// It failed before.
    Failed,
}

impl From<DiskError> for LogError {
    fn from(error: DiskError) -> LogError {
        LogError::Disk(error)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Disk(error) => write!(f, "the log cannot go on: {error}"),
            LogError::Failed => f.write_str("the log has failed before"),
        }
    }
}
impl std::error::Error for LogError {}
