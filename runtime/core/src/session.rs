//! Sessions: reliable exchange between two incarnations over connections that break. No sockets, no clock.
//!
//! - [`frame`]: what travels over a connection;
//! - [`hello`]: who is there, whether both run the same program, and how far each stream is;
//! - [`stream`]: one side of a two-way stream: numbers, acknowledgements, resending, duplicates;
//! - [`attach`]: connects a stream with the incarnation that the other side turns out to be;
//! - [`Fate`]: whether a receiver was given up.
//!
//! **What it guarantees.** Between two live incarnations each frame arrives exactly once and in order, over
//! however many connections. If either side crashes, any part of what was in flight between the two is
//! lost, and nothing arrives twice: frames that the dead incarnation may have seen are dropped, the others
//! go to its successor. An acknowledgement says that a live incarnation has taken a frame, not that it is
//! durable: a crash may still lose it, as the model allows.
//!
//! **Why nothing blocks.** Messages may go in cycles (A to B to A), so whoever stopped taking messages until
//! its own were taken could wait for itself. The rules for drivers are:
//! 1. A node always takes the frames of other nodes. It may pause for its own tick and its own disk, which wait
//!    for no other node, but never because a queue to another node is long.
//! 2. What it has to send goes into that receiver's stream, which never refuses.
//! 3. While the stream to any *connected* receiver is longer than a limit, or the disk is behind, the node takes
//!    no new requests, and tells the others (`pressed`), who take none either.
//!
//! By 1 every frame that was written is taken after a finite time, so streams to connected receivers drain,
//! so pressure ends: no deadlock, whatever cycles the messages form. Memory: with sources stopped, what is
//! still sent are the consequences of what was taken before, which is bounded by the limit for every program
//! whose requests have finitely many consequences.
//!
//! **What remains** are receivers that are not connected (holding up everyone for them would let a minority
//! stop a quorum), timers that send to them, and programs whose messages multiply for ever. For these a
//! second, larger limit ends in *giving up*: the sender drops what waits and refuses the receiver's
//! incarnation, which must end. To the protocol that is a crash of the receiver: it loses what was in flight
//! to it. Dropping silently would not be: the receiver would live on without the messages. Hence
//! [`Fate`]: after a drop, whichever incarnation comes first is refused, since it may have been
//! alive at the time; what is sent after the refusal goes to its successor.

mod attach;
pub mod frame;
pub mod hello;
pub mod stream;

pub use attach::{Fate, attach};
