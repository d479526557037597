//! Beyond small scopes: random runs of the derived system, each to be matched by the base.

use super::matching::{Matched, find};
use super::shown::Shown;
use super::shrink::shrink;
use super::{Budget, Compared, Difference, Pair, Verdict};
use crate::explore::search::search;
use crate::explore::{Options, Order};
use crate::random::Dice;
use crate::world::{History, Move, State, World};
use std::collections::BTreeSet;

/// How random runs go.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// The first seed; run i has the seed `seed + i`.
    pub seed: u64,
    /// How many.
    pub count: usize,
    /// Moves of a run before nothing but what must be done is done.
    pub moves: usize,
    /// Of a hundred moves, about how many crash a node while crashes are left.
    pub crashes: usize,
}

impl Default for Runs {
    fn default() -> Runs {
        Runs { seed: 1, count: 100, moves: 60, crashes: 5 }
    }
}

/// A random run: some moves of any kind, then what must be done until nothing new comes of it. Returns the
/// moves, the last state, and whether the run is complete.
pub fn random_run(world: &mut World, runs: Runs, seed: u64) -> (Vec<Move>, State, bool) {
    let mut dice = Dice::new(seed);
    let mut state = world.first();
    let (mut way, mut moves) = (Vec::new(), Vec::new());
    let mut idle = 0;
    for step in 0.. {
        let free = step < runs.moves;
        world.moves(&state, &mut moves);
        let faulty = free && dice.percent(runs.crashes);
        let mut some: Vec<&Move> = moves.iter().filter(|m| m.is_fault() == faulty).collect();
        if some.is_empty() {
            some = moves.iter().filter(|m| !m.is_fault()).collect();
        }
        let mut next = None;
        while !some.is_empty() {
            let chosen = some.swap_remove(dice.below(some.len()));
            let Some(moved) = world.make(&state, chosen) else { continue };
            if let (Ok(to), true) = (moved.state, free || moved.must) {
                next = Some((chosen.clone(), to));
                break;
            }
        }
        let Some((chosen, to)) = next else { return (way, state, true) };
        // Timers may go on for ever: enough is when a long stretch shows nothing new.
        if !free {
            idle = if to.history == state.history { idle + 1 } else { 0 };
            if idle > 200 {
                return (way, state, false);
            }
        }
        way.push(chosen);
        state = to;
    }
    unreachable!("runs end")
}

/// Takes random runs of the derived system and searches the base for a match of each.
pub fn sampled(pair: &Pair, runs: Runs, budget: Budget) -> Result<Compared, String> {
    let (mut base, mut derived) = (pair.world(false)?, pair.world(true)?);
    let mut compared =
        Compared { verdict: Verdict::Matched, states: (0, 0), histories: (0, 0), contradicts: false };
    let mut known: BTreeSet<(bool, Shown)> = BTreeSet::new();
    for seed in (0..runs.count as u64).map(|i| runs.seed.wrapping_add(i)) {
        let (moves, state, ended) = random_run(&mut derived, runs, seed);
        compared.states.1 += moves.len();
        let shown = Shown::of(&derived, derived.history(state.history));
        let complete = ended || settled(&mut derived, &state, 2000);
        if !known.insert((complete, shown.clone())) {
            continue;
        }
        compared.histories.0 += 1;
        compared.histories.1 += usize::from(complete);
        let (matched, states) = find(&mut base, &shown, complete, seed, budget.base);
        compared.states.0 += states;
        match matched {
            Matched::Yes => {}
            Matched::Never => {
                let small = shrink(&mut base, &mut derived, moves.clone(), budget.base, 400);
                let (moves, shown, complete) = small.unwrap_or((moves, shown, complete));
                compared.verdict = Verdict::Counterexample(Box::new(Difference {
                    complete,
                    history: shown.tell(&derived),
                    story: derived.story(&moves),
                    moves,
                }));
                return Ok(compared);
            }
            Matched::NotFound => {
                let kind = if complete { "complete history" } else { "history" };
                let why = format!(
                    "run {seed} has no match among {states} states of the base; its {kind}:\n{}",
                    shown.tell(&derived)
                );
                compared.verdict = Verdict::NotMatched { why };
            }
        }
    }
    compared.contradicts = base.contradicted;
    Ok(compared)
}

/// Whether a run that goes on by what must happen comes to an end, with the history as it is: then it is complete.
pub fn runs_out(world: &mut World, state: &State, dice: &mut Dice) -> bool {
    let (mut at, mut moves) = (state.clone(), Vec::new());
    for _ in 0..1000 {
        world.moves(&at, &mut moves);
        moves.retain(|m| !m.is_fault());
        let mut next = None;
        while !moves.is_empty() && next.is_none() {
            let chosen = moves.swap_remove(dice.below(moves.len()));
            let moved = world.make(&at, &chosen).filter(|moved| moved.must);
            next = moved.and_then(|moved| moved.state.ok());
        }
        match next {
            None => return true,
            Some(to) if to.history != state.history => return false,
            Some(to) => at = to,
        }
    }
    false
}

/// Whether all that must still happen in a state leaves its history as it is; at most `most` states are looked at.
pub fn settled(world: &mut World, state: &State, most: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut words = Vec::new();
    let mut work = vec![state.clone()];
    let mut moves = Vec::new();
    while let Some(at) = work.pop() {
        at.words(&mut words);
        if !seen.insert(words.clone()) {
            continue;
        }
        if seen.len() > most {
            return false;
        }
        world.moves(&at, &mut moves);
        for chosen in &moves {
            if chosen.is_fault() {
                continue;
            }
            let Some(moved) = world.make(&at, chosen) else { continue };
            match moved.state {
                Ok(to) if moved.must => {
                    if to.history != state.history {
                        return false;
                    }
                    work.push(to);
                }
                _ => {}
            }
        }
    }
    true
}

/// The moves to a state with a history: a shortest way, or for a complete run the way to where it ends.
pub fn way_to(world: &mut World, history: &History, complete: bool, max_states: usize) -> Vec<Move> {
    let options = Options {
        order: Order::Breadth,
        ends: complete,
        all: true,
        max_states,
        goal: Some(history.clone()),
        without_properties: true,
        ..Options::default()
    };
    search(world, &options).way.unwrap_or_default()
}
