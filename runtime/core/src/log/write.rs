//! The running log: group commit, rotation, snapshots.

use super::format::{self, Kind, Life, number, segment_name, snapshot_name};
use super::open::write_node_file;
use super::{Batch, Identity, LogError};
use crate::disk::{Disk, DiskError, DiskErrorKind};

/// Sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// A segment that has reached this many bytes is followed by another.
    pub segment_bytes: u64,
    /// A segment is lengthened by up to this many bytes of zeros ahead of its records; 0: never.
    pub reserve_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 << 20, reserve_bytes: 1 << 20 }
    }
}

/// What a segment is lengthened by at first, bytes; later by as much as it has.
const FIRST_RESERVE: u64 = 64 << 10;
/// A segment that is needed no more, kept to be written over.
const SPARE: &str = "spare.tmp";

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
    /// The segment's length: beyond it a write lengthens the file.
    reserved: u64,
    /// The segments before this one in the same life, and their lengths.
    previous: Vec<(String, u64)>,
    /// The length of [`SPARE`], if there is one.
    spare: Option<u64>,
    next: u64,
    since_snapshot: u64,
    /// What the last mark said, or the beginning of the segment: the number of the next record.
    marked: u64,
    failed: Option<DiskError>,
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
            reserved: 0,
            previous: Vec::new(),
            spare: None,
            next,
            since_snapshot: 0,
            marked: 0,
            failed: None,
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
        let length = match self.spare.take() {
            Some(length) => {
                self.disk.rename(SPARE, &name)?;
                length
            }
            None => {
                self.disk.create(&name)?;
                header.len() as u64
            }
        };
        self.disk.write(&name, 0, &header)?;
        self.disk.sync(&name)?;
        self.disk.sync_dir()?;
        // From here on the segment is missed if it is gone.
        let life = Life { incarnation: self.incarnation, segment: self.next };
        write_node_file(&mut self.disk, &self.identity, life)?;
        if self.first > 0 {
            self.previous.push((std::mem::take(&mut self.segment), self.reserved));
        }
        (self.segment, self.first, self.marked) = (name, self.next, self.next);
        (self.size, self.reserved) = (header.len() as u64, length);
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
        self.append(batch.bytes())?;
        self.reserve()?;
        self.disk.sync(&self.segment)?;
        self.since_snapshot += batch.bytes().len() as u64;
        self.next = batch.next();
        Ok(())
    }

    /// Writes behind what the segment holds.
    fn append(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.write(&self.segment, self.size, bytes)?;
        self.size += bytes.len() as u64;
        self.reserved = self.reserved.max(self.size);
        Ok(())
    }

    /// Lengthens the segment unless it has room for a mark. A sync of bytes that lie within the file's length writes
    /// just them; one that makes the file longer also waits for the file system's journal, which all nodes of a
    /// machine share.
    fn reserve(&mut self) -> Result<(), DiskError> {
        if self.size + format::RECORD as u64 <= self.reserved {
            return Ok(());
        }
        let ahead = self.size.max(FIRST_RESERVE).min(self.options.reserve_bytes);
        match self.disk.write(&self.segment, self.size, &vec![0; ahead as usize]) {
            Ok(()) => self.reserved = self.size + ahead,
            // What little room is left is for records.
            Err(error) if error.kind == DiskErrorKind::Full => self.options.reserve_bytes = 0,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Says on the disk that all records so far are stable, so that damage to the last group is not taken for a torn
    /// tail. Meant for the time after a commit was reported; not synced, since the next commit does that. If it
    /// fails, so will the next commit.
    pub fn mark(&mut self) {
        if self.marked == self.next {
            return;
        }
        let mark = format::mark(self.identity.salt(), self.next);
        if self.guard(|log| log.append(&mark)).is_ok() {
            self.marked = self.next;
        }
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
            let header = format::snapshot_header(&log.identity, last, tick, image);
            log.disk.write(temporary, 0, &header)?;
            log.disk.write(temporary, header.len() as u64, image)?;
            log.disk.sync(temporary)?;
            log.disk.rename(temporary, &name)?;
            log.disk.sync_dir()?;
            let longest = log.previous.drain(..).max_by_key(|(_, length)| *length);
            let mut reuse = longest.filter(|_| log.spare.is_none() && log.options.reserve_bytes > 0);
            for other in log.disk.list()? {
                let old = number(&other, ".log").is_some_and(|first| first < log.first)
                    || number(&other, ".snap").is_some_and(|other| other < last);
                if !old {
                    continue;
                }
                match reuse.take_if(|(name, _)| *name == other) {
                    Some((_, length)) => {
                        log.disk.rename(&other, SPARE)?;
                        log.spare = Some(length);
                    }
                    None => log.disk.remove(&other)?,
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
        if let Some(error) = &self.failed {
            return Err(LogError::Disk(error.clone()));
        }
        act(self).map_err(|error| {
            self.failed = Some(error.clone());
            LogError::Disk(error)
        })
    }
}
