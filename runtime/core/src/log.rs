//! The write-ahead log of a node: its durable changes, tick by tick, and now and then a snapshot.
//!
//! In the node's folder lie
//! - `node`: whose folder it is (protocol, fingerprint, seat), the incarnation, and the segment that was begun
//!   last, replaced atomically at every start before anything else may happen, and with every segment;
//! - `FIRST.log`: a segment, a header and then records, numbered from FIRST without gaps;
//! - `LAST.snap`: the durable state after record LAST. Older segments and snapshots are then removed.
//!
//! **What is stable.** A record is stable once a sync that covers it has returned. Only then may messages and
//! replies leave that depend on it. Each record says how far behind the stable ones were when it was
//! written: that is what tells a torn tail from corruption. A damaged record with a sound one
//! behind it that calls it stable was on the disk and has rotted: recovery refuses, naming file and
//! offset. A damaged record that nobody calls stable was never reported: it and all behind it are cut off.
//!
//! **Marks.** Groups of records are followed by marks, which say that all before them is stable ([`Log::mark`]). A
//! mark is written after the sync and is not synced itself, so it costs no time, and it is on the disk as soon as the
//! system has written it back or the next group was synced. It survives the death of the process in any case.
//!
//! **Room ahead.** A segment is lengthened by zeros, up to 1 MB at a time, and records are written over them, since a
//! sync that changes no length is several times cheaper ([`LogOptions::reserve_bytes`]). For the same reason the segment
//! that a snapshot makes superfluous becomes the next one, with its old records still behind the new header. They are
//! told from new ones by their numbers: all are below FIRST, since only segments of the same life are used again, and
//! in a life numbers only grow. So a segment may end in zeros or in records with numbers below its own, and neither is
//! damage.
//!
//! **Segments end whole.** Every start, every snapshot and every 64 MB begin a new segment, after the old one was
//! synced; so damage in any but the last is corruption. No record is written to a segment before `node` names it, so
//! that a segment which is gone, or has lost its header, is missed.
//!
//! **What remains undetected**: damage to the very last group in front of a failure of power or system that came
//! before its mark was written back (Linux takes up to 30 seconds). Then the folder is the same, byte by byte, as
//! if the group had been torn before its sync, and no reader can tell. A second sync for each group would tell, at half
//! the throughput. The same holds for a file that was cut exactly behind a record, the mark included, as a file system
//! restored to an earlier moment would. An orderly [`Log::close`] syncs the last mark.
//!
//! Deliberate omissions: no threads and no files (the crate `anabranch` has both); no compression; a log
//! of another protocol version is refused, not converted.

mod error;
mod format;
mod open;
mod write;

pub use error::{LogError, OpenError};
pub use format::{Batch, Identity};
pub use open::{Cut, Recovered};
pub use write::{Log, LogOptions};
