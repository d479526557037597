//! The plan executor: carries out a [`RolePlan`] over erased values.
//!
//! It does what the plan says, no more and no less, with the plainest data structures, so that mistakes in plans
//! show: views are kept by their delta pipelines only, reads go through the index that the plan names, and
//! lists of events keep repetitions where the plan sees no need to look for them. Facts that the plan claims
//! (single derivations, distinct heads, group sizes …) are asserted while it runs.
//!
//! [`pipe`] runs a pipeline, [`apply`] changes state and releases views, [`tick`] is the order of a tick,
//! [`aggregate`], [`machines`] and [`timers`] are what their names say. Omitted: logs, wire formats.

pub mod aggregate;
pub mod apply;
pub mod machines;
pub mod pipe;
pub mod store;
pub mod tick;
pub mod timers;

#[cfg(test)]
mod tests;

use crate::engine::{Engine, Facts, Input, Outcome, Row};
use anabranch_core::node::{Broken, Env, Ids, Leaves, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{MachineId, Protocol, RelId, RoleId};
use anabranch_dsl::plan::*;
use apply::ViewState;
use machines::MachineState;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use store::Store;
use timers::Waits;

/// The executor of one node.
#[derive(Clone)]
pub struct Exec {
    protocol: Arc<Protocol>,
    plan: Arc<RolePlan>,
    leaves: Arc<dyn Leaves>,
    env: Env,
    node: u32,
    ids: Ids,
    incarnation: u64,
    tick: u64,
    args: TickArgs,
    stores: Vec<Store>,
    views: BTreeMap<RelIx, ViewState>,
    /// Rows derived for insert-only recursive views since their last release.
    candidates: BTreeMap<RelIx, BTreeSet<Row>>,
    /// Recursive units with changed inputs.
    dirty_units: BTreeSet<usize>,
    /// Rows of members during a recomputation.
    work: BTreeMap<RelIx, BTreeSet<Row>>,
    /// By standing rule: rows to insert at its turn.
    pending: Vec<BTreeSet<Row>>,
    /// Facts to be taken up, in a recursive stratum.
    queue: Option<VecDeque<(RelIx, Row)>>,
    /// Contributions to aggregated events of this tick.
    contributed: BTreeMap<RelIx, Vec<pipe::Contribution>>,
    machines: BTreeMap<MachineId, MachineState>,
    waits: Waits,
    /// More rows than this in a relation break a tick off.
    bound: usize,
    /// Rows of events that the last tick scheduled.
    scheduled: BTreeMap<RelIx, BTreeSet<Row>>,
    /// Durable tables and machines after the last tick that did not break.
    durable: (BTreeMap<RelIx, BTreeSet<Row>>, BTreeMap<MachineId, MachineState>),
}

impl Exec {
    /// A fresh node. `setup.params` must hold all parameters without default; `defaults` the others.
    pub fn new(
        protocol: Arc<Protocol>,
        leaves: Arc<dyn Leaves>,
        setup: &Setup,
        defaults: &BTreeMap<String, Value>,
    ) -> Exec {
        let plan = lower(&protocol, RoleId(u32::from(setup.seat.role)));
        Exec::with_plan(protocol, plan, leaves, setup, defaults)
    }

    /// The same with a plan of the caller's, which may have been tampered with.
    pub fn with_plan(
        protocol: Arc<Protocol>,
        plan: RolePlan,
        leaves: Arc<dyn Leaves>,
        setup: &Setup,
        defaults: &BTreeMap<String, Value>,
    ) -> Exec {
        let plan = Arc::new(plan);
        let mut params = defaults.clone();
        params.extend(setup.params.clone());
        let env = Env { layout: setup.layout.clone(), seat: setup.seat, params };
        let mut exec = Exec {
            protocol,
            plan,
            leaves,
            env,
            node: setup.layout.index(setup.seat).0,
            ids: setup.ids,
            incarnation: setup.incarnation,
            tick: 0,
            args: TickArgs { now_ms: 0, seed: 0 },
            stores: vec![],
            views: BTreeMap::new(),
            candidates: BTreeMap::new(),
            dirty_units: BTreeSet::new(),
            work: BTreeMap::new(),
            pending: vec![],
            queue: None,
            contributed: BTreeMap::new(),
            machines: BTreeMap::new(),
            waits: Waits::default(),
            bound: usize::MAX,
            scheduled: BTreeMap::new(),
            durable: (BTreeMap::new(), BTreeMap::new()),
        };
        exec.begin();
        exec
    }

    /// The plan that is carried out.
    pub fn plan(&self) -> &RolePlan {
        &self.plan
    }

    /// Starts an incarnation from what is durable.
    fn begin(&mut self) {
        let plan = self.plan.clone();
        let (tables, machines) = self.durable.clone();
        self.stores = plan.relations.iter().map(Store::new).collect();
        self.views.clear();
        self.candidates.clear();
        self.dirty_units = (0..plan.recursive.len()).filter(|n| !plan.recursive[*n].insert_only).collect();
        self.pending = vec![BTreeSet::new(); plan.standing.len()];
        self.queue = None;
        self.waits = Waits::default();
        self.scheduled.clear();
        self.tick = 0;
        self.machines = self.fresh_machines();
        self.machines.extend(machines);

        for p in &plan.init {
            for emitted in self.run(p, None) {
                self.accumulate(emitted, 1);
            }
        }
        for (i, relation) in plan.relations.iter().enumerate() {
            let rel = RelIx(i as u32);
            let rows: Vec<Row> = match &relation.class {
                Class::Instances(role) => {
                    let n = self.env.layout.roles[role.index()].instances;
                    let whole = self.protocol.family(*role).0 as u16;
                    (0..n).map(|k| vec![Value::Addr(whole, k)]).collect()
                }
                Class::MachineNext(m) => {
                    self.machines.get(m).map(|m| vec![Value::Int(i128::from(m.next))]).into_iter().collect()
                }
                Class::Var(first) => match tables.get(&rel) {
                    Some(rows) => rows.iter().cloned().collect(),
                    None => vec![self.first_value(rel, first.as_ref())],
                },
                Class::Table => tables.get(&rel).into_iter().flatten().cloned().collect(),
                _ => vec![],
            };
            for row in rows {
                self.apply(rel, &row, true);
            }
        }
        self.release_all();
        for store in &mut self.stores {
            store.news.clear();
            store.lost.clear();
            store.added.clear();
            store.removed.clear();
        }
        self.remember();
    }

    fn first_value(&self, rel: RelIx, first: Option<&PExpr>) -> Row {
        let relation = self.plan.relation(rel);
        let Some(first) = first else {
            let declared = self.protocol.relation(relation.source.expect("variables are declared"));
            return crate::eval::closed::bottom(declared, &self.protocol)
                .unwrap_or_else(|| panic!("the bottom of `{}`", relation.name));
        };
        match self.evaluate(first, &|_| unreachable!("a constant")) {
            Value::Tuple(items) if relation.columns.len() > 1 => items.to_vec(),
            value => vec![value],
        }
    }

    /// Notes what a crash leaves.
    fn remember(&mut self) {
        let mut tables = BTreeMap::new();
        for (i, relation) in self.plan.relations.iter().enumerate() {
            if relation.durable && matches!(relation.class, Class::Table | Class::Var(_)) {
                tables.insert(RelIx(i as u32), self.stores[i].rows.clone());
            }
        }
        let durable = |m: &MachineId| self.protocol.machines[m.index()].durable;
        let machines =
            self.machines.iter().filter(|(m, _)| durable(m)).map(|(m, s)| (*m, s.clone())).collect();
        self.durable = (tables, machines);
    }

    fn is_event(&self, rel: RelIx) -> bool {
        matches!(
            self.plan.relation(rel).class,
            Class::Input(_) | Class::Event { .. } | Class::MachineInput(_) | Class::MachineOutput(_)
        )
    }

    /// Rows of all declared relations for which `wanted` holds.
    fn rows_of(&self, wanted: impl Fn(&Relation) -> bool) -> Facts {
        let mut facts = Facts::new();
        for (relation, store) in self.plan.relations.iter().zip(&self.stores) {
            let Some(source) = relation.source else { continue };
            let static_ = matches!(relation.class, Class::Instances(_));
            if !static_ && wanted(relation) && !store.rows.is_empty() {
                facts.insert(source, store.rows.clone());
            }
        }
        facts
    }

    fn rel(&self, source: RelId) -> Option<RelIx> {
        self.plan.of.get(&source).copied()
    }
}

impl Engine for Exec {
    fn tick(&mut self, input: &Input) -> Result<Outcome, Broken> {
        self.run_tick(input)
    }

    fn resting(&self) -> Facts {
        let event = |r: &Relation| {
            matches!(
                r.class,
                Class::Input(_) | Class::Event { .. } | Class::MachineInput(_) | Class::MachineOutput(_)
            )
        };
        self.rows_of(|r| !event(r))
    }

    fn fork(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn hidden(&self) -> Option<Vec<Value>> {
        Some(self.machines.values().flat_map(MachineState::image).collect())
    }

    fn bound(&mut self, rows: usize) -> bool {
        self.bound = rows;
        true
    }

    fn crash(&mut self) {
        self.incarnation += 1;
        self.begin();
    }
}
