//! Makes a counterexample small: fewer moves, by delta debugging (Zeller and Hildebrandt, *Simplifying and Isolating
//! Failure-Inducing Input*, IEEE TSE 28(2), 2002).
//!
//! A way with moves left out is replayed as far as its moves are possible; what then shows must still be a
//! history that the base never has.

use super::matching::{Matched, find};
use super::sample::settled;
use super::shown::Shown;
use crate::world::{Move, State, World};

/// Replays what is possible of some moves.
pub fn replay(world: &mut World, moves: &[Move]) -> (Vec<Move>, State) {
    let mut state = world.first();
    let mut made = Vec::new();
    for chosen in moves {
        let Some(moved) = world.make(&state, chosen) else { continue };
        if let Ok(next) = moved.state {
            state = next;
            made.push(chosen.clone());
        }
    }
    (made, state)
}

/// What a way shows that the base does not have, if anything: the history, and whether the run is complete.
fn refuted(base: &mut World, derived: &mut World, state: &State, budget: usize) -> Option<(Shown, bool)> {
    let shown = Shown::of(derived, derived.history(state.history));
    if find(base, &shown, false, 1, budget).0 == Matched::Never {
        return Some((shown, false));
    }
    (settled(derived, state, 500) && find(base, &shown, true, 1, budget).0 == Matched::Never)
        .then_some((shown, true))
}

/// A way as short as leaving out moves makes it, with its history and whether that is of a complete run. At most
/// `attempts` replays.
pub fn shrink(
    base: &mut World,
    derived: &mut World,
    moves: Vec<Move>,
    budget: usize,
    mut attempts: usize,
) -> Option<(Vec<Move>, Shown, bool)> {
    let (moves, state) = replay(derived, &moves);
    let (shown, complete) = refuted(base, derived, &state, budget)?;
    let mut best = (moves, shown, complete);
    let mut chunk = best.0.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        let mut smaller = false;
        while from < best.0.len() && attempts > 0 {
            attempts -= 1;
            let to = (from + chunk).min(best.0.len());
            let fewer: Vec<Move> = best.0[..from].iter().chain(&best.0[to..]).cloned().collect();
            let (made, state) = replay(derived, &fewer);
            match refuted(base, derived, &state, budget) {
                Some((shown, complete)) if made.len() < best.0.len() => {
                    best = (made, shown, complete);
                    smaller = true;
                }
                _ => from = to,
            }
        }
        if !smaller || attempts == 0 {
            chunk /= 2;
        }
        if attempts == 0 {
            break;
        }
    }
    Some(best)
}
