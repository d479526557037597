//! Sleep sets: of two orders of independent moves one is followed.
//!
//! Depth first. A state is entered with a set of moves that *sleep*: whatever they lead to from here is met elsewhere,
//! since they were followed before, from a state from which only independent moves led here. A state that is met again
//! with fewer sleepers follows those that slept before and do not now.

use super::Bound;
use super::keys::{self, Keys};
use super::search::Search;
use crate::world::{Move, State, World};
use std::rc::Rc;

struct Frame {
    number: u32,
    state: State,
    depth: usize,
    moves: Vec<Move>,
    /// Which of the moves are still to be followed, in order.
    todo: Vec<u32>,
    next: usize,
    /// Moves that sleep here, and those that were followed.
    asleep: Vec<Rc<Move>>,
}

pub(super) fn run(search: &mut Search<'_>) {
    let first = search.world.first();
    search.note(&first);
    if !search.enter(&first, (0, 0), 0) {
        return;
    }
    // By state: the moves that no visit followed.
    let mut slept: Vec<Vec<Rc<Move>>> = vec![Vec::new()];
    let mut stack = vec![frame(search, 0, first, 0, Vec::new(), None)];
    while let Some(top) = stack.last_mut() {
        let Some(place) = top.todo.get(top.next).copied() else {
            stack.pop();
            continue;
        };
        top.next += 1;
        let (number, depth) = (top.number, top.depth);
        let chosen = Rc::new(top.moves[place as usize].clone());
        let state = top.state.clone();
        let asleep: Vec<Rc<Move>> = top
            .asleep
            .iter()
            .filter(|other| independent(search.world, &state, &search.options.keys, other, &chosen))
            .cloned()
            .collect();
        top.asleep.push(chosen.clone());
        let moved = search.world.make(&state, &chosen).expect("a move that was offered");
        search.count(&chosen);
        let next = match moved.state {
            Err(message) => {
                if !search.broken(number, &chosen, message) {
                    return;
                }
                continue;
            }
            Ok(next) => next,
        };
        let (to, new) = search.note(&next);
        if new && !search.enter(&next, (number, place), depth + 1) {
            return;
        }
        if search.options.ends && moved.must {
            search.edges[number as usize].push(to);
        }
        if new {
            slept.push(asleep.clone());
            stack.push(frame(search, to, next, depth + 1, asleep, None));
        } else {
            let known = &mut slept[to as usize];
            let woken: Vec<Rc<Move>> = known.iter().filter(|m| !asleep.contains(m)).cloned().collect();
            if !woken.is_empty() {
                known.retain(|m| asleep.contains(m));
                stack.push(frame(search, to, next, depth + 1, asleep, Some(woken)));
            }
        }
    }
}

/// A state to be followed up: all of its moves but those that sleep, or only those that have woken.
fn frame(
    search: &mut Search<'_>,
    number: u32,
    state: State,
    depth: usize,
    asleep: Vec<Rc<Move>>,
    woken: Option<Vec<Rc<Move>>>,
) -> Frame {
    let mut moves = Vec::new();
    search.world.moves(&state, &mut moves);
    let follow = |m: &Move| match &woken {
        None => !asleep.iter().any(|a| **a == *m),
        Some(woken) => woken.iter().any(|w| **w == *m),
    };
    let mut todo: Vec<u32> = (0..moves.len() as u32).filter(|i| follow(&moves[*i as usize])).collect();
    if depth >= search.options.max_depth && !todo.is_empty() {
        search.report.stopped = Some(Bound::Depth);
        todo.clear();
    }
    // Moves that were followed on an earlier visit sleep for what is followed now.
    let mut sleepers = asleep.clone();
    if woken.is_some() {
        let others = moves.iter().filter(|m| !follow(m) && !asleep.iter().any(|a| **a == **m));
        sleepers.extend(others.map(|m| Rc::new(m.clone())));
    }
    let asleep = sleepers;
    Frame { number, state, depth, moves, todo, next: 0, asleep }
}

/// Whether two moves of one state lead to the same state in either order, and neither prevents the other.
fn independent(world: &mut World, state: &State, keys: &Keys, a: &Move, b: &Move) -> bool {
    let (
        Move::Tick { node: m, flights: f, fired: x, choice: c, crash: None },
        Move::Tick { node: n, flights: g, fired: y, choice: d, crash: None },
    ) = (a, b)
    else {
        return false;
    };
    // What concerns different keys does not meet at a node either.
    let apart = || {
        let (one, other) = (keys::key(world, keys, a), keys::key(world, keys, b));
        one.is_some() && other.is_some() && one != other
    };
    if m == n && !apart() {
        return false;
    }
    // When timers may fire depends on all that is under way.
    if !x.is_empty() || !y.is_empty() || f.is_empty() || g.is_empty() {
        return false;
    }
    if world.scope.histories {
        // Which answers came before a request was taken is part of the state.
        let (asks, tells) = world.shows(state, *m, f, *c);
        let (asked, told) = world.shows(state, *n, g, *d);
        if asks && told || tells && asked {
            return false;
        }
    }
    // Two answers to one client: the first counts.
    let (_, tells) = world.shows(state, *m, f, *c);
    let (_, told) = world.shows(state, *n, g, *d);
    !(tells && told)
}
