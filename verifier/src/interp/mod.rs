//! The reference interpreter: what a tick means, in the plainest words that run.
//!
//! It recomputes everything every tick, by nested loops over sets of rows. No index, no delta, no derivation
//! count, no join order: nothing here remembers more than the language itself speaks of. It shares no
//! code with plans (its stratification is its own too), because twins can share a bug.
//!
//! # The versions of state
//! `docs/language.md` defines three, and one more that `new` needs. Between two ticks a node keeps
//! - *before* ([`Interp::before`]): all state relations as the last tick left them after `<-` and `<+`;
//! - *last* (`last`): the state at the last tick's fixpoint, and *kept* (`kept`): that state once the deletions
//!   were made (deleted and replaced rows taken out of the tables, views evaluated again), but no `<+` yet.
//!   A row is *carried over* if it is in both. `new r` is what is true now and not carried over. It
//!   takes both: a view's row that a deletion makes true is in *kept* only, and new in the next tick; a row
//!   that a deletion makes false is in *last* only, and new if it comes back.
//!
//! Then, in a tick ([`Engine::tick`]):
//! 1. *now* is the least fixpoint of *before*'s tables, the tick's events and the `<=` rules, stratum by stratum
//!    ([`fixpoint`]).
//! 2. In *now*, all `<+`, `<-` and `<~` rules are evaluated, once ([`schedule`]). They see what is true now, and
//!    nothing that they do is seen by any rule of the tick.
//! 3. Deletions give *kept*, then the `<+` rows give *after*, which is the next *before*. `<+` beats `<-`:
//!    a row that is both deleted and scheduled is untouched.
//! 4. Timer rows begin and cease to wait by *after* ([`timers`]).
//!
//! Omitted: `forget` rules may see their events late; this one lets them see them at once, or never ([`Interp::lazy`]).
//! Which partitions take a message is for the caller ([`crate::routing`]).

mod body;
mod fixpoint;
mod head;
mod machines;
mod schedule;
mod strata;
mod table;
mod timers;

#[cfg(test)]
mod tests;

use crate::engine::{Engine, Facts, Input, Outcome, Row, tidy};
use anabranch_core::node::{Broken, Env, Ids, Leaves, Setup};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use machines::MachineState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timers::Waits;

/// The reference interpreter of one node.
#[derive(Clone)]
pub struct Interp {
    program: Arc<Program>,
    /// *Before*: the state between ticks.
    before: Facts,
    /// The state at the last tick's fixpoint.
    last: Facts,
    /// That state after its deletions, before its `<+`.
    kept: Facts,
    /// Rows of events that the last tick scheduled by `<+`.
    scheduled: Facts,
    machines: BTreeMap<MachineId, MachineState>,
    waits: Waits,
    incarnation: u64,
    /// Number of the next tick in this incarnation, from 0.
    tick: u64,
    counts: Option<BTreeMap<RuleId, u64>>,
}

/// Durable machines at some moment.
#[derive(Clone, Default)]
pub struct Machines(BTreeMap<MachineId, MachineState>);

/// What does not change from tick to tick.
pub(crate) struct Program {
    pub protocol: Arc<Protocol>,
    pub role: RoleId,
    pub leaves: Arc<dyn Leaves>,
    pub env: Env,
    pub node: u32,
    pub ids: Ids,
    /// `<=` rules by stratum.
    pub strata: Vec<strata::Stratum>,
    /// See [`body::same_draws`].
    pub same_draw: BTreeMap<LeafId, LeafId>,
    /// More rows than this in a relation break a tick off.
    pub bound: usize,
    /// Whether `forget` rules let events pass by: see [`anabranch_core::node::Node::lazy`].
    pub lazy: bool,
}

impl Interp {
    /// A fresh node. `setup.params` must hold all parameters without default; `defaults` the others.
    ///
    /// # Panics
    /// If the role's rules are not stratified, which the checks of the language exclude.
    pub fn new(
        protocol: Arc<Protocol>,
        leaves: Arc<dyn Leaves>,
        setup: &Setup,
        defaults: &BTreeMap<String, Value>,
    ) -> Interp {
        let role = RoleId(u32::from(setup.seat.role));
        let mut params = defaults.clone();
        params.extend(setup.params.clone());
        let env = Env { layout: setup.layout.clone(), seat: setup.seat, params };
        let strata = strata::strata(&protocol, role).unwrap_or_else(|e| panic!("{e}"));
        let node = setup.layout.index(setup.seat).0;
        let same_draw = body::same_draws(&protocol);
        let program = Arc::new(Program {
            protocol,
            role,
            leaves,
            env,
            node,
            ids: setup.ids,
            strata,
            same_draw,
            bound: usize::MAX,
            lazy: false,
        });
        let machines = program.fresh_machines();
        let mut interp = Interp {
            program,
            before: Facts::new(),
            last: Facts::new(),
            kept: Facts::new(),
            scheduled: Facts::new(),
            machines,
            waits: Waits::default(),
            incarnation: setup.incarnation,
            tick: 0,
            counts: None,
        };
        interp.begin(Facts::new());
        interp
    }

    /// Whether `forget` rules let some of their events pass by: see [`anabranch_core::node::Node::lazy`]. To be said
    /// before the first copy is made.
    pub fn lazy(&mut self, on: bool) {
        Arc::get_mut(&mut self.program).expect("no copy has been made").lazy = on;
    }

    /// The durable machines as they are now, for [`Interp::restart`].
    pub fn machines(&self) -> Machines {
        let durable = |id: &MachineId| self.program.protocol.machines[id.index()].durable;
        Machines(self.machines.iter().filter(|(id, _)| durable(id)).map(|(id, m)| (*id, m.clone())).collect())
    }

    /// Starts an incarnation from durable tables that were recovered elsewhere, and from durable machines as they were
    /// when these tables were; others start afresh.
    pub fn restart(&mut self, incarnation: u64, durable: Facts, machines: Machines) {
        self.machines = self.program.fresh_machines();
        self.machines.extend(machines.0);
        self.incarnation = incarnation;
        self.begin(durable);
    }

    /// Starts or stops counting the rows that each rule gives.
    pub fn count(&mut self, on: bool) {
        self.counts = on.then(BTreeMap::new);
    }

    /// How many rows each rule gave at the last tick's fixpoint; empty if nobody counts.
    pub fn counts(&self) -> &BTreeMap<RuleId, u64> {
        static NONE: BTreeMap<RuleId, u64> = BTreeMap::new();
        self.counts.as_ref().unwrap_or(&NONE)
    }

    /// Starts an incarnation from durable tables. What is there counts as carried over, and so do the first
    /// values of variables: nothing is new, and all of it is old.
    fn begin(&mut self, durable: Facts) {
        let program = &self.program;
        let mut tables = durable;
        for (id, relation) in program.relations() {
            if let RelationKind::Var(first) = &relation.kind {
                tables
                    .entry(id)
                    .or_insert_with(|| BTreeSet::from([program.first_value(relation, first.as_ref())]));
            }
        }
        self.before = program.state(tables, &self.machines);
        self.last = self.before.clone();
        self.kept = self.before.clone();
        self.scheduled = Facts::new();
        self.waits = Waits::default();
        self.tick = 0;
    }
}

impl Engine for Interp {
    fn tick(&mut self, input: &Input) -> Result<Outcome, Broken> {
        let program = &self.program;
        let moment = body::Moment { args: input.args, incarnation: self.incarnation, tick: self.tick };

        // The tick's events: what arrived, what fired, what the last tick scheduled, and the start.
        let mut events = input.arrived.clone();
        for (rel, rows) in self.waits.accept(&input.fired) {
            events.entry(rel).or_default().extend(rows);
        }
        for (rel, rows) in &self.scheduled {
            events.entry(*rel).or_default().extend(rows.iter().cloned());
        }
        if self.tick == 0 {
            let start = program.protocol.role(program.role).start;
            events.entry(start).or_default().insert(vec![Value::Int(i128::from(self.incarnation))]);
        }

        // Now.
        let (before, last, kept) = (&self.before, &self.last, &self.kept);
        let versions = body::Versions { before, last, kept };
        let now = program.fixpoint(&events, &versions, &self.machines, moment)?;
        let world = body::World { now: &now, before, last, kept };

        // What the tick wants: evaluated in now, carried out below.
        let wish = program.wishes(&world, moment)?;

        // Deletions give `kept`, insertions then give `after`. Both are tables with views evaluated again.
        let machines = program.advance_machines(&self.machines, &now);
        let tables = program.tables_of(&now);
        let less = program.without(&tables, &wish);
        let after_tables = program.with(less.clone(), &wish);
        let changed = tidy(after_tables.clone()) != tidy(tables);
        let kept = program.state(less, &machines);
        let after = program.state(after_tables, &machines);

        if self.counts.is_some() {
            self.counts = Some(program.row_counts(&world, moment));
        }

        let deferred = changed || wish.events.values().any(|rows| !rows.is_empty());
        let waiting = self.waits.settle(program, &after, &input.fired, input.args);
        let facts = program.facts(&now);

        self.last = program.state_of(&now);
        self.kept = kept;
        self.before = after;
        self.scheduled = wish.events;
        self.machines = machines;
        self.tick += 1;
        Ok(Outcome { facts, sent: wish.sent, answered: wish.answered, deferred, waiting })
    }

    fn resting(&self) -> Facts {
        self.program.facts(&self.before)
    }

    fn fork(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn hidden(&self) -> Option<Vec<Value>> {
        Some(self.machines.values().flat_map(MachineState::image).collect())
    }

    fn bound(&mut self, rows: usize) -> bool {
        // Copies share the program; they are made later.
        Arc::get_mut(&mut self.program).map(|program| program.bound = rows).is_some()
    }

    fn crash(&mut self) {
        let program = &self.program;
        let durable = |id: &RelId| program.protocol.relation(*id).durable;
        let tables = program.tables_of(&self.before).into_iter().filter(|(id, _)| durable(id)).collect();
        let mut machines = program.fresh_machines();
        for (id, machine) in &mut machines {
            if program.protocol.machines[id.index()].durable {
                *machine = self.machines[id].clone();
            }
        }
        self.machines = machines;
        self.incarnation += 1;
        self.begin(tables);
    }
}

impl Program {
    /// The relations of the role.
    fn relations(&self) -> impl Iterator<Item = (RelId, &Relation)> {
        let all = self.protocol.relations.iter().enumerate();
        all.filter(|(_, r)| r.role == Some(self.role)).map(|(i, r)| (RelId(i as u32), r))
    }

    /// Named relations of the role with their rows: what observers compare.
    fn facts(&self, rows: &Facts) -> Facts {
        let own = |id: &RelId| self.protocol.relation(*id).role == Some(self.role);
        tidy(rows.iter().filter(|(id, _)| own(id)).map(|(id, rows)| (*id, rows.clone())).collect())
    }

    /// Tables and variables alone.
    fn tables_of(&self, rows: &Facts) -> Facts {
        let table = |id: &RelId| self.protocol.relation(*id).is_table();
        rows.iter().filter(|(id, _)| table(id)).map(|(id, rows)| (*id, rows.clone())).collect()
    }

    /// State relations alone.
    fn state_of(&self, rows: &Facts) -> Facts {
        let state = |id: &RelId| !self.protocol.relation(*id).is_event();
        rows.iter().filter(|(id, _)| state(id)).map(|(id, rows)| (*id, rows.clone())).collect()
    }

    /// The instances of all roles: static relations.
    fn instances(&self) -> Facts {
        let mut facts = Facts::new();
        for (i, relation) in self.protocol.relations.iter().enumerate() {
            if let RelationKind::Instances(role) = relation.kind {
                let n = self.env.layout.roles[role.index()].instances;
                let whole = self.protocol.family(role).0 as u16;
                facts.insert(RelId(i as u32), (0..n).map(|k| vec![Value::Addr(whole, k)]).collect());
            }
        }
        facts
    }

    /// The first value of a variable.
    fn first_value(&self, relation: &Relation, first: Option<&Expr>) -> Row {
        match first {
            None => crate::eval::closed::bottom(relation, &self.protocol).unwrap_or_else(|| {
                panic!("the type of `{}` has no bottom that is known here", relation.name)
            }),
            Some(first) => {
                let value = self.leaves.eval(first.leaf.0, &[], &self.env);
                let value = value.unwrap_or_else(|| panic!("the first value of `{}`", relation.name));
                match value {
                    Value::Tuple(items) if relation.columns.len() > 1 => items.to_vec(),
                    value => vec![value],
                }
            }
        }
    }
}
