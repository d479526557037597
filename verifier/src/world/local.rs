//! States of single nodes, and what a node does with an input in a state: each computed once.
//!
//! Two states of a node are one if it will behave alike: the same rows rest, the same timer rows wait, machines
//! hold the same, the incarnation is the same, and ids that it will draw are as new. (At the end of a macro-step
//! nothing is scheduled, and what rests is what is carried over.)

use super::intern::{Facts, Interner, mix};
use super::{Given, Message, System, World, flow};
use crate::engine::{Answer, Engine, Facts as Rows, Input, Outcome};
use crate::property::Properties;
use anabranch_core::node::{Seat, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Ticks after which a macro-step is taken to have no end.
const ENDLESS: usize = 40;
/// What the clock shows.
const NOW_MS: u64 = 1000;

/// What tells a node's states apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub node: u32,
    incarnation: u32,
    /// Whether `start` is still to come.
    starting: bool,
    /// How often the node took inputs that draw ids, by a hash of the input.
    minted: Vec<(u64, u32)>,
    /// State relations.
    pub rows: Vec<u32>,
    /// Timer rows that wait.
    pub waiting: Vec<u32>,
    hidden: Vec<Value>,
}

impl Key {
    /// A hash of what names no atoms.
    pub fn rest(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = rustc_hash::FxHasher::default();
        (self.incarnation, self.starting, &self.minted, &self.hidden).hash(&mut hasher);
        hasher.finish()
    }
}

struct Local {
    engine: Box<dyn Engine>,
    key: Key,
    /// The state after a crash, once it was asked for.
    crashed: Option<u32>,
    /// Whether a tick of nothing would do something, once that was asked.
    restless: Option<bool>,
    /// Number of its rows that properties read.
    view: Option<u32>,
}

/// What a node is given in a macro-step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Given2 {
    pub local: u32,
    /// Facts of messages, requests and timer rows, sorted.
    pub facts: Vec<u32>,
    pub choice: u32,
}

/// What a macro-step does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// By tick.
    pub ticks: Vec<TickOut>,
    /// The state afterwards, or what broke in the last tick.
    pub next: Result<u32, String>,
    /// For each tick but the last: the state after a crash that follows it.
    pub crashed: Vec<u32>,
}

/// What one tick hands out.
#[derive(Clone, Default, Debug)]
pub(crate) struct TickOut {
    pub sent: Vec<u32>,
    /// Client, operation, and what it is told.
    pub answered: Vec<(u32, u32, u32)>,
    /// Client, operation, and the node that it is sent to instead.
    pub redirected: Vec<(u32, u32, u32)>,
}

/// All states of nodes that were met.
pub(crate) struct Locals {
    numbers: FxHashMap<Key, u32>,
    all: Vec<Local>,
    steps: FxHashMap<Given2, Rc<Step>>,
    views: Interner<Vec<u32>>,
    /// By role.
    minting: Vec<BTreeSet<RelId>>,
    seeded: Vec<bool>,
    /// Whether a tick with nothing but `start` may do something.
    starting: Vec<bool>,
    /// What each timer needs to have rows: those wait from the first tick on.
    timers: Vec<Vec<Vec<RelId>>>,
    /// Macro-steps that an engine ran.
    pub runs: usize,
}

impl Locals {
    pub fn new(system: &System, _seats: &[Seat]) -> Locals {
        let p = &system.protocol;
        let roles = || (0..p.roles.len() as u32).map(RoleId);
        Locals {
            numbers: FxHashMap::default(),
            all: Vec::new(),
            steps: FxHashMap::default(),
            views: Interner::default(),
            minting: roles().map(|r| flow::minting(p, r)).collect(),
            seeded: roles().map(|r| flow::seeded(p, r)).collect(),
            starting: roles().map(|r| flow::reads_start(p, r) || flow::stands(p, r)).collect(),
            timers: roles().map(|r| flow::timers(p, r)).collect(),
            runs: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn key(&self, local: u32) -> &Key {
        &self.all[local as usize].key
    }

    /// The rows of a state.
    pub fn resting(&self, local: u32, facts: &Facts) -> Rows {
        let mut rows = Rows::new();
        for fact in &self.key(local).rows {
            let fact = facts.get(*fact);
            rows.entry(fact.rel).or_default().insert(fact.row.clone());
        }
        rows
    }

    /// A number for the rows that properties read.
    pub fn view(&mut self, local: u32, facts: &Facts, properties: &Properties) -> u32 {
        let known = &mut self.all[local as usize];
        if let Some(view) = known.view {
            return view;
        }
        let read = |fact: &&u32| properties.reads().contains(&facts.get(**fact).rel);
        let view = self.views.number(known.key.rows.iter().filter(read).copied().collect());
        known.view = Some(view);
        view
    }
}

impl World {
    /// A node that has not run yet.
    pub(crate) fn fresh(&mut self, node: usize) -> u32 {
        let engine = self.system.engine(self.seats[node]);
        self.intern_local(node, engine, 1, true, Vec::new(), &BTreeSet::new())
    }

    fn intern_local(
        &mut self,
        node: usize,
        engine: Box<dyn Engine>,
        incarnation: u32,
        starting: bool,
        minted: Vec<(u64, u32)>,
        waiting: &BTreeSet<(RelId, Vec<Value>)>,
    ) -> u32 {
        let role = usize::from(self.seats[node].role);
        let mut rows = Vec::new();
        let resting = engine.resting();
        for (rel, all) in &resting {
            rows.extend(all.iter().map(|row| self.facts.number(*rel, row)));
        }
        rows.sort_unstable();
        let mut waits: Vec<u32> = waiting.iter().map(|(rel, row)| self.facts.number(*rel, row)).collect();
        waits.sort_unstable();
        let unique = self.locals.all.len() as i128;
        let hidden = engine.hidden().unwrap_or_else(|| vec![Value::Int(unique)]);
        let held = |rel: &RelId| resting.get(rel).is_some_and(|rows| !rows.is_empty());
        let due = || self.locals.timers[role].iter().any(|needs| needs.iter().all(held));
        let starting = starting && (self.locals.starting[role] || due());
        let key = Key { node: node as u32, incarnation, starting, minted, rows, waiting: waits, hidden };
        if let Some(number) = self.locals.numbers.get(&key) {
            return *number;
        }
        let number = self.locals.all.len() as u32;
        self.locals.numbers.insert(key.clone(), number);
        self.locals.all.push(Local { engine, key, crashed: None, restless: None, view: None });
        number
    }

    /// The state after a crash between two macro-steps.
    pub(crate) fn crashed(&mut self, local: u32) -> u32 {
        if let Some(crashed) = self.locals.all[local as usize].crashed {
            return crashed;
        }
        let mut engine = self.locals.all[local as usize].engine.fork();
        engine.crash();
        let key = &self.locals.all[local as usize].key;
        let (node, incarnation, minted) = (key.node as usize, key.incarnation + 1, key.minted.clone());
        let crashed = self.intern_local(node, engine, incarnation, true, minted, &BTreeSet::new());
        self.locals.all[local as usize].crashed = Some(crashed);
        crashed
    }

    /// Whether the node has a tick to run although nothing is there for it: its first.
    pub(crate) fn restless(&mut self, local: u32) -> bool {
        let known = &self.locals.all[local as usize];
        if !known.key.starting {
            return false;
        }
        if let Some(known) = known.restless {
            return known;
        }
        self.locals.all[local as usize].restless = Some(true);
        true
    }

    /// How many choices there are for the seed of a node's tick.
    pub(crate) fn choices(&self, node: usize) -> u32 {
        if self.locals.seeded[usize::from(self.seats[node].role)] { self.scope.seeds.max(1) } else { 1 }
    }

    /// What a macro-step does, computed when first asked for.
    pub(crate) fn step(&mut self, given: &Given2) -> Rc<Step> {
        if let Some(step) = self.locals.steps.get(given) {
            return step.clone();
        }
        let step = Rc::new(self.run(given, &mut |_, _| {}));
        self.locals.steps.insert(given.clone(), step.clone());
        step
    }

    /// Runs a macro-step; `watch` is shown each tick's input and outcome.
    pub(crate) fn run(&mut self, given: &Given2, watch: &mut dyn FnMut(&Input, &Outcome)) -> Step {
        self.locals.runs += 1;
        let local = &self.locals.all[given.local as usize];
        let mut engine = local.engine.fork();
        let (node, incarnation) = (local.key.node as usize, local.key.incarnation);
        let mut minted = local.key.minted.clone();
        let role = RoleId(u32::from(self.seats[node].role));

        // The seed: from what is taken, and how often that drew ids before.
        let draws = &self.locals.minting[role.index()];
        let hash = |drawing: bool| {
            let mut all: Vec<u64> = Vec::new();
            for fact in given.facts.iter().map(|f| self.facts.get(*f)) {
                if !drawing || draws.contains(&fact.rel) {
                    all.push(crate::draw::hash(&fact.row, u64::from(fact.rel.0)));
                }
            }
            all.sort_unstable();
            all.iter().fold(u64::from(local.key.node), |h, w| mix(h, *w))
        };
        let drawing = given.facts.iter().any(|f| draws.contains(&self.facts.get(*f).rel))
            || local.key.starting && draws.contains(&self.system.protocol.role(role).start);
        let mut seed = hash(drawing);
        if drawing {
            let place = match minted.binary_search_by_key(&seed, |m| m.0) {
                Ok(place) => place,
                Err(place) => {
                    minted.insert(place, (seed, 0));
                    place
                }
            };
            seed = mix(seed, u64::from(minted[place].1));
            minted[place].1 += 1;
        }
        let args = |tick: usize| TickArgs {
            now_ms: NOW_MS,
            seed: mix(mix(seed, u64::from(given.choice)), tick as u64),
        };

        let mut input = Input::empty(args(0));
        for fact in given.facts.iter().map(|f| self.facts.get(*f)) {
            let timer = matches!(self.system.protocol.relation(fact.rel).kind, RelationKind::Timer(_));
            let into = if timer { &mut input.fired } else { &mut input.arrived };
            into.entry(fact.rel).or_default().insert(fact.row.clone());
        }
        let mut step = Step { ticks: Vec::new(), next: Ok(0), crashed: Vec::new() };
        loop {
            let outcome = match engine.tick(&input) {
                Ok(outcome) => outcome,
                Err(broken) => {
                    step.next = Err(broken.message);
                    return step;
                }
            };
            watch(&input, &outcome);
            let out = self.out(node, &outcome);
            step.ticks.push(out);
            if !outcome.deferred {
                let waiting = outcome.waiting.into_iter().map(|w| (w.timer, w.row)).collect();
                step.next = Ok(self.intern_local(node, engine, incarnation, false, minted, &waiting));
                return step;
            }
            if step.ticks.len() >= ENDLESS {
                step.next = Err(format!("a macro-step did not end within {ENDLESS} ticks"));
                return step;
            }
            if self.scope.crashes > 0 {
                let mut fallen = engine.fork();
                fallen.crash();
                let none = BTreeSet::new();
                let fallen = self.intern_local(node, fallen, incarnation + 1, true, minted.clone(), &none);
                step.crashed.push(fallen);
            }
            input = Input::empty(args(step.ticks.len()));
        }
    }

    fn out(&mut self, node: usize, outcome: &Outcome) -> TickOut {
        let mut out = TickOut::default();
        for sent in &outcome.sent {
            let fact = self.facts.number(sent.rel, &sent.row);
            for to in self.system.receivers(sent.rel, sent.to, &sent.row) {
                out.sent.push(self.messages.number(Message { from: node as u32, to, fact }));
            }
        }
        for answered in &outcome.answered {
            let (client, op) = (answered.req.session.wrapping_sub(1), answered.req.number.wrapping_sub(1));
            let script = self.calls.get(client as usize).map_or(0, Vec::len) as u64;
            if op >= script {
                continue;
            }
            let (client, op) = (client as u32, op as u32);
            let given = match &answered.answer {
                Answer::Reply(row) => Given { refused: false, values: row.clone() },
                Answer::Refuse(error) => Given { refused: true, values: vec![error.clone()] },
                Answer::Redirect(to) => {
                    let row = &self.facts.get(self.calls[client as usize][op as usize].1).row;
                    let to = self.system.receivers(answered.rel, *to, row);
                    out.redirected.extend(to.into_iter().map(|to| (client, op, to)));
                    continue;
                }
            };
            self.facts.pin(&given.values);
            out.answered.push((client, op, self.answers.number(given)));
        }
        out
    }
}
