//! A node's durable tables on files: the [log](anabranch_core::log) with a disk and a thread under it.
//!
//! The node appends a record per tick and goes on; a thread writes and syncs everything that has come
//! together meanwhile (group commit) and reports how far the log is stable. So the slower the disk, the
//! larger the groups, and one sync is on its way at any time.

mod fs;

pub use anabranch_core::log::{Cut, Identity, LogError, OpenError, Recovered};
pub use fs::FsDisk;

use anabranch_core::disk::{Disk, DiskError};
use anabranch_core::log::{Batch, Log, LogOptions};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Called by the log's thread when there is news for [`Wal::poll`].
pub type Waker = Box<dyn Fn() + Send>;

/// Log bytes after which a snapshot is due, unless another number is said.
pub const SNAPSHOT_BYTES: u64 = 16 << 20;

/// How a log is run.
#[derive(Default)]
pub struct WalOptions {
    /// Syncs on a thread of its own, which calls this; without it [`Wal::sync`] does it on the spot.
    pub waker: Option<Waker>,
    /// Sizes.
    pub log: LogOptions,
    /// Log bytes after which [`Wal::wants_snapshot`]; 0 for [`SNAPSHOT_BYTES`].
    pub snapshot_bytes: u64,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WalStats {
    /// Records appended.
    pub records: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Groups written: one write and one sync each.
    pub groups: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Time spent writing and syncing.
    pub busy: Duration,
}

/// The log of a node that runs.
pub struct Wal {
    /// Records that no group holds yet.
    batch: Batch,
    /// Groups that wait for the disk; more than one only if snapshots were asked for.
    waiting: VecDeque<Job>,
    spare: Option<Batch>,
    engine: Engine,
    under_way: usize,
    stable: u64,
    failed: Option<LogError>,
    since_snapshot: u64,
    snapshot_bytes: u64,
    last_image: u64,
    stats: WalStats,
}

enum Engine {
    Inline(Box<Log<Box<dyn Disk>>>),
    Thread { jobs: Sender<Job>, done: Receiver<Done>, thread: JoinHandle<Result<(), LogError>>, busy: bool },
    Closed,
}

struct Job {
    batch: Batch,
    snapshot: Option<(u64, Image)>,
}

/// Makes a snapshot's bytes, on the log's thread.
type Image = Box<dyn FnOnce() -> Vec<u8> + Send>;

struct Done {
    batch: Batch,
    stable: Result<u64, LogError>,
    image: Option<u64>,
    took: Duration,
}

impl Wal {
    /// Opens or makes a node's folder. When this returns, the new incarnation is durable.
    pub fn open(
        folder: &Path,
        identity: &Identity,
        options: WalOptions,
    ) -> Result<(Recovered, Wal), OpenError> {
        #[cfg(test)]
        if let Some(disk) = simulated::disk(folder) {
            return Wal::open_on(disk, identity, options);
        }
        Wal::open_on(Box::new(FsDisk::open(folder)?), identity, options)
    }

    /// The same on another disk, for tests.
    pub fn open_on(
        disk: Box<dyn Disk>,
        identity: &Identity,
        options: WalOptions,
    ) -> Result<(Recovered, Wal), OpenError> {
        let (recovered, log) = Log::open(disk, identity, options.log)?;
        let (batch, stable) = (log.batch(), log.stable());
        let engine = Engine::Inline(Box::new(log));
        let restored: usize = recovered.records.iter().map(|(_, body)| body.len() + 32).sum();
        let mut wal = Wal {
            batch,
            waiting: VecDeque::new(),
            spare: None,
            engine,
            under_way: 0,
            stable,
            failed: None,
            since_snapshot: restored as u64,
            snapshot_bytes: if options.snapshot_bytes == 0 { SNAPSHOT_BYTES } else { options.snapshot_bytes },
            last_image: recovered.snapshot.as_ref().map_or(0, |image| image.len() as u64),
            stats: WalStats::default(),
        };
        if let Some(waker) = options.waker {
            wal.start(waker)?;
        }
        Ok((recovered, wal))
    }

    /// Gives the log a thread, if it has none: from now on [`Wal::sync`] returns at once, and `waker` is called
    /// when there is news for [`Wal::poll`].
    pub fn start(&mut self, waker: Waker) -> Result<(), DiskError> {
        let log = match std::mem::replace(&mut self.engine, Engine::Closed) {
            Engine::Inline(log) => log,
            other => {
                self.engine = other;
                return Ok(());
            }
        };
        let ((jobs, queue), (report, done)) = (channel(), channel());
        let thread = std::thread::Builder::new().name("log".into());
        let thread = thread.spawn(move || serve(*log, &queue, &report, &waker));
        let thread = thread.map_err(|error| fs::fault("start", "the log's thread", &error))?;
        self.engine = Engine::Thread { jobs, done, thread, busy: false };
        Ok(())
    }

    /// Appends a tick's durable changes and gives the record's number. It is not stable yet.
    pub fn append(&mut self, tick: u64, body: &[u8]) -> u64 {
        let before = self.batch.bytes().len();
        let record = self.batch.push(tick, body, self.stable);
        let bytes = (self.batch.bytes().len() - before) as u64;
        self.stats.records += 1;
        self.stats.bytes += bytes;
        self.since_snapshot += bytes;
        record
    }

    /// The number of the last record appended: what must be stable before anything leaves that depends on
    /// the state so far.
    pub fn last(&self) -> u64 {
        self.batch.next() - 1
    }

    /// Bytes appended and not stable: what a slow disk makes the node wait for.
    pub fn unstable_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|job| job.batch.bytes().len()).sum();
        self.batch.bytes().len() + waiting + self.under_way
    }

    /// Begins to write what was appended, unless the disk is busy: then [`Wal::poll`] begins when it is
    /// done. Call it after a round of ticks.
    pub fn sync(&mut self) {
        while self.failed.is_none() && !self.busy() {
            let job = match self.waiting.pop_front() {
                Some(job) => job,
                None if self.batch.is_empty() => return,
                None => Job { batch: self.batch.take(self.spare.take()), snapshot: None },
            };
            self.begin(job);
        }
    }

    fn busy(&self) -> bool {
        matches!(self.engine, Engine::Thread { busy: true, .. })
    }

    fn begin(&mut self, job: Job) {
        self.stats.snapshots += u64::from(job.snapshot.is_some());
        self.stats.groups += u64::from(!job.batch.is_empty());
        self.under_way = job.batch.bytes().len();
        match &mut self.engine {
            Engine::Inline(log) => {
                let done = perform(log, job);
                log.mark();
                self.finish(done);
            }
            Engine::Thread { jobs, busy, .. } => {
                *busy = jobs.send(job).is_ok();
                if !*busy {
                    self.failed = Some(LogError::Failed);
                }
            }
            Engine::Closed => self.failed = Some(LogError::Failed),
        }
    }

    fn finish(&mut self, done: Done) {
        self.stats.busy += done.took;
        self.under_way = 0;
        self.spare = Some(done.batch);
        self.last_image = done.image.unwrap_or(self.last_image);
        match done.stable {
            Ok(stable) => self.stable = stable,
            Err(error) => self.failed = Some(error),
        }
    }

    /// The last stable record. Takes news from the thread and gives it what has come together meanwhile.
    pub fn poll(&mut self) -> Result<u64, LogError> {
        if let Engine::Thread { done, busy, .. } = &mut self.engine
            && *busy
        {
            match done.try_recv() {
                Ok(done) => {
                    *busy = false;
                    self.finish(done);
                    self.sync();
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.failed = Some(LogError::Failed),
            }
        }
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(self.stable),
        }
    }

    /// Waits until all that was appended is stable.
    pub fn flush(&mut self) -> Result<(), LogError> {
        loop {
            self.sync();
            if self.poll()? == self.last() && self.waiting.is_empty() && !self.busy() {
                return Ok(());
            }
            if let Engine::Thread { done, busy, .. } = &mut self.engine
                && *busy
            {
                let done = done.recv().map_err(|_| LogError::Failed)?;
                *busy = false;
                self.finish(done);
            }
        }
    }

    /// Whether the log has grown enough since the last snapshot to be worth another: at least as much as
    /// what a snapshot costs.
    pub fn wants_snapshot(&self) -> bool {
        self.since_snapshot > self.snapshot_bytes.max(2 * self.last_image)
    }

    /// Replaces all records so far by an image of the durable state after them. Written like a group; what
    /// is appended from now on comes after it.
    pub fn snapshot(&mut self, tick: u64, image: Vec<u8>) {
        self.snapshot_with(tick, Box::new(|| image));
    }

    /// The same with an image that the log's thread makes, from a fork of the node say.
    pub fn snapshot_with(&mut self, tick: u64, image: Box<dyn FnOnce() -> Vec<u8> + Send>) {
        self.since_snapshot = 0;
        let batch = self.batch.take(self.spare.take());
        self.waiting.push_back(Job { batch, snapshot: Some((tick, image)) });
        self.sync();
    }

    /// Counters.
    pub fn stats(&self) -> WalStats {
        self.stats
    }

    /// Writes everything, says on the disk that it is all there, and ends the thread.
    pub fn close(mut self) -> Result<(), LogError> {
        self.flush()?;
        match std::mem::replace(&mut self.engine, Engine::Closed) {
            Engine::Inline(log) => log.close(),
            Engine::Thread { jobs, thread, .. } => {
                drop(jobs);
                thread.join().unwrap_or(Err(LogError::Failed))
            }
            Engine::Closed => Ok(()),
        }
    }
}

/// Dropped without [`Wal::close`], as in a crash: the thread ends after the group that it is writing.
impl Drop for Wal {
    fn drop(&mut self) {
        if let Engine::Thread { jobs, done, thread, .. } = std::mem::replace(&mut self.engine, Engine::Closed)
        {
            // The thread sees that nobody listens, and writes no closing mark.
            drop(done);
            drop(jobs);
            let _ = thread.join();
        }
    }
}

fn perform<D: Disk>(log: &mut Log<D>, job: Job) -> Done {
    let begun = Instant::now();
    let mut stable = log.commit(&job.batch);
    let mut size = None;
    if let (Ok(_), Some((tick, image))) = (&stable, job.snapshot) {
        let image = image();
        size = Some(image.len() as u64);
        stable = log.snapshot(tick, &image).map(|()| log.stable());
    }
    Done { batch: job.batch, stable, image: size, took: begun.elapsed() }
}

fn serve<D: Disk>(
    mut log: Log<D>,
    queue: &Receiver<Job>,
    report: &Sender<Done>,
    waker: &Waker,
) -> Result<(), LogError> {
    while let Ok(job) = queue.recv() {
        let done = perform(&mut log, job);
        if report.send(done).is_err() {
            return Ok(());
        }
        waker();
        // Nobody waits for it.
        log.mark();
    }
    log.close()
}

#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
