//! The simulator: compiled nodes in a simulated world, decided by one seed.
//!
//! [`Tester`] holds a protocol with its properties, [`Plan`] says all that decides a run, [`Tester::run`] runs it.
//! [`campaign`](mod@campaign) runs many; [`shrink`](mod@shrink) makes a failing plan small, [`file`](mod@file) keeps it, [`Tester::replay`] tells it.
//!
//! # What is real
//! The nodes (the code that runs over TCP), the streams, frames and handshakes between them
//! ([`anabranch_core::session`]), the log with its recovery ([`anabranch_core::log`]), and the disk's way of failing
//! ([`anabranch_core::disk::SimDisk`]): unsynced writes are kept, dropped, torn and reordered.
//!
//! # What is modelled
//! - The driver's loop: rounds, macro-steps, what a round takes, outputs held for the log, group commit, snapshots
//!   (`runtime/src/driver`), and how its rounds' records are laid out.
//! - The client (`runtime/src/client`): closed loop, think time, retries, redirects, giving up.
//! - Connections: whole writes travel in order after a delay; a break loses a tail of what is under way.
//! - Time. Clocks of nodes start together, jump forwards and run fast or slow; they never go back.
//!
//! # What is left out
//! Back-pressure and giving up on a node that falls behind (to the protocol that is a crash of it); signs of life
//! (a silent connection breaks only as a fault); full disks and rotting bits, which the log's own tests have.
//! `forget` rules see their events at once or never, not late. Nodes that share fate crash and restart together.
//!
//! # How runs differ
//! What is no fault varies as well ([`plan::Vary`]), some places are much farther apart than others, and requests and faults
//! are spread over seconds or over milliseconds ([`Plan::draw`]).
//!
//! Messages of one connection keep their order, as TCP has it, unless [`faults::Kind::Reorder`] takes it away, as the
//! language allows.

pub mod campaign;
mod check;
pub mod checks;

mod client;
pub mod faults;
pub mod file;
pub mod kv;

mod host;
mod net;
pub mod plan;
mod shadow;
mod shapes;
pub mod shrink;

mod tell;
mod tester;
pub mod workload;
mod world;

pub use check::{Check, RunEnd, history};
pub use client::{Call, End};
pub use faults::{Fault, FaultKind, Faults, Kind, Tally};
pub use plan::{Ask, Plan, Runtime, Shape, Vary};
pub use shapes::Shapes;
pub use tester::{CheckMaker, Tester};
pub use workload::Workload;

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// A hash of everything that happened: equal plans give equal ones.
    pub hash: u64,
    /// Events of the world.
    pub events: u64,
    /// Messages that nodes took, requests and replies included.
    pub messages: u64,
    /// Ticks of all nodes.
    pub ticks: u64,
    /// Durable events that applications were told.
    pub told: u64,
    /// Ticks that were compared with the interpreter.
    pub compared: u64,
    /// Faults that really happened.
    pub faults: Tally,
    /// Virtual time.
    pub span_us: u64,
    /// What clients asked and were told.
    pub calls: Vec<Call>,
    /// `sometimes` and `eventually` that held, by their place in the protocol's list.
    pub held: Vec<usize>,
    /// What went wrong.
    pub violation: Option<Violation>,
}

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property's name; for what every protocol owes: `broken`, `panic`, `answered`, `interpreter` …
    pub property: String,
    /// What is wrong, in words.
    pub text: String,
    /// When it was noticed.
    pub time_us: u64,
    /// The nodes whose state shows it.
    pub nodes: Vec<u32>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.property, self.text)
    }
}
