//! The driver's view of the log: records of rounds, recovery, snapshots.
//!
//! A record of the [`Wal`](crate::storage::Wal) holds the durable changes of all ticks of a round, each with
//! its length, so that a macro-step is recovered whole or not at all.

use crate::storage::{Identity, LogError, OpenError, Recovered, Wal, WalOptions};
use anabranch_core::node::Node;
use anabranch_core::wire::{Reader, WireError};
use std::fmt;
use std::path::Path;

/// Why a node's log cannot be read or written.
#[derive(Debug)]
pub enum StoreError {
    /// It cannot be opened.
    Open(Box<OpenError>),
    /// It cannot be written: what was not stable will never leave.
    Log(LogError),
    /// It was read, but this program does not understand it.
    Replay(WireError),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Open(error) => write!(f, "{error}"),
            StoreError::Log(error) => write!(f, "{error}"),
            StoreError::Replay(error) => write!(f, "the log does not fit this program: {error}"),
        }
    }
}
impl std::error::Error for StoreError {}

impl From<LogError> for StoreError {
    fn from(error: LogError) -> StoreError {
        StoreError::Log(error)
    }
}

pub(crate) struct Store {
    wal: Wal,
    recovered: Option<Recovered>,
    incarnation: u64,
    rounds: u64,
}

impl Store {
    /// Opens a node's folder; `wake` is called from another thread when records have become stable.
    pub fn open(
        folder: &Path,
        identity: &Identity,
        snapshot_bytes: u64,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Store, StoreError> {
        let options = WalOptions { waker: Some(Box::new(wake)), snapshot_bytes, ..WalOptions::default() };
        let (recovered, wal) =
            Wal::open(folder, identity, options).map_err(|error| StoreError::Open(Box::new(error)))?;
        if let Some(cut) = &recovered.cut {
            tracing::warn!(folder = %folder.display(), ?cut, "the log's torn end was cut off");
        }
        let (incarnation, rounds) = (recovered.incarnation, recovered.tick);
        Ok(Store { wal, recovered: Some(recovered), incarnation, rounds })
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Brings a fresh node to the state of the log.
    pub fn recover(&mut self, node: &mut dyn Node) -> Result<(), StoreError> {
        let Some(recovered) = self.recovered.take() else { return Ok(()) };
        rebuild(node, &recovered).map_err(StoreError::Replay)
    }

    /// Appends a round's record: see [`push_tick`].
    pub fn append(&mut self, record: &[u8]) {
        self.rounds += 1;
        self.wal.append(self.rounds, record);
        self.wal.sync();
    }

    /// The last record appended.
    pub fn appended(&self) -> u64 {
        self.wal.last()
    }

    /// The last record that is stable.
    pub fn stable(&mut self) -> Result<u64, StoreError> {
        Ok(self.wal.poll()?)
    }

    pub fn waiting_bytes(&self) -> usize {
        self.wal.unstable_bytes()
    }

    /// Waits until all that was appended is stable, and gives the last record's number.
    pub fn flush(&mut self) -> Result<u64, StoreError> {
        self.wal.flush()?;
        Ok(self.wal.last())
    }

    /// Whether the log has grown enough for a snapshot.
    pub fn wants_snapshot(&self) -> bool {
        self.wal.wants_snapshot()
    }

    /// Replaces the records so far by an image of the node, made on the log's thread.
    pub fn snapshot(&mut self, fork: Box<dyn Node>) {
        let image = move || {
            let mut image = Vec::new();
            fork.snapshot(&mut image);
            image
        };
        self.wal.snapshot_with(self.rounds, Box::new(image));
    }

    pub fn writes_and_syncs(&self) -> (u64, u64) {
        let stats = self.wal.stats();
        (stats.groups, stats.groups + stats.snapshots)
    }

    /// An orderly end.
    pub fn close(self) -> Result<(), StoreError> {
        Ok(self.wal.close()?)
    }
}

/// Adds a tick's durable changes to a round's record.
pub(crate) fn push_tick(record: &mut Vec<u8>, changes: &[u8]) {
    record.extend_from_slice(&(changes.len() as u32).to_le_bytes());
    record.extend_from_slice(changes);
}

/// Brings a fresh node to the state that a log was found with.
pub(crate) fn rebuild(node: &mut dyn Node, recovered: &Recovered) -> Result<(), WireError> {
    if let Some(image) = &recovered.snapshot {
        node.restore(&mut Reader::new(image))?;
    }
    recovered.records.iter().try_for_each(|(_, record)| replay(node, record))
}

fn replay(node: &mut dyn Node, record: &[u8]) -> Result<(), WireError> {
    let mut input = Reader::new(record);
    while !input.rest().is_empty() {
        let len = u32::from_le_bytes(input.take(4)?.try_into().expect("four bytes"));
        node.replay(&mut Reader::new(input.take(len as usize)?))?;
    }
    Ok(())
}
