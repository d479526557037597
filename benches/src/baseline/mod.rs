//! Two-phase commit written by hand: what the compiled protocol is measured against.
//!
//! The messages are those of the DSL program (commit request, prepare, vote, decide and reply, ack), presumed
//! abort, nothing durable, patience and retransmission by timers. One process per node and one event loop per
//! process: each round takes everything that is available and writes once per destination. State is one
//! `FxHashMap` entry per transaction.
//!
//! Left out on purpose: reconnecting, back-pressure, heartbeats, checksums, any generality. The baseline is a
//! lower bound, not a system.

pub mod cluster;
pub mod coordinator;
pub mod drive;
pub mod mio_loop;
pub mod participant;
pub mod tokio_loop;
pub mod wire;

use std::time::{Duration, Instant};

/// A protocol's side of the event loop.
pub trait Logic {
    /// Takes whole messages from the front of `bytes` and says how many bytes that were.
    fn take(&mut self, from: usize, bytes: &[u8], out: &mut Out) -> usize;
    /// Ends a round, after everything available was taken; says how long to sleep at most.
    fn end_round(&mut self, now: Instant, out: &mut Out) -> Option<Duration>;
    /// Whether to leave the loop.
    fn finished(&self) -> bool {
        false
    }
}

/// What is to be written, by connection: those made come first, then those accepted, in order.
#[derive(Default, Debug)]
pub struct Out {
    /// Bytes that the next write carries.
    pub to: Vec<Vec<u8>>,
}

/// Which event loop drives a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loop {
    /// `mio::Poll`.
    Mio,
    /// tokio's current-thread runtime.
    Tokio,
}

impl Loop {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Loop::Mio => "mio",
            Loop::Tokio => "tokio",
        }
    }
}

/// Runs a node until its logic has finished.
pub fn run(
    kind: Loop,
    logic: &mut impl Logic,
    made: Vec<std::net::TcpStream>,
    listener: Option<std::net::TcpListener>,
) -> std::io::Result<()> {
    match kind {
        Loop::Mio => mio_loop::run(logic, made, listener),
        Loop::Tokio => tokio_loop::run(logic, made, listener),
    }
}
