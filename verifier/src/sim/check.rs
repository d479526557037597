//! What is asked of a run: the protocol's own properties, that requests end, and checks of the user's.

use super::Violation;
use super::client::{Call, End as CallEnd};
use super::plan::Plan;
use super::shapes::{Shapes, single};
use crate::engine::{Facts, Row};
use crate::history::{History, Recorder};
use crate::property::{Monitor, Properties};
use anabranch_core::node::{Layout, Node, NodeIndex};
use anabranch_core::value::Value;
use anabranch_core::wire::Reader;
use anabranch_dsl::ir::{PropertyKind, RelId};

/// A check besides the protocol's properties. One is made for every run.
pub trait Check {
    /// What a violation is reported as.
    fn name(&self) -> &'static str;
    /// For how long after faults have stopped and clients are done the world must go on before [`Check::end`] is
    /// fair. (It ends earlier if nothing is left to happen.)
    fn rest_us(&self) -> u64 {
        0
    }
    /// A node has told the application a durable event.
    fn told(&mut self, _node: u32, _event: &str, _row: &[Value]) {}
    /// The run is over: what is wrong, if anything.
    fn end(&mut self, end: &RunEnd<'_>) -> Result<(), String>;
}

/// A run's end, for checks.
pub struct RunEnd<'a> {
    /// The run.
    pub plan: &'a Plan,
    /// What clients asked and were told, by time of asking.
    pub calls: &'a [Call],
    /// For reading arguments and answers.
    pub shapes: &'a Shapes,
}

impl RunEnd<'_> {
    /// A call's arguments.
    pub fn args(&self, call: &Call) -> Vec<Value> {
        self.shapes.args(call.tag, &self.plan.clients[call.client as usize][call.number as usize - 1].args)
    }
    /// The columns of a call's answer, if it was answered.
    pub fn reply(&self, call: &Call) -> Option<Vec<Value>> {
        match &call.end {
            CallEnd::Ok(bytes) => Some(self.shapes.reply(call.tag, bytes)),
            _ => None,
        }
    }
    /// The history of the run.
    pub fn history(&self) -> History {
        history(self.plan, self.calls, self.shapes)
    }
}

/// Calls as a history in Jepsen's form.
pub fn history(plan: &Plan, calls: &[Call], shapes: &Shapes) -> History {
    let mut moments: Vec<(u64, u8, usize)> = Vec::new();
    for (i, call) in calls.iter().enumerate() {
        moments.push((call.invoked_us, 1, i));
        if call.end != CallEnd::Open {
            moments.push((call.ended_us, 0, i));
        }
    }
    // At one time answers come first: then a client's next request is after its last one's end.
    moments.sort_unstable();
    let mut recorder = Recorder::new(plan.clients.len());
    for (at, kind, i) in moments {
        let call = &calls[i];
        let client = call.client as usize;
        if kind == 1 {
            let args = shapes.args(call.tag, &plan.clients[client][call.number as usize - 1].args);
            recorder.invoke(client, at, shapes.request(call.tag).name, single(args));
            continue;
        }
        match &call.end {
            CallEnd::Ok(bytes) => recorder.ok(client, at, single(shapes.reply(call.tag, bytes))),
            CallEnd::Fail(why) => recorder.fail(client, at, why),
            CallEnd::Unknown(why) => recorder.info(client, at, why),
            CallEnd::Open => {}
        }
    }
    recorder.finish()
}

pub(super) struct View<'a> {
    pub now_us: u64,
    pub layout: &'a Layout,
}

/// All checks of one run.
pub(super) struct Checks<'p> {
    shapes: &'p Shapes,
    properties: Option<&'p Properties>,
    monitor: Option<Monitor<'p>>,
    /// By role: relations that properties read, with their names.
    reads: Vec<Vec<(RelId, String)>>,
    ghosts: bool,
    /// Look when a node has had so many macro-steps.
    every: u32,
    /// By node: macro-steps since the last look.
    passed: Vec<u32>,
    own: Vec<Box<dyn Check>>,
    answers: bool,
    patience_us: u64,
}

impl<'p> Checks<'p> {
    pub fn new(
        shapes: &'p Shapes,
        properties: Option<&'p Properties>,
        layout: &Layout,
        own: Vec<Box<dyn Check>>,
        every: u32,
        answers: bool,
    ) -> Checks<'p> {
        let seats = (0..layout.nodes()).filter_map(|n| layout.seat(NodeIndex(n))).collect();
        let mut reads = vec![Vec::new(); layout.roles.len()];
        let mut patience_us = own.iter().map(|check| check.rest_us()).max().unwrap_or(0).max(50_000);
        let mut ghosts = false;
        if let Some(properties) = properties {
            for &rel in properties.reads() {
                let relation = properties.protocol().relation(rel);
                ghosts |= relation.ghost;
                if let Some(role) = relation.role {
                    reads[role.index()].push((rel, relation.name.clone()));
                }
            }
            for i in 0..properties.len() {
                if let PropertyKind::Eventually { within_ms } = properties.of(i).1 {
                    patience_us = patience_us.max(within_ms * 1000);
                }
            }
        }
        let monitor = properties.filter(|p| !p.is_empty()).map(|p| Monitor::new(p, seats));
        let passed = vec![0; layout.nodes() as usize];
        Checks { shapes, properties, monitor, reads, ghosts, every, passed, own, answers, patience_us }
    }

    pub fn wants_ghosts(&self) -> bool {
        self.ghosts
    }

    /// How long to go on once clients are done and faults have stopped.
    pub fn patience_us(&self) -> u64 {
        self.patience_us
    }

    /// Whether a node keeps all that properties read; else it has to be traced (views that no rule probes).
    pub fn sees(&self, role: u16, node: &dyn Node) -> bool {
        self.reads[usize::from(role)].iter().all(|(_, name)| node.rows(name).is_some())
    }

    /// A node had a macro-step, or what it was is about to be lost (`now`): whether it is time to look.
    pub fn due(&mut self, number: u32, now: bool) -> bool {
        if self.monitor.is_none() {
            return false;
        }
        let passed = &mut self.passed[number as usize];
        *passed += u32::from(!now);
        *passed >= self.every || now && *passed > 0
    }

    /// Looks at all nodes that have run since the last look, as they are now, between two macro-steps.
    ///
    /// Not at one of them alone: beside what another was some macro-steps ago it may show what never was. A node
    /// that is down is as it was before: a slow one, whose crash comes when it is back.
    pub fn look<'n>(
        &mut self,
        view: &View<'_>,
        nodes: impl Iterator<Item = Option<&'n dyn Node>>,
    ) -> Option<Violation> {
        let mut states: Vec<(usize, Facts)> = Vec::new();
        for (number, node) in nodes.enumerate() {
            let Some(node) = node.filter(|_| self.passed[number] > 0) else { continue };
            self.passed[number] = 0;
            let seat = view.layout.seat(NodeIndex(number as u32))?;
            let mut facts = Facts::new();
            for (rel, name) in &self.reads[usize::from(seat.role)] {
                let rows = node.rows(name).expect("nodes that do not keep a relation are traced");
                facts.insert(*rel, rows.into_iter().map(items).collect());
            }
            states.push((number, facts));
        }
        let states = states.iter().map(|(number, facts)| (*number, facts));
        let violation = self.monitor.as_mut()?.states_are(states).into_iter().next()?;
        let nodes = violation.witness.rows.iter().map(|held| view.layout.index(held.seat).0).collect();
        Some(Violation {
            property: violation.name.clone(),
            text: violation.message,
            time_us: view.now_us,
            nodes,
        })
    }

    pub fn told(&mut self, node: u32, bytes: &[u8]) {
        if self.own.is_empty() {
            return;
        }
        if let Ok((info, row)) = self.shapes.event(&mut Reader::new(bytes)) {
            self.own.iter_mut().for_each(|check| check.told(node, info.name, &row));
        }
    }

    /// Properties that held in some state, by their place in the protocol's list.
    pub fn held(&self) -> Vec<usize> {
        self.monitor.iter().flat_map(|m| m.held().keys().copied()).collect()
    }

    pub fn end(&mut self, view: &View<'_>, plan: &Plan, calls: &[Call], busy: bool) -> Option<Violation> {
        let wrong = |property: &str, text: String| {
            Some(Violation { property: property.to_string(), text, time_us: view.now_us, nodes: Vec::new() })
        };
        if busy {
            return wrong("answered", "clients were not done when the run ended".into());
        }
        let end = RunEnd { plan, calls, shapes: self.shapes };
        for check in &mut self.own {
            if let Err(text) = check.end(&end) {
                return wrong(check.name(), text);
            }
        }
        if self.answers {
            // Nothing was in the way for as long as a client waits at all.
            let late = calls.iter().find(|call| {
                let waited = call.ended_us - call.invoked_us.max(plan.calm_us).min(call.ended_us);
                matches!(call.end, CallEnd::Unknown(_) | CallEnd::Fail(_)) && waited >= plan.patience_us
            });
            if let Some(call) = late {
                let name = self.shapes.request(call.tag).name;
                return wrong(
                    "answered",
                    format!(
                        "`{name}` of client.{} got no answer, though no fault stood in its way for {} s",
                        call.client,
                        plan.patience_us as f64 / 1e6
                    ),
                );
            }
        }
        let properties = self.properties?;
        let held = self.held();
        for i in 0..properties.len() {
            if let (name, PropertyKind::Eventually { within_ms }) = properties.of(i)
                && !held.contains(&i)
                && self.monitor.as_ref().is_some_and(|m| m.holds(i).is_none())
            {
                return wrong(
                    name,
                    format!("`{name}` did not hold within {within_ms} ms after faults had stopped"),
                );
            }
        }
        None
    }
}

pub(super) fn items(value: Value) -> Row {
    match value {
        Value::Tuple(items) => items.to_vec(),
        Value::Unit => Vec::new(),
        other => vec![other],
    }
}
