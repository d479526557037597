//! Keys: of deliveries that concern different keys, one order is followed.
//!
//! A rewriter can show of some protocols that they are as many protocols as there are keys, which share nothing but their
//! nodes ([`Keys`] is what it hands over: the column of each message and request whose routing value is the key). Two
//! uses:
//!
//! - **Sleep sets**: two deliveries to one node are independent if their keys differ.
//! - **One key at a time**: in a state that [`World::divided`] admits, only the moves of one key are followed, since none
//!   of another key, now or later, comes to or takes anything from them (a *persistent set*: Godefroid, *Partial-Order
//!   Methods for the Verification of Concurrent Systems*, 1996). This spares states.
//!
//! Why no violation is lost. Take a run from such a state to a state that violates a property. A property asks about
//! one key. If the run contains a move of the chosen key, the first such move can be made first, and the rest after it comes
//! to the same state. If it contains none, make any move of the chosen key first: the rest of the run remains possible, and
//! what it ends in looks the same to the violated key. In the first case the rest is shorter. In the second it is not,
//! and a run that went round in a circle would put it off for ever; hence one of the moves that are followed must lead to
//! a state that is still to be followed up, or all are followed (Bošnački, Leue, Lluch Lafuente, *Partial-order
//! reduction for general state exploring algorithms*, STTT 11(1), 2009). States without a move are all met: a run that
//! ends contains a move of the chosen key, as a message that nothing puts at risk arrives.
//!
//! Answers need not keep the key. A client takes the first, whoever gives it, and goes on to a request whose key was not
//! chosen; without histories the order of two answers leaves no trace.
//!
//! What couples keys is left alone: clients that may ask again; while a crash is still to come, which takes all keys of a node; while timer rows may fire at any
//! time, which share a bound; when nothing is under way but what may be lost, since then all timers may fire; several
//! inputs in one tick; histories and ends of runs.

use crate::world::{Move, State, World};
use anabranch_dsl::ir::{Protocol, RelId};
use std::collections::{BTreeMap, BTreeSet};

/// By message or request, the column whose routing value is the key; empty if nothing is known.
pub type Keys = BTreeMap<RelId, usize>;

/// Finds the keys of a protocol, if it has some: what a rewriter knows.
pub type Finder = fn(&Protocol) -> Keys;

/// The key of a fact.
fn route(world: &World, keys: &Keys, fact: u32) -> Option<u64> {
    let fact = world.facts.get(fact);
    keys.get(&fact.rel).and_then(|column| fact.row.get(*column)).map(|value| u64::from(value.route()))
}

/// The key that a move concerns, if it is a delivery.
pub(super) fn key(world: &World, keys: &Keys, chosen: &Move) -> Option<u64> {
    match chosen {
        Move::Tick { flights, fired, crash: None, .. } if fired.is_empty() && flights.len() == 1 => {
            route(world, keys, world.messages.get(flights[0].message).fact)
        }
        _ => None,
    }
}

/// Which of a state's moves are to be followed first: those of one key. `None`: all of them.
pub(super) fn chosen(world: &mut World, state: &State, keys: &Keys, moves: &[Move]) -> Option<Vec<bool>> {
    if !world.divided(state) {
        return None;
    }
    let of: Option<Vec<u64>> = moves.iter().map(|m| key(world, keys, m)).collect();
    let of = of?;
    // Something must be sure to arrive: till then nothing is quiet, and no timer fires.
    let sure: BTreeSet<u64> = state
        .net
        .iter()
        .filter(|flight| !flight.risk)
        .map(|flight| route(world, keys, world.messages.get(flight.message).fact))
        .collect::<Option<_>>()?;
    // What clients are still to ask may come from anywhere.
    let mut later = BTreeSet::new();
    for (client, asking) in state.clients.iter().enumerate() {
        for (_, fact) in world.calls[client].iter().skip(asking.op as usize + 1) {
            later.insert(route(world, keys, *fact)?);
        }
    }
    // The key with the fewest moves; of those with as many the first.
    let count = |key: u64| of.iter().filter(|k| **k == key).count();
    let best = sure.difference(&later).copied().min_by_key(|key| (count(*key), *key))?;
    (count(best) < moves.len()).then(|| of.iter().map(|key| *key == best).collect())
}

impl World {
    /// Whether nothing in a state couples keys: no crash and no timer row is to come before what is under way has
    /// arrived, no client may ask again, and no node has a first tick to run.
    pub(super) fn divided(&mut self, state: &State) -> bool {
        let scope = &self.scope;
        state.crashes >= scope.crashes
            && state.firings >= scope.timers
            && scope.together <= 1
            && !scope.histories
            && state.clients.iter().enumerate().all(|(c, a)| !a.doubt || a.op as usize >= self.calls[c].len())
            && (0..state.locals.len()).all(|node| !self.restless(state.locals[node]))
    }
}
