//! The running log: group commit, rotation, snapshots.

use super::format::{self, Kind, number, segment_name, snapshot_name};
use super::{Batch, Identity, LogError};
use crate::disk::{Disk, DiskError};

/// Sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// A segment that has reached this many bytes is followed by another.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 << 20 }
    }
}

/// An open log: the only writer of its folder.
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    identity: Identity,
    options: LogOptions,
    incarnation: u64,
    segment: String,
    first: u64,
    size: u64,
    next: u64,
    since_snapshot: u64,
    failed: bool,
}

impl<D: Disk> Log<D> {
    pub(super) fn start(
        disk: D,
        identity: &Identity,
        incarnation: u64,
        next: u64,
        options: LogOptions,
    ) -> Result<Log<D>, DiskError> {
        let mut log = Log {
            disk,
            identity: identity.clone(),
            options,
            incarnation,
            segment: String::new(),
            first: 0,
            size: 0,
            next,
            since_snapshot: 0,
            failed: false,
        };
        log.rotate()?;
        Ok(log)
    }

    /// An empty batch for this log's next records.
    pub fn batch(&self) -> Batch {
        Batch::new(self.identity.salt(), self.next)
    }
    /// The last record that is stable: all that were written are.
    pub fn stable(&self) -> u64 {
        self.next - 1
    }
    /// Bytes of records since the last snapshot or start.
    pub fn since_snapshot(&self) -> u64 {
        self.since_snapshot
    }

    /// Begins a new segment. All records before are stable, so that a segment with a successor is whole.
    fn rotate(&mut self) -> Result<(), DiskError> {
        let name = segment_name(self.next);
        let header = format::segment_header(&self.identity, self.incarnation, self.next);
        self.disk.create(&name)?;
        self.disk.append(&name, &header)?;
        self.disk.sync(&name)?;
        self.disk.sync_dir()?;
        (self.segment, self.first, self.size) = (name, self.next, header.len() as u64);
        Ok(())
    }

    /// Writes a batch and syncs it: one write and one sync for however many ticks. Gives the last stable
    /// record.
    pub fn commit(&mut self, batch: &Batch) -> Result<u64, LogError> {
        self.guard(|log| log.write(batch))?;
        Ok(self.stable())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), DiskError> {
        if batch.is_empty() {
            return Ok(());
        }
        assert_eq!(batch.next() - batch.records(), self.next, "batches come in order");
        if self.size >= self.options.segment_bytes {
            self.rotate()?;
        }
        self.disk.append(&self.segment, batch.bytes())?;
        self.disk.sync(&self.segment)?;
        self.size += batch.bytes().len() as u64;
        self.since_snapshot += batch.bytes().len() as u64;
        self.next = batch.next();
        Ok(())
    }

    /// Keeps the durable state after all records so far, and forgets the records.
    pub fn snapshot(&mut self, tick: u64, image: &[u8]) -> Result<(), LogError> {
        self.guard(|log| {
            let last = log.next - 1;
            // Records to come must not share a segment with those that go.
            if log.first != log.next {
                log.rotate()?;
            }
            let (name, temporary) = (snapshot_name(last), "snapshot.tmp");
            log.disk.create(temporary)?;
            log.disk.append(temporary, &format::snapshot_header(&log.identity, last, tick, image))?;
            log.disk.append(temporary, image)?;
            log.disk.sync(temporary)?;
            log.disk.rename(temporary, &name)?;
            log.disk.sync_dir()?;
            for other in log.disk.list()? {
                let old = number(&other, ".log").is_some_and(|first| first < log.first)
                    || number(&other, ".snap").is_some_and(|other| other < last);
                if old {
                    log.disk.remove(&other)?;
                }
            }
            log.since_snapshot = 0;
            Ok(())
        })
    }

    /// Ends the log in good order: says on the disk that all its records are stable.
    pub fn close(mut self) -> Result<(), LogError> {
        self.guard(|log| {
            let mut batch = Batch::new(log.identity.salt(), log.next);
            batch.put(Kind::Closed, 0, &[], log.next - 1);
            log.write(&batch)
        })
    }

    /// After one failure nothing more is tried.
    fn guard(&mut self, act: impl FnOnce(&mut Self) -> Result<(), DiskError>) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        act(self).map_err(|error| {
            self.failed = true;
            LogError::Disk(error)
        })
    }
}
