//! Makes a failing run small: fewer requests, faults, nodes, then less variation, as long as the same property
//! fails. What is left out is tried in halves, then smaller parts (delta debugging: Zeller, Hildebrandt,
//! *Simplifying and isolating failure-inducing input*, IEEE TSE 28(2), 2002).
//!
//! A smaller run meets other delays, so each is tried with a few seeds for them.

use super::faults::{Fault, FaultKind, Point};
use super::plan::{Ask, Plan};
use super::tester::Tester;
use super::{Outcome, Violation};
use anabranch_core::node::{Layout, RoleLayout};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A small failing run.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The run.
    pub plan: Plan,
    /// What goes wrong in it.
    pub violation: Violation,
    /// Events until then.
    pub events: u64,
    /// Messages until then.
    pub messages: u64,
    /// Runs that it took.
    pub runs: usize,
    /// Time that it took.
    pub took: Duration,
}

/// Seeds that a smaller run is tried with, besides its own: few at first, more when few no longer help.
const OTHER_SEEDS: [u64; 3] = [2, 12, 60];

struct Search<'a> {
    tester: &'a Tester,
    property: String,
    best: Shrunk,
    left: usize,
    /// See [`OTHER_SEEDS`].
    seeds: u64,
}

/// The smallest run found that violates a property as `outcome` does; at most so many runs.
///
/// # Panics
/// If nothing is wrong in the outcome.
pub fn shrink(tester: &Tester, plan: &Plan, outcome: &Outcome, runs: usize) -> Shrunk {
    let took_over = |outcome: &Outcome| Shrunk {
        plan: plan.clone(),
        violation: outcome.violation.clone().expect("something is wrong"),
        events: outcome.events,
        messages: outcome.messages,
        runs: 0,
        took: Duration::ZERO,
    };
    let began = Instant::now();
    // Once as it is, looking closely: that may show it earlier, or another property that fails before this one.
    let close = tester.run_closely(plan);
    let best = took_over(if close.violation.is_some() { &close } else { outcome });
    let mut search = Search { tester, property: best.violation.property.clone(), best, left: runs, seeds: 0 };
    for seeds in OTHER_SEEDS {
        search.seeds = seeds;
        search.converge();
    }
    search.best.runs = runs - search.left;
    search.best.took = began.elapsed();
    search.best
}
impl Search<'_> {
    /// Tries everything until nothing helps any more.
    fn converge(&mut self) {
        loop {
            let before = self.size();
            self.cut_off();
            self.fewer_faults();
            self.fewer_requests();
            self.fewer_nodes();
            self.plainer();
            if self.size() >= before || self.left == 0 {
                return;
            }
        }
    }

    /// How large the best run is: parts that were decided, then what happened.
    fn size(&self) -> (usize, u64) {
        let plan = &self.best.plan;
        let nodes = plan.layout.nodes() as usize;
        let vary = [plan.vary.delays, plan.vary.batches, plan.vary.timers, plan.vary.forgets];
        let varying = vary.into_iter().filter(|v| *v).count();
        (10 * (plan.requests() + plan.faults.len() + nodes) + varying, self.best.messages)
    }

    fn run(&mut self, plan: &Plan) -> Option<Outcome> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if !self.tester.allows(&plan.layout) {
            return None;
        }
        let outcome = self.tester.run_closely(plan);
        outcome.violation.as_ref().is_some_and(|v| v.property == self.property).then_some(outcome)
    }

    /// Takes over a plan that still fails.
    fn try_one(&mut self, plan: Plan) -> bool {
        let Some(outcome) = self.run(&plan) else { return false };
        self.best = Shrunk {
            violation: outcome.violation.clone().expect("it fails"),
            events: outcome.events,
            messages: outcome.messages,
            plan,
            runs: 0,
            took: Duration::ZERO,
        };
        true
    }

    /// The same with other seeds for what is not decided by the plan.
    fn try_any(&mut self, plan: &Plan) -> bool {
        (0..=self.seeds).any(|n| self.try_one(Plan { seed: plan.seed + n, ..plan.clone() }))
    }

    /// Leaves out what comes after the end.
    fn cut_off(&mut self) {
        let end = self.best.violation.time_us;
        let mut plan = self.best.plan.clone();
        let before = plan.faults.len();
        plan.faults.retain(|fault| fault.at_us <= end);
        if plan.faults.len() < before {
            plan.calm_us = plan.faults.iter().map(Fault::ends_us).max().unwrap_or(0);
            self.try_one(plan);
        }
    }

    fn fewer_faults(&mut self) {
        let make = |plan: &Plan, kept: &[usize]| {
            let faults: Vec<Fault> = kept.iter().map(|&i| plan.faults[i].clone()).collect();
            let calm_us = faults.iter().map(Fault::ends_us).max().unwrap_or(0);
            Plan { faults, calm_us, ..plan.clone() }
        };
        let count = self.best.plan.faults.len();
        self.parts(count, &make);
    }

    fn fewer_requests(&mut self) {
        let make = |plan: &Plan, kept: &[usize]| {
            let mut clients: Vec<Vec<Ask>> = Vec::with_capacity(plan.clients.len());
            let mut number = 0;
            for script in &plan.clients {
                let mut waited = 0;
                let mut rest = Vec::new();
                for ask in script {
                    // Those after it come when they came.
                    waited += ask.think_us;
                    if kept.binary_search(&number).is_ok() {
                        rest.push(Ask { think_us: std::mem::take(&mut waited), ..ask.clone() });
                    }
                    number += 1;
                }
                clients.push(rest);
            }
            Plan { clients, ..plan.clone() }
        };
        let count = self.best.plan.requests();
        self.parts(count, &make);
        // Clients that ask for nothing.
        let plan = self.best.plan.clone();
        for client in (0..plan.clients.len()).rev() {
            if self.best.plan.clients[client].is_empty() && self.best.plan.clients.len() > 1 {
                let place = plan.layout.nodes() + client as u32;
                let smaller = without_place(&self.best.plan, place);
                self.try_any(&smaller);
            }
        }
    }

    /// Leaves out as many of `count` parts as possible.
    fn parts(&mut self, count: usize, make: &dyn Fn(&Plan, &[usize]) -> Plan) {
        let base = self.best.plan.clone();
        let mut kept: Vec<usize> = (0..count).collect();
        let mut size = count;
        while size > 0 && !kept.is_empty() && self.left > 0 {
            let mut at = 0;
            while at < kept.len() {
                let mut fewer = kept.clone();
                fewer.drain(at..(at + size).min(kept.len()));
                if self.try_any(&Plan { seed: self.best.plan.seed, ..make(&base, &fewer) }) {
                    kept = fewer;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn fewer_nodes(&mut self) {
        for role in 0..self.best.plan.layout.roles.len() {
            while self.left > 0 {
                let plan = &self.best.plan;
                let sizes = plan.layout.roles[role];
                if sizes.instances <= 1 {
                    break;
                }
                let mut smaller = plan.clone();
                // The last instance goes, with all its partitions.
                let seat = anabranch_core::node::Seat {
                    role: role as u16,
                    instance: sizes.instances - 1,
                    partition: 0,
                };
                let first = plan.layout.index(seat).0;
                for place in (first..first + sizes.partitions).rev() {
                    smaller = without_place(&smaller, place);
                }
                let mut roles: Vec<RoleLayout> = plan.layout.roles.clone();
                roles[role].instances -= 1;
                smaller.layout = Arc::new(Layout { roles });
                if !self.try_any(&smaller) {
                    break;
                }
            }
        }
    }

    /// Less variation, plainer faults.
    fn plainer(&mut self) {
        for part in 0..4 {
            let mut plan = self.best.plan.clone();
            let vary = &mut plan.vary;
            let all = [&mut vary.delays, &mut vary.batches, &mut vary.timers, &mut vary.forgets];
            let part = all.into_iter().nth(part);
            if part.is_some_and(|part| std::mem::replace(part, false)) {
                self.try_any(&plan);
            }
        }
        for i in 0..self.best.plan.faults.len() {
            let fault = self.best.plan.faults[i].clone();
            for what in plainer(&fault.what) {
                let mut plan = self.best.plan.clone();
                plan.faults[i].what = what;
                plan.calm_us = plan.faults.iter().map(Fault::ends_us).max().unwrap_or(0);
                if self.try_one(plan) {
                    break;
                }
            }
        }
    }
}

/// Plainer forms of a fault, the plainest first.
fn plainer(what: &FaultKind) -> Vec<FaultKind> {
    let mut all = Vec::new();
    match what.clone() {
        FaultKind::Crash { node, point, power, down_us } => {
            if point != Point::Now {
                all.push(FaultKind::Crash { node, point: Point::Now, power: false, down_us });
            }
            if power {
                all.push(FaultKind::Crash { node, point, power: false, down_us });
            }
        }
        FaultKind::Partition { from, to, both, broken, for_us } => {
            // As few as possible on either side.
            for i in 0..to.len() {
                if to.len() > 1 {
                    let mut to = to.clone();
                    to.remove(i);
                    all.push(FaultKind::Partition { from: from.clone(), to, both, broken, for_us });
                }
            }
            for i in 0..from.len() {
                if from.len() > 1 {
                    let mut from = from.clone();
                    from.remove(i);
                    all.push(FaultKind::Partition { from, to: to.clone(), both, broken, for_us });
                }
            }
        }
        _ => {}
    }
    all
}

/// A plan without a place: faults that concern it go, others are renumbered. The layout is left to the caller if
/// the place is a node.
fn without_place(plan: &Plan, gone: u32) -> Plan {
    let mut plan = plan.clone();
    let nodes = plan.layout.nodes();
    if gone >= nodes {
        plan.clients.remove((gone - nodes) as usize);
    }
    let moved = |place: &mut u32| {
        let stays = *place != gone;
        *place -= u32::from(*place > gone);
        stays
    };
    plan.faults.retain_mut(|fault| match &mut fault.what {
        FaultKind::Crash { node, .. }
        | FaultKind::Slow { node, .. }
        | FaultKind::Reorder { node, .. }
        | FaultKind::Skew { node, .. }
        | FaultKind::Disk { node, .. } => moved(node),
        FaultKind::Break { a, b } | FaultKind::Delay { from: a, to: b, .. } => {
            let (a, b) = (moved(a), moved(b));
            a && b
        }
        FaultKind::Partition { from, to, .. } => {
            from.retain_mut(moved);
            to.retain_mut(moved);
            !from.is_empty() && !to.is_empty()
        }
    });
    plan.calm_us = plan.faults.iter().map(Fault::ends_us).max().unwrap_or(0);
    plan
}
