//! The search itself.

use super::canon::{Canon, plain};
use super::{Bound, Found, Options, Order, Report, ends, keys, sleep};
use crate::property::Properties;
use crate::world::intern::mix;
use crate::world::{History, Move, State, World};
use anabranch_dsl::ir::PropertyKind;
use rustc_hash::FxHashMap;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Which states were met.
pub(super) enum Seen {
    Hashes(FxHashMap<u128, u32>),
    Whole(FxHashMap<Vec<u32>, u32>),
}

/// A search under way.
pub(super) struct Search<'w> {
    pub world: &'w mut World,
    pub options: Options,
    pub properties: Properties,
    seen: Seen,
    canon: Canon,
    words: Vec<u32>,
    /// By state: where it was reached from, and by which of the moves there.
    pub parents: Vec<(u32, u32)>,
    pub report: Report,
    /// `sometimes` that have not held yet.
    waiting: BTreeSet<usize>,
    /// `eventually`.
    pub liveness: Vec<usize>,
    /// By state: for each of `liveness`, whether it holds there, as bits.
    pub live: Vec<u64>,
    /// By state: what complete runs must do there sooner or later.
    pub edges: Vec<Vec<u32>>,
    pub histories: Vec<u32>,
    began: Instant,
}

/// Searches a world from its first state.
pub fn search(world: &mut World, options: &Options) -> Report {
    let properties =
        if options.without_properties { world.system.no_properties() } else { world.system.properties() };
    let of = |wanted: fn(PropertyKind) -> bool| {
        (0..properties.len()).filter(|i| wanted(properties.of(*i).1)).collect::<Vec<_>>()
    };
    let waiting = of(|k| k == PropertyKind::Sometimes).into_iter().collect();
    let liveness = of(|k| matches!(k, PropertyKind::Eventually { .. }));
    let mut options = options.clone();
    options.ends |= !liveness.is_empty();
    // Where runs end cannot be told from some of the orders.
    options.sleep &= !options.ends;
    if options.sleep {
        options.symmetry = false;
    }
    if options.ends {
        options.keys.clear();
    }
    let seen = if options.exact && !options.symmetry {
        Seen::Whole(FxHashMap::default())
    } else {
        Seen::Hashes(FxHashMap::default())
    };
    let mut search = Search {
        world,
        options,
        properties,
        seen,
        canon: Canon::default(),
        words: Vec::new(),
        parents: Vec::new(),
        report: Report::default(),
        waiting,
        liveness,
        live: Vec::new(),
        edges: Vec::new(),
        histories: Vec::new(),
        began: Instant::now(),
    };
    if search.options.sleep {
        sleep::run(&mut search);
    } else {
        search.run();
    }
    search.conclude()
}

impl Search<'_> {
    /// The number of a state, and whether it is new.
    pub fn note(&mut self, state: &State) -> (u32, bool) {
        let next = self.parents.len() as u32;
        let number = match &mut self.seen {
            Seen::Whole(seen) => {
                state.words(&mut self.words);
                match seen.get(&self.words) {
                    Some(number) => *number,
                    None => {
                        seen.insert(self.words.clone(), next);
                        next
                    }
                }
            }
            Seen::Hashes(seen) => {
                let hash = if self.options.symmetry {
                    self.canon.hash(self.world, state)
                } else {
                    plain(state, &mut self.words)
                };
                *seen.entry(hash).or_insert(next)
            }
        };
        (number, number == next)
    }

    /// A hash of what a state says, the same in every search.
    fn content(&self, state: &State) -> u128 {
        let world = &*self.world;
        let fact = |f: u32, tag: u64| {
            let fact = world.facts.get(f);
            mix(crate::draw::hash(&fact.row, u64::from(fact.rel.0)), tag)
        };
        let mut sum: (u64, u64) = (0, 0);
        let mut feed = |word: u64| sum = (mix(sum.0, word), mix(sum.1, !word));
        for local in &state.locals {
            let key = world.locals.key(*local);
            feed(key.rest());
            feed(key.rows.iter().fold(0, |all, row| all.wrapping_add(fact(*row, 1))));
            feed(key.waiting.iter().fold(0, |all, row| all.wrapping_add(fact(*row, 2))));
        }
        feed(state.net.iter().fold(0, |all, flight| {
            let m = world.messages.get(flight.message);
            let ends = u64::from(m.from) << 33 | u64::from(m.to) << 1 | u64::from(flight.risk);
            all.wrapping_add(fact(m.fact, ends))
        }));
        for client in &state.clients {
            feed(u64::from(client.op) << 1 | u64::from(client.doubt));
            feed(u64::from(client.repeats));
        }
        state.spent.iter().for_each(|n| feed(u64::from(*n)));
        feed(u64::from(state.crashes) << 32 | u64::from(state.firings));
        u128::from(sum.0) << 64 | u128::from(sum.1)
    }

    /// Enters a new state and looks at what properties say of it. False if the search is to end.
    pub fn enter(&mut self, state: &State, parent: (u32, u32), depth: usize) -> bool {
        self.parents.push(parent);
        self.report.states += 1;
        self.report.depth = self.report.depth.max(depth);
        let number = self.parents.len() as u32 - 1;
        if self.world.scope.histories {
            self.histories.push(state.history);
        }
        if self.options.ends {
            self.edges.push(Vec::new());
            let holds = |i: &usize| self.world.holds(state, &self.properties, self.liveness[*i]);
            let bits = (0..self.liveness.len()).filter(holds).fold(0, |bits, i| bits | 1 << i);
            self.live.push(bits);
        }
        let held: Vec<usize> =
            self.waiting.iter().copied().filter(|i| self.world.holds(state, &self.properties, *i)).collect();
        self.waiting.retain(|i| !held.contains(i));
        if let Some(violation) = self.world.violation(state, &self.properties) {
            let moves = self.way(number);
            self.report.violations.push(Found { name: violation.name, message: violation.message, moves });
            if !self.options.all {
                self.report.stopped = Some(Bound::Found);
                return false;
            }
        }
        let wanted = |goal: &History| !self.options.ends && self.world.history(state.history) == goal;
        if self.options.goal.as_ref().is_some_and(wanted) {
            self.report.way = Some(self.way(number));
            self.report.stopped = Some(Bound::Found);
            return false;
        }
        if self.report.states >= self.options.max_states {
            self.report.stopped = Some(Bound::States);
            return false;
        }
        if self.report.states.is_multiple_of(4096)
            && self.options.max_seconds.is_some_and(|s| self.began.elapsed().as_secs_f64() > s)
        {
            self.report.stopped = Some(Bound::Time);
            return false;
        }
        true
    }

    /// Notes a rule's fault. False if the search is to end.
    pub fn broken(&mut self, from: u32, chosen: &Move, message: String) -> bool {
        let known = self.report.violations.iter().any(|f| f.message == message);
        if !known {
            let mut moves = self.way(from);
            moves.push(chosen.clone());
            self.report.violations.push(Found { name: "broken".into(), message, moves });
        }
        if !self.options.all {
            self.report.stopped = Some(Bound::Found);
        }
        self.options.all
    }

    /// Counts a move.
    pub fn count(&mut self, chosen: &Move) {
        self.report.transitions += 1;
        let [ticks, timers, crashes, clients] = &mut self.report.kinds;
        match chosen {
            Move::Tick { fired, crash, .. } => {
                *ticks += 1;
                *timers += usize::from(!fired.is_empty());
                *crashes += usize::from(crash.is_some());
            }
            Move::Crash { .. } => *crashes += 1,
            Move::GiveUp { .. } | Move::AskAgain { .. } => *clients += 1,
        }
    }

    fn run(&mut self) {
        let first = self.world.first();
        self.note(&first);
        if !self.enter(&first, (0, 0), 0) {
            return;
        }
        let mut work = VecDeque::from([(0u32, first, 0usize)]);
        let mut moves = Vec::new();
        loop {
            let next = match self.options.order {
                Order::Breadth => work.pop_front(),
                Order::Depth => work.pop_back(),
            };
            let Some((number, state, depth)) = next else { return };
            self.world.moves(&state, &mut moves);
            if depth >= self.options.max_depth {
                if !moves.is_empty() {
                    self.report.stopped = Some(Bound::Depth);
                }
                continue;
            }
            if moves.is_empty() {
                let hash = self.content(&state);
                self.report.last.insert(hash);
            }
            let chosen = match self.options.keys.is_empty() {
                true => None,
                false => keys::chosen(self.world, &state, &self.options.keys, &moves),
            };
            let mut todo: Vec<usize> = (0..moves.len()).collect();
            if let Some(chosen) = &chosen {
                todo.sort_by_key(|i| !chosen[*i]);
            }
            // Whether something that was followed leads to what is still to be followed up.
            let mut onwards = false;
            for i in todo {
                if onwards && chosen.as_ref().is_some_and(|chosen| !chosen[i]) {
                    self.report.divided += 1;
                    break;
                }
                let chosen = &moves[i];
                let moved = self.world.make(&state, chosen).expect("a move that was offered");
                self.count(chosen);
                match moved.state {
                    Err(message) => {
                        if !self.broken(number, chosen, message) {
                            return;
                        }
                    }
                    Ok(next) => {
                        let (to, new) = self.note(&next);
                        // Breadth first, states are followed up in the order of their numbers.
                        onwards |= new || self.options.order == Order::Breadth && to > number;
                        if new && !self.enter(&next, (number, i as u32), depth + 1) {
                            return;
                        }
                        if self.options.ends && moved.must {
                            self.edges[number as usize].push(to);
                        }
                        if new {
                            work.push_back((to, next, depth + 1));
                        }
                    }
                }
            }
        }
    }

    /// The moves from the first state to one that was met.
    pub fn way(&mut self, number: u32) -> Vec<Move> {
        let mut places = Vec::new();
        let mut at = number;
        while at != 0 {
            let (parent, place) = self.parents[at as usize];
            places.push(place);
            at = parent;
        }
        let mut state = self.world.first();
        let (mut way, mut moves) = (Vec::new(), Vec::new());
        for place in places.iter().rev() {
            self.world.moves(&state, &mut moves);
            let chosen = moves[*place as usize].clone();
            let moved = self.world.make(&state, &chosen).expect("it was made before");
            state = moved.state.expect("it led to a state");
            way.push(chosen);
        }
        way
    }

    fn conclude(mut self) -> Report {
        if self.report.stopped.is_none() {
            let name = |i: &usize| self.properties.of(*i).0.to_string();
            self.report.never_held = self.waiting.iter().map(name).collect();
            if self.options.ends {
                ends::conclude(&mut self);
            }
        }
        let histories: BTreeSet<u32> = self.histories.iter().copied().collect();
        self.report.histories = histories.into_iter().map(|h| self.world.history(h).clone()).collect();
        self.report.effort = self.world.effort();
        self.report
    }
}
