//! The search for an order.

use super::Planted;
use crate::check::Model;
use crate::history::{Operation, Outcome};
use std::collections::HashSet;

/// How a search ended.
pub(super) enum Found<S> {
    /// There is an order.
    Order,
    /// There is none.
    Nothing(Stuck<S>),
    /// Neither was found out.
    OutOfBudget,
}

/// Where every order ends.
pub(super) struct Stuck<S> {
    /// The event (an answer) that no order got past. All answers before it can be explained.
    pub event: usize,
    /// States in which orders got stuck there, each with one order that leads to it (positions of operations).
    pub states: Vec<(S, Vec<usize>)>,
}

/// An event in the list: begin or end of an operation.
#[derive(Clone, Copy)]
struct Entry {
    op: usize,
    end: bool,
    next: usize,
    prev: usize,
}

/// The list of events that are not yet placed; 0 is its head.
struct Events {
    entries: Vec<Entry>,
    /// By operation: its begin, and its end if it has one.
    of: Vec<(usize, Option<usize>)>,
}

impl Events {
    fn new(ops: &[Operation], planted: Option<Planted>) -> Events {
        let mut events: Vec<(usize, usize, bool)> = Vec::new();
        for (i, op) in ops.iter().enumerate() {
            events.push((op.invoked, i, false));
            if let Some(at) = op.returned() {
                let at = if planted == Some(Planted::NoRealTime) { at + usize::MAX / 2 } else { at };
                events.push((at, i, true));
            }
        }
        events.sort_unstable();
        let mut of = vec![(0, None); ops.len()];
        let count = events.len();
        let mut entries = vec![Entry { op: usize::MAX, end: false, next: count.min(1), prev: 0 }];
        for (n, (_, op, end)) in events.into_iter().enumerate() {
            let next = if n + 1 == count { 0 } else { n + 2 };
            entries.push(Entry { op, end, next, prev: n });
            if end {
                of[op].1 = Some(n + 1);
            } else {
                of[op].0 = n + 1;
            }
        }
        Events { entries, of }
    }
    fn unlink(&mut self, at: usize) {
        let Entry { next, prev, .. } = self.entries[at];
        self.entries[prev].next = next;
        if next != 0 {
            self.entries[next].prev = prev;
        }
    }
    fn relink(&mut self, at: usize) {
        let Entry { next, prev, .. } = self.entries[at];
        self.entries[prev].next = at;
        if next != 0 {
            self.entries[next].prev = at;
        }
    }
    fn lift(&mut self, op: usize) {
        let (begin, end) = self.of[op];
        self.unlink(begin);
        end.into_iter().for_each(|e| self.unlink(e));
    }
    fn put_back(&mut self, op: usize) {
        let (begin, end) = self.of[op];
        end.into_iter().for_each(|e| self.relink(e));
        self.relink(begin);
    }
}

/// A set of operations.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Set(Box<[u64]>);

impl Set {
    fn flip(&mut self, i: usize) {
        self.0[i / 64] ^= 1 << (i % 64);
    }
    fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }
}

/// Looks for an order of all operations that are known to have happened and any of the others.
pub(super) fn search<M: Model>(
    model: &M,
    ops: &[Operation],
    steps: &mut u64,
    planted: Option<Planted>,
) -> Found<M::State> {
    let mut events = Events::new(ops, planted);
    let mut missing = ops.iter().filter(|op| op.outcome.is_ok()).count();
    // By operation of unknown outcome: the one before it with equal arguments.
    let twins: Vec<Option<usize>> = (0..ops.len())
        .map(|i| {
            let same = |j: &usize| {
                let (a, b) = (&ops[i], &ops[*j]);
                !a.outcome.is_ok() && !b.outcome.is_ok() && a.f == b.f && a.args == b.args
            };
            (0..i).rev().find(same)
        })
        .collect();
    let mut placed = Set(vec![0; ops.len().div_ceil(64)].into());
    let mut state = model.initial();
    let mut seen: HashSet<(Set, Option<M::State>)> = HashSet::new();
    let mut stack: Vec<(usize, M::State)> = Vec::new();
    let mut stuck: Stuck<M::State> = Stuck { event: 0, states: Vec::new() };
    let mut at = events.entries[0].next;
    while missing > 0 {
        let Entry { op, end, next, .. } = events.entries[at];
        if !end && at != 0 {
            let operation = &ops[op];
            let unknown = !operation.outcome.is_ok();
            let wait = unknown && twins[op].is_some_and(|twin| !placed.has(twin));
            let after = if wait { None } else { model.apply(&state, &operation.f, &operation.args) };
            let fits = after.filter(|(after, reply)| match &operation.outcome {
                Outcome::Ok(told) => told == reply,
                _ => *after != state,
            });
            if let Some((after, _)) = fits {
                placed.flip(op);
                let memory = (planted != Some(Planted::MemoryWithoutState)).then(|| after.clone());
                if seen.insert((placed.clone(), memory)) {
                    if *steps == 0 {
                        return Found::OutOfBudget;
                    }
                    *steps -= 1;
                    stack.push((op, std::mem::replace(&mut state, after)));
                    events.lift(op);
                    missing -= usize::from(!unknown);
                    at = events.entries[0].next;
                    continue;
                }
                placed.flip(op);
            }
            at = next;
            continue;
        }
        // An answer whose operation is not placed (or, with nothing but unknown ones left, the end): back.
        if at != 0 {
            let event = ops[op].completed.unwrap_or(0);
            if event > stuck.event {
                stuck = Stuck { event, states: Vec::new() };
            }
            let new = |s: &(M::State, Vec<usize>)| s.0 != state;
            if event == stuck.event && stuck.states.len() < 8 && stuck.states.iter().all(new) {
                stuck.states.push((state.clone(), stack.iter().map(|(op, _)| *op).collect()));
            }
        }
        let Some((op, before)) = stack.pop() else { return Found::Nothing(stuck) };
        events.put_back(op);
        placed.flip(op);
        missing += usize::from(ops[op].outcome.is_ok());
        state = before;
        at = events.entries[events.of[op].0].next;
    }
    Found::Order
}
