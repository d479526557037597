//! An abstract world: nodes as facts, not as bytes, for searches that go through every order of events.
//!
//! Over anything that is an [`Engine`], a run is a sequence of *moves* from a first
//! state: a node takes some of what is there for it, a node crashes, a client gives up. What may happen is what
//! `docs/language.md` permits, and no less, within a [`Scope`]:
//!
//! - **Network.** A set with repetitions of messages in flight; any of them may arrive next, also several in one tick
//!   ([`Scope::together`]). A message that is never delivered is merely slow. A crash puts everything in flight
//!   to and from the node *at risk*: it may still arrive, or not; only a run in which all that is not at
//!   risk has arrived counts as complete. So losses need no move of their own.
//! - **Macro-steps** are one move: deferred ticks follow at once, unless the node crashes between two of them.
//! - **Parts that share fate** crash together, behind a barrier: what one has sent another before is lost.
//! - **Crashes** restart the node at once: a node that is down is a slow one whose crash comes later.
//! - **Durability.** A tick's outputs leave with its end. That a crash may also take back ticks of which nothing has
//!   left is covered: it is the run in which the node crashed before them, and what they took was lost.
//! - **Timers.** Any subset of the rows that wait may fire, at any time: clocks stand still here. While anything else is
//!   under way this is bounded ([`Scope::timers`]); once nothing else can happen, rows fire freely.
//! - **Clients** ask one thing after the other. A request counts as asked when a node takes it and as answered when a
//!   node answers: other runs only differ in that requests were asked earlier and answers came later, and
//!   what they show follows from these ([`crate::equivalence`]). A client whose node crashed may give up (the outcome is
//!   unknown), or ask again under the same identity where the request is declared `resend`; so may one that waits while
//!   nothing is under way ([`Scope::repeats`]), as timers then fire.
//! - **Limits.** A program that counts its firings has no end of states. [`Scope::limits`] bounds how many rows of a timer
//!   fire in a run: a bound on what is searched, like the number of crashes.
//! - **Ids** are drawn from what a tick takes, not from how many came before, so that orders that come to the same
//!   state are seen to do so.
//!
//! Nodes' states are interned, and what a node does with an input in a state is computed once
//! ([`local`]): a search over millions of world states runs each engine some thousands of times.
//!
//! Streams are put into plain rules first, as when a program is compiled; `logged` messages outlive crashes.
//!
//! Omitted: time (`now_ms()` is a constant); duplicates and corruption, which the session
//! layer keeps away and the byte-level simulator tests.
//!
//! [`Engine`]: crate::engine::Engine

pub mod flow;
pub mod history;
pub mod intern;
pub mod local;
pub mod moves;
pub mod state;
mod story;
pub mod system;
mod trace;

#[cfg(test)]
mod tests;

pub use history::{Given, History, Operation};
pub use moves::{Move, Moved};
pub use state::State;
pub use system::{Call, Scope, System};

use crate::property::{NodeState, Properties, Violation};
use anabranch_core::node::{NodeIndex, Seat};
use history::Histories;
use intern::{Facts, Interner};
use local::Locals;
use rustc_hash::FxHashMap;

/// A system with its clients, and everything that is remembered about it from state to state.
pub struct World {
    /// What runs.
    pub system: System,
    /// How far a search goes.
    pub scope: Scope,
    /// Nodes, by dense number.
    pub seats: Vec<Seat>,
    pub(crate) facts: Facts,
    pub(crate) messages: Interner<Message>,
    pub(crate) answers: Interner<Given>,
    pub(crate) locals: Locals,
    pub(crate) histories: Histories,
    /// Number of each client's first operation.
    pub(crate) offsets: Vec<usize>,
    /// What each client asks: the relation, the node, and the row.
    pub(crate) calls: Vec<Vec<(u32, u32)>>,
    /// Nodes that crash together, by node.
    pub(crate) fates: Vec<Vec<usize>>,
    /// Whether some run answered an operation that had been answered otherwise.
    pub contradicted: bool,
    checked: FxHashMap<Vec<u32>, Option<usize>>,
    violations: Vec<Violation>,
}

/// A message: sender and receiver by node number (clients come after the nodes), and the fact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Message {
    pub from: u32,
    pub to: u32,
    pub fact: u32,
}

impl World {
    /// A world in which nothing has happened. An error says what of the program or the calls does not fit.
    pub fn new(system: System, scope: Scope) -> Result<World, String> {
        if let Some(what) = system.unsupported() {
            return Err(format!("the explorer does not know {what} yet"));
        }
        let timer = |name: &String| {
            let mut all = system.protocol.relations.iter();
            all.any(|r| r.name == *name && matches!(r.kind, anabranch_dsl::ir::RelationKind::Timer(_)))
        };
        if let Some(name) = scope.limits.keys().find(|name| !timer(name)) {
            return Err(format!("there is no timer `{name}`"));
        }
        let layout = system.layout.clone();
        let seats: Vec<Seat> = (0..layout.nodes()).map_while(|i| layout.seat(NodeIndex(i))).collect();
        let mut facts = Facts::new(&system, &scope);
        let locals = Locals::new(&system, &seats);
        let mut calls = Vec::new();
        let mut offsets = Vec::new();
        let mut total = 0;
        for (client, script) in scope.clients.iter().enumerate() {
            offsets.push(total);
            total += script.len();
            let call = |(op, call): (usize, &Call)| system.call(client, op, call, &mut facts);
            calls.push(script.iter().enumerate().map(call).collect::<Result<Vec<_>, String>>()?);
        }
        if total > 64 {
            return Err("more than 64 requests are no small scope".into());
        }
        let fates = system.fates(&seats);
        let histories = Histories::new(total);
        Ok(World {
            system,
            scope,
            seats,
            facts,
            messages: Interner::default(),
            answers: Interner::default(),
            locals,
            histories,
            offsets,
            calls,
            fates,
            contradicted: false,
            checked: FxHashMap::default(),
            violations: Vec::new(),
        })
    }

    /// How often an engine ran a macro-step, and how many different states of nodes there are.
    pub fn effort(&self) -> (usize, usize) {
        (self.locals.runs, self.locals.len())
    }

    /// A client's peer number: clients come after the nodes.
    pub(crate) fn client(&self, client: usize) -> u32 {
        (self.seats.len() + client) as u32
    }

    /// The first `never` that a state violates. Looked at once for each combination of rows that properties
    /// read.
    pub fn violation(&mut self, state: &State, properties: &Properties) -> Option<Violation> {
        if properties.is_empty() {
            return None;
        }
        let (locals, facts) = (&mut self.locals, &self.facts);
        let key: Vec<u32> = state.locals.iter().map(|l| locals.view(*l, facts, properties)).collect();
        if let Some(known) = self.checked.get(&key) {
            return known.map(|i| self.violations[i].clone());
        }
        let rows: Vec<_> = state.locals.iter().map(|l| self.locals.resting(*l, &self.facts)).collect();
        let states: Vec<NodeState<'_>> =
            self.seats.iter().zip(&rows).map(|(seat, rows)| NodeState { seat: *seat, rows }).collect();
        let found = properties.check(&states).into_iter().next();
        let place = found.clone().map(|v| {
            self.violations.push(v);
            self.violations.len() - 1
        });
        self.checked.insert(key, place);
        found
    }

    /// Whether a property's body holds in a state, whatever its kind.
    pub fn holds(&self, state: &State, properties: &Properties, property: usize) -> bool {
        let rows: Vec<_> = state.locals.iter().map(|l| self.locals.resting(*l, &self.facts)).collect();
        let states: Vec<NodeState<'_>> =
            self.seats.iter().zip(&rows).map(|(seat, rows)| NodeState { seat: *seat, rows }).collect();
        properties.holds(property, &states).is_some()
    }
}
