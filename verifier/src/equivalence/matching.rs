//! Searches a system for a run that shows a given history.
//!
//! States whose history can no longer become the wanted one are not followed: a wrong answer, or an operation taken
//! before one has ended that it must come after. First some random walks, then depth first with memory.

use super::sample::{runs_out, settled};
use super::shown::Shown;
use crate::explore::canon::plain;
use crate::random::Dice;
use crate::world::{Move, State, World};
use anabranch_core::value::Value;
use rustc_hash::{FxHashMap, FxHashSet};

/// Random walks before everything is gone through.
const WALKS: u64 = 600;

/// What a search for a match came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Matched {
    /// There is one.
    Yes,
    /// There is none: everything was seen.
    Never,
    /// None was found within the budget.
    NotFound,
}

/// Whether the history can still become the goal. A crash may yet take an answer back.
fn compatible(here: &Shown, goal: &Shown, plainly: bool, complete: bool, crashes: bool) -> bool {
    here.0.iter().zip(&goal.0).all(|(here, goal)| {
        let told = match (&here.told, &goal.told) {
            (None, _) => true,
            (Some(_), None) => !complete || crashes,
            (Some(a), Some(b)) => !plainly || crashes || a == b,
        };
        let order = !here.taken || goal.taken && goal.after & !here.after == 0;
        told && order
    })
}

fn holds_id(value: &Value) -> bool {
    match value {
        Value::Tuple(items) => items.first() == Some(&Value::str("id")) || items.iter().any(holds_id),
        Value::List(items) | Value::Variant(_, _, items) => items.iter().any(holds_id),
        Value::Option(Some(item)) => holds_id(item),
        _ => false,
    }
}

/// Searches for a run that shows a history; also says how many states were looked at.
pub fn find(world: &mut World, goal: &Shown, complete: bool, seed: u64, budget: usize) -> (Matched, usize) {
    // Ids are numbered by what was told so far, so they can be compared only at the end.
    let told = goal.0.iter().filter_map(|s| s.told.as_ref());
    let plainly = !told.flat_map(|(_, values)| values).any(holds_id);
    let mut known: FxHashMap<(u32, bool), (bool, bool)> = FxHashMap::default();
    // Whether a history may still become the goal, and whether it is.
    let mut judge = |world: &World, state: &State| -> (bool, bool) {
        let crashes = state.crashes < world.scope.crashes;
        *known.entry((state.history, crashes)).or_insert_with(|| {
            let here = Shown::of(world, world.history(state.history));
            (compatible(&here, goal, plainly, complete, crashes), here.permits(goal, complete))
        })
    };
    let mut looked = 0;
    let mut moves: Vec<Move> = Vec::new();
    let done = |world: &mut World, state: &State| {
        !complete || runs_out(world, state, &mut Dice::part(seed, 99)) || settled(world, state, 2000)
    };
    for walk in 0..WALKS {
        let mut dice = Dice::part(seed, 100 + walk);
        // A run of hundreds of moves is sure to have its crash early unless crashes are rare.
        let faults = [0, 2, 10, 30][walk as usize % 4];
        let mut state = world.first();
        for _ in 0..400 {
            looked += 1;
            if judge(world, &state).1 && done(world, &state) {
                return (Matched::Yes, looked);
            }
            world.moves(&state, &mut moves);
            let mut next = None;
            while next.is_none() && !moves.is_empty() {
                let chosen = moves.swap_remove(dice.below(moves.len()));
                if chosen.is_fault() && !moves.is_empty() && !dice.percent(faults) {
                    continue;
                }
                let Some(moved) = world.make(&state, &chosen) else { continue };
                next = moved.state.ok().filter(|to| judge(world, to).0);
            }
            match next {
                Some(to) => state = to,
                None => break,
            }
        }
    }
    let mut seen: FxHashSet<u128> = FxHashSet::default();
    let mut words = Vec::new();
    let mut work = vec![world.first()];
    seen.insert(plain(&work[0], &mut words));
    while let Some(state) = work.pop() {
        looked += 1;
        if judge(world, &state).1 && done(world, &state) {
            return (Matched::Yes, looked);
        }
        if looked > budget {
            return (Matched::NotFound, looked);
        }
        world.moves(&state, &mut moves);
        for chosen in &moves {
            let Some(moved) = world.make(&state, chosen) else { continue };
            let Ok(to) = moved.state else { continue };
            if judge(world, &to).0 && seen.insert(plain(&to, &mut words)) {
                work.push(to);
            }
        }
    }
    (Matched::Never, looked)
}
