//! The write-ahead log of a node: its durable changes, tick by tick, and now and then a snapshot.
//!
//! In the node's folder lie
//! - `node`: whose folder it is (protocol, fingerprint, seat), and the incarnation, replaced atomically at every
//!   start before anything else may happen;
//! - `FIRST.log`: a segment, a header and then records, numbered from FIRST without gaps;
//! - `LAST.snap`: the durable state after record LAST. Older segments and snapshots are then removed.
//!
//! **What is stable.** A record is stable once a sync that covers it has returned. Only then may messages and
//! replies leave that depend on it. Each record says how far behind the stable ones were when it was
//! written: that is what tells a torn tail from corruption. A damaged record with a sound one
//! behind it that calls it stable was on the disk and has rotted: recovery refuses, naming file and
//! offset. A damaged record that nobody calls stable was never reported: it and all behind it are cut off.
//!
//! **Segments end whole.** Every start, every snapshot and every 64 MB begin a new segment, after the old one was
//! synced; so damage in any but the last is corruption. What remains undetected is a bit that rots in the
//! very last group of records before a crash: nothing on the disk says that they were stable. An
//! orderly [`Log::close`] says it.
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
