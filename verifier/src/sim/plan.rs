//! What a run is: everything that decides it, as data.
//!
//! A [`Plan`] holds what was drawn as a whole (requests, faults) and the seed from which the rest follows: delays,
//! tick boundaries, which due timers fire. Each of those is drawn by a generator of its own place (a node's
//! incarnation, a direction of a connection), so that leaving out a request or a fault changes little elsewhere.
//! That is what shrinking lives on.

use super::faults::{Fault, Faults};
use super::workload::Workload;
use crate::random::Dice;
use anabranch_core::node::{Layout, Protocol};
use anabranch_core::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How large and how long runs are.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Clients, each with one request open at a time.
    pub clients: u32,
    /// Requests of all clients together.
    pub requests: u32,
    /// Faults happen, and requests are spread, within so much virtual time.
    pub span_us: u64,
    /// After that, clients may take so long to end, and `eventually` is waited for.
    pub settle_us: u64,
    /// A client gives up after so long without an answer.
    pub patience_us: u64,
    /// The kinds of faults.
    pub faults: Faults,
    /// Deliberate faults of the runtime: for tests of the verifier itself.
    pub runtime: Runtime,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            clients: 8,
            requests: 60,
            span_us: 1_500_000,
            settle_us: 60_000_000,
            patience_us: 10_000_000,
            faults: Faults::all(),
            runtime: Runtime::default(),
        }
    }
}

/// Deliberate faults of the runtime. With one of them the contract of section *Durability* or *Network* is broken,
/// and a verifier that does not notice is worth nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Runtime {
    /// Messages and replies leave before their log record is stable.
    pub releases_early: bool,
    /// Some frames are taken twice.
    pub takes_twice: bool,
    /// A restarted node lacks the last stable record.
    pub loses_a_record: bool,
}

/// What varies in a run without being a fault. Switched off one by one to make counterexamples plain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Vary {
    /// Delays of network and disk; else each takes always the same time.
    pub delays: bool,
    /// How much of what has arrived a tick takes; else all.
    pub batches: bool,
    /// Which due timers fire; else all.
    pub timers: bool,
    /// Which events `forget` rules see; else all.
    #[serde(default)]
    pub forgets: bool,
    /// How far apart places are: some ways take a hundred times as long as others, from the beginning to the end.
    #[serde(default)]
    pub uneven: bool,
}

impl Vary {
    /// Everything varies.
    pub const ALL: Vary = Vary { delays: true, batches: true, timers: true, forgets: true, uneven: true };
}

/// When faults are over.
pub(super) fn calm_us(faults: &[Fault]) -> u64 {
    faults.iter().map(Fault::ends_us).max().unwrap_or(0)
}

/// In how much less time than [`Shape::span_us`] the run of a seed asks its requests and has its faults.
///
/// What a mistake needs often happens within the few milliseconds that one round of a protocol takes. Faults that are
/// spread over seconds hardly ever strike two at a time there; those that are spread over milliseconds do, but never
/// while timers fire. So there are both.
fn haste(seed: u64) -> u64 {
    [1, 1, 8, 64][Dice::part(seed, 4).below(4)]
}

/// A request of a client's script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// The request's tag.
    pub tag: u16,
    /// Its arguments, encoded.
    pub args: Vec<u8>,
    /// How long the client thinks before.
    pub think_us: u64,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whatever is not written below follows from it.
    pub seed: u64,
    /// How many nodes.
    pub layout: Arc<Layout>,
    /// Parameters that differ from their defaults.
    pub params: BTreeMap<String, Value>,
    /// By client, what it asks for one after the other.
    pub clients: Vec<Vec<Ask>>,
    /// What goes wrong, in order of time.
    pub faults: Vec<Fault>,
    /// No fault lasts beyond this time.
    pub calm_us: u64,
    /// The run ends at the latest so long after that.
    pub settle_us: u64,
    /// Clients' patience.
    pub patience_us: u64,
    /// What varies.
    pub vary: Vary,
    /// Deliberate faults of the runtime.
    pub runtime: Runtime,
}

impl Plan {
    /// Draws the run of a seed.
    pub fn draw(
        protocol: &dyn Protocol,
        layout: Arc<Layout>,
        params: BTreeMap<String, Value>,
        shape: &Shape,
        workload: &Workload,
        seed: u64,
    ) -> Plan {
        let count = shape.clients.max(1);
        let each = u64::from(shape.requests / count).max(1);
        let mut dice = Dice::part(seed, 1);
        let span_us = shape.span_us / haste(seed);
        // Some runs hurry, some dawdle.
        let think = span_us / each * [1, 2, 4][dice.below(3)] / 2;
        let mut clients = vec![Vec::new(); count as usize];
        for number in 0..shape.requests {
            let mut dice = Dice::part(seed, 1000 + u64::from(number));
            let think_us = dice.word() % (2 * think).max(1);
            let (tag, args) = workload.draw(protocol, &mut dice, number);
            clients[(number % count) as usize].push(Ask { tag, args, think_us });
        }
        let faults = shape.faults.draw(&mut Dice::part(seed, 2), layout.nodes(), count, span_us);
        let calm_us = calm_us(&faults);
        Plan {
            seed,
            layout,
            params,
            clients,
            faults,
            calm_us,
            settle_us: shape.settle_us,
            patience_us: shape.patience_us,
            // In half of the runs all is forgotten that may be, as nodes outside of this world do.
            vary: Vary {
                forgets: Dice::part(seed, 3).percent(50),
                uneven: Dice::part(seed, 6).percent(40),
                ..Vary::ALL
            },
            runtime: shape.runtime,
        }
    }

    /// The same run with more faults, for the `more`th time.
    pub fn more_faults(&mut self, shape: &Shape, more: u64) {
        let (nodes, clients) = (self.layout.nodes(), self.clients.len() as u32);
        let mut dice = Dice::part(self.seed, 5 << 32 | more);
        self.faults.extend(shape.faults.draw(&mut dice, nodes, clients, shape.span_us / haste(self.seed)));
        self.faults.sort_by_key(|fault| fault.at_us);
        self.calm();
    }

    /// Faults have changed: when they are over.
    pub(super) fn calm(&mut self) {
        self.calm_us = calm_us(&self.faults);
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.clients.iter().map(Vec::len).sum()
    }
}
