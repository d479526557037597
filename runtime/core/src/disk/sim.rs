//! A disk that crashes, tears, reorders, fills up and rots, all from a seed.
//!
//! At a crash every sector of every write that was not synced is kept, lost (what was there before, or zeros), or
//! replaced by garbage, independently; a file may also end at any of its unsynced lengths; creations, renames and
//! removals since the last `sync_dir` are kept or lost one by one. Handles share the disk, so that a test
//! can keep one while the log owns another.

use super::{Disk, DiskError, DiskErrorKind};
use crate::data::StableHasher;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Writes reach the medium in units of this many bytes. Small, so that short records tear too.
const SECTOR: usize = 16;

/// A handle on a simulated disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What a crash does to what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// Keeps it all, as `kill -9` does: the page cache survives.
    Process,
    /// Keeps an arbitrary part of it, chosen by the seed.
    Power(u64),
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    /// The folder as the running system sees it.
    names: BTreeMap<String, usize>,
    /// The folder as the medium has it.
    durable: BTreeMap<String, usize>,
    /// What was done to the folder since.
    pending: Vec<DirOp>,
    capacity: Option<usize>,
    /// Operations that still succeed; `None`: all.
    left: Option<u64>,
    crashed: bool,
    ops: u64,
    syncs: u64,
    written: u64,
}

#[derive(Clone, Debug)]
enum DirOp {
    Link(String, usize),
    Rename(String, String),
    Unlink(String),
}

#[derive(Clone, Debug, Default)]
struct File {
    data: Vec<u8>,
    synced: Vec<u8>,
    /// What was written or cut off since the last sync lies between these.
    stable_len: usize,
    dirty_end: usize,
    /// Lengths since the last sync, the synced one first.
    lengths: Vec<usize>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the simulated disk")
    }
    /// Makes it fail once all files together exceed this many bytes.
    pub fn limit(&self, bytes: Option<usize>) {
        self.lock().capacity = bytes;
    }
    /// Lets this many more operations succeed: the next one is cut short and everything after it fails.
    pub fn crash_after(&self, ops: u64) {
        self.lock().left = Some(ops);
    }
    /// Operations so far, for choosing a crash point.
    pub fn ops(&self) -> u64 {
        self.lock().ops
    }
    /// File and folder syncs so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }
    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.lock().written
    }
    /// Crashes process or machine and starts it again. Whether something was lost.
    pub fn restart(&self, crash: Crash) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let mut lost = false;
        if let Crash::Power(seed) = crash {
            lost = state.lose(&mut Dice(StableHasher::new(seed)));
            for file in &mut state.files {
                file.settle();
            }
            state.durable = state.names.clone();
        }
        (state.left, state.crashed) = (None, false);
        lost
    }
    /// Flips one bit of what is on the disk; false if the file is shorter.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) -> bool {
        let mut state = self.lock();
        let Some(&file) = state.names.get(name) else { return false };
        let file = &mut state.files[file];
        let Some(byte) = file.data.get_mut(offset) else { return false };
        *byte ^= 1 << bit;
        (file.stable_len, file.dirty_end) = (0, file.data.len());
        file.settle();
        true
    }
    /// Puts a file there, durable, whatever was there before.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let index = state.files.len();
        state.files.push(File { data: bytes.to_vec(), dirty_end: bytes.len(), ..File::default() });
        state.files[index].settle();
        state.names.insert(name.to_owned(), index);
        state.durable.insert(name.to_owned(), index);
    }
    /// Names and lengths of all files.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let state = self.lock();
        state.names.iter().map(|(name, &file)| (name.clone(), state.files[file].data.len())).collect()
    }
}

impl File {
    fn settle(&mut self) {
        // A sync costs what was written since the last one.
        self.synced.resize(self.data.len(), 0);
        let end = self.dirty_end.min(self.data.len());
        let written = self.stable_len.min(end)..end;
        self.synced[written.clone()].copy_from_slice(&self.data[written]);
        (self.stable_len, self.dirty_end) = (self.data.len(), 0);
        self.lengths.clear();
    }

    /// What a power failure leaves; whether that is less than was there.
    fn lose(&mut self, dice: &mut Dice) -> bool {
        let mut lengths = self.lengths.clone();
        lengths.push(self.data.len());
        lengths.push(self.synced.len());
        let len = lengths[dice.below(lengths.len())];
        let mut kept = vec![0; len];
        // The medium has the old contents, and sectors of the new where something was written.
        let style = dice.below(4);
        let torn = dice.below(len / SECTOR + 1) * SECTOR;
        for (at, sector) in kept.chunks_mut(SECTOR).enumerate() {
            let at = at * SECTOR;
            for (i, byte) in sector.iter_mut().enumerate() {
                *byte = self.synced.get(at + i).copied().unwrap_or(0);
            }
            let fate = match style {
                0 => 0,
                1 => usize::from(at >= torn) * 2,
                _ => dice.below(4),
            };
            let unsynced = self.stable_len.saturating_sub(at);
            let written = self.dirty_end.saturating_sub(at);
            for (i, byte) in sector.iter_mut().enumerate().take(written).skip(unsynced) {
                match fate {
                    0 | 1 => *byte = self.data.get(at + i).copied().unwrap_or(0),
                    2 => {}
                    _ => *byte = dice.below(256) as u8,
                }
            }
        }
        let lost = kept != self.data;
        self.data = kept;
        lost
    }
}

impl State {
    fn lose(&mut self, dice: &mut Dice) -> bool {
        let mut names = self.durable.clone();
        for op in self.pending.drain(..) {
            if dice.below(2) == 0 {
                continue;
            }
            match op {
                DirOp::Link(name, file) => {
                    names.insert(name, file);
                }
                DirOp::Rename(from, to) => {
                    if let Some(file) = names.remove(&from) {
                        names.insert(to, file);
                    }
                }
                DirOp::Unlink(name) => {
                    names.remove(&name);
                }
            }
        }
        let mut lost = names != self.names;
        self.names = names;
        for file in &mut self.files {
            lost |= file.lose(dice);
            (file.stable_len, file.dirty_end) = (0, file.data.len());
        }
        lost
    }

    fn used(&self) -> usize {
        self.names.values().map(|&file| self.files[file].data.len()).sum()
    }

    /// Counts an operation. True if the crash comes right after it: it is done, but nobody learns it.
    fn op(&mut self, op: &'static str, name: &str) -> Result<bool, DiskError> {
        if self.crashed {
            return Err(error(op, name, DiskErrorKind::Crashed));
        }
        self.crashed = self.left == Some(0);
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.ops += 1;
        Ok(self.crashed)
    }

    fn file(&mut self, op: &'static str, name: &str) -> Result<&mut File, DiskError> {
        match self.names.get(name) {
            Some(&file) => Ok(&mut self.files[file]),
            None => Err(error(op, name, DiskErrorKind::NotFound)),
        }
    }
}

fn error(op: &'static str, name: &str, kind: DiskErrorKind) -> DiskError {
    DiskError { op, name: name.to_owned(), kind }
}

/// The answer of an operation after which the machine may have crashed.
fn answer<T>(last: bool, op: &'static str, name: &str, value: T) -> Result<T, DiskError> {
    if last { Err(error(op, name, DiskErrorKind::Crashed)) } else { Ok(value) }
}

impl Disk for SimDisk {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        let mut state = self.lock();
        let last = state.op("list", "the folder")?;
        answer(last, "list", "the folder", state.names.keys().cloned().collect())
    }
    fn read(&mut self, name: &str) -> Result<Vec<u8>, DiskError> {
        let mut state = self.lock();
        let last = state.op("read", name)?;
        let data = state.file("read", name)?.data.clone();
        answer(last, "read", name, data)
    }
    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        let mut state = self.lock();
        let last = state.op("create", name)?;
        let index = state.files.len();
        state.files.push(File::default());
        state.names.insert(name.to_owned(), index);
        state.pending.push(DirOp::Link(name.to_owned(), index));
        answer(last, "create", name, ())
    }
    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut state = self.lock();
        let last = state.op("write", name)?;
        let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(state.used()));
        let file = state.file("write", name)?;
        let (at, len) = (at as usize, file.data.len());
        assert!(at <= len, "a write begins within the file or at its end");
        // Over what is there, and as far beyond as there is room.
        let done = &bytes[..bytes.len().min((len - at).saturating_add(room))];
        let end = at + done.len();
        if end > len {
            file.lengths.push(len);
            file.data.resize(end, 0);
        }
        file.data[at..end].copy_from_slice(done);
        (file.stable_len, file.dirty_end) = (file.stable_len.min(at), file.dirty_end.max(end));
        state.written += done.len() as u64;
        if done.len() < bytes.len() {
            return Err(error("write", name, DiskErrorKind::Full));
        }
        answer(last, "write", name, ())
    }
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        let mut state = self.lock();
        let last = state.op("truncate", name)?;
        let file = state.file("truncate", name)?;
        file.lengths.push(file.data.len());
        file.data.truncate(len as usize);
        (file.stable_len, file.dirty_end) =
            (file.stable_len.min(len as usize), file.dirty_end.max(file.synced.len()));
        answer(last, "truncate", name, ())
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let mut state = self.lock();
        // One that the crash interrupts has done nothing for certain.
        answer(state.op("sync", name)?, "sync", name, ())?;
        state.syncs += 1;
        state.file("sync", name).map(File::settle)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut state = self.lock();
        let last = state.op("rename", from)?;
        let file = state.names.remove(from).ok_or_else(|| error("rename", from, DiskErrorKind::NotFound))?;
        state.names.insert(to.to_owned(), file);
        state.pending.push(DirOp::Rename(from.to_owned(), to.to_owned()));
        answer(last, "rename", from, ())
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let mut state = self.lock();
        let last = state.op("remove", name)?;
        state.names.remove(name).ok_or_else(|| error("remove", name, DiskErrorKind::NotFound))?;
        state.pending.push(DirOp::Unlink(name.to_owned()));
        answer(last, "remove", name, ())
    }
    fn sync_dir(&mut self) -> Result<(), DiskError> {
        let mut state = self.lock();
        answer(state.op("sync", "the folder")?, "sync", "the folder", ())?;
        state.syncs += 1;
        state.durable = state.names.clone();
        state.pending.clear();
        Ok(())
    }
}

/// A stream of numbers from a seed.
struct Dice(StableHasher);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0.word(n as u64);
        (self.0.finish() % n as u64) as usize
    }
}
