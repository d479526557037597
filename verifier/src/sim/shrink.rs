//! Makes a failing run small: fewer requests, faults, nodes, then less variation, as long as the same property
//! fails. What is left out is tried in halves, then smaller parts (delta debugging: Zeller, Hildebrandt,
//! *Simplifying and isolating failure-inducing input*, IEEE TSE 28(2), 2002).
//!
//! A smaller run meets other delays, so each is tried with a few seeds for them, and with its faults earlier or later.
//!
//! What it may cost is said in events of the candidates' worlds together, not in time: a shrunk run is the same on every
//! machine. The coarsest parts come first (clients, kinds of faults), and a candidate that goes on for longer than the
//! best run did until it failed is cut off, since it would be no smaller.

use super::faults::{Fault, FaultKind, Kind, Point};
use super::plan::{Ask, Plan, Vary};
use super::tester::Tester;
use super::{Outcome, Violation};
use crate::random::Dice;
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
    /// Events of all of these.
    pub work: u64,
    /// Time that it took.
    pub took: Duration,
}

/// So many events more than the best run may happen in a candidate: what fails later is no smaller, but a shorter wait may
/// cost some retries.
const SLACK: u64 = 500;

/// Seeds that a smaller run is tried with, besides its own: few at first, more when few no longer help.
const OTHER_SEEDS: [u64; 4] = [2, 12, 60, 240];

struct Search<'a> {
    tester: &'a Tester,
    property: String,
    best: Shrunk,
    runs: usize,
    /// Events that may still happen.
    left: u64,
    /// See [`OTHER_SEEDS`].
    seeds: u64,
}

/// The smallest run found that violates a property as `outcome` does; in all candidates together at most `budget` events
/// happen.
///
/// # Panics
/// If nothing is wrong in the outcome.
pub fn shrink(tester: &Tester, plan: &Plan, outcome: &Outcome, budget: u64) -> Shrunk {
    let began = Instant::now();
    let best = Shrunk::of(plan.clone(), outcome);
    let property = best.violation.property.clone();
    let mut search = Search { tester, property, best, runs: 0, left: budget, seeds: 0 };
    // Once as it is, looking closely: that may show it earlier, or another property that fails before this one.
    let close = search.closely(plan, outcome.events + SLACK);
    if close.violation.is_some() {
        search.best = Shrunk::of(plan.clone(), &close);
        search.property = search.best.violation.property.clone();
    }
    search.cut_off();
    for seeds in OTHER_SEEDS {
        search.seeds = seeds;
        search.converge();
    }
    search.best.runs = search.runs;
    search.best.work = budget - search.left;
    search.best.took = began.elapsed();
    search.best
}

impl Shrunk {
    fn of(plan: Plan, outcome: &Outcome) -> Shrunk {
        Shrunk {
            plan,
            violation: outcome.violation.clone().expect("something is wrong"),
            events: outcome.events,
            messages: outcome.messages,
            runs: 0,
            work: 0,
            took: Duration::ZERO,
        }
    }
}

impl Search<'_> {
    /// Tries everything until nothing helps any more.
    fn converge(&mut self) {
        loop {
            let before = self.size();
            self.cut_off();
            self.sooner();
            self.fewer_clients();
            self.fewer_kinds();
            self.fewer_requests();
            self.fewer_faults();
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
        let Vary { delays, batches, timers, forgets, uneven } = plan.vary;
        let vary = [delays, batches, timers, forgets, uneven];
        let varying = vary.into_iter().filter(|v| *v).count();
        (10 * (plan.requests() + plan.faults.len() + nodes) + varying, self.best.messages)
    }

    /// Runs a plan for so many events at most.
    fn closely(&mut self, plan: &Plan, events: u64) -> Outcome {
        let outcome = self.tester.run_closely_for(plan, events.min(self.left));
        self.runs += 1;
        self.left -= outcome.events.min(self.left);
        outcome
    }

    /// Takes over a plan that still fails.
    fn try_one(&mut self, plan: Plan) -> bool {
        if self.left == 0 || !self.tester.allows(&plan.layout) {
            return false;
        }
        let outcome = self.closely(&plan, self.best.events + self.best.events / 4 + SLACK);
        let fails = outcome.violation.as_ref().is_some_and(|v| v.property == self.property);
        if fails {
            self.best = Shrunk::of(plan, &outcome);
        }
        fails
    }

    /// The same with other seeds for what is not decided by the plan; every second time with faults at other times.
    fn try_any(&mut self, plan: &Plan) -> bool {
        (0..=self.seeds).any(|n| {
            let mut plan = Plan { seed: plan.seed + n, ..plan.clone() };
            if n % 2 == 1 {
                let mut dice = Dice::part(plan.seed, 7);
                for fault in &mut plan.faults {
                    fault.at_us = fault.at_us / 2 + dice.word() % fault.at_us.max(1);
                }
                plan.faults.sort_by_key(|fault| fault.at_us);
                plan.calm();
            }
            self.try_one(plan)
        })
    }

    /// The same in less time.
    fn sooner(&mut self) {
        for _ in 0..3 {
            let mut plan = self.best.plan.clone();
            plan.clients.iter_mut().flatten().for_each(|ask| ask.think_us /= 4);
            plan.faults.iter_mut().for_each(|fault| fault.at_us /= 4);
            plan.calm();
            if !self.try_any(&plan) {
                return;
            }
        }
    }

    /// Leaves out what comes after the end.
    fn cut_off(&mut self) {
        let end = self.best.violation.time_us;
        let mut plan = self.best.plan.clone();
        let before = plan.faults.len();
        plan.faults.retain(|fault| fault.at_us <= end);
        if plan.faults.len() < before {
            plan.calm();
            self.try_one(plan);
        }
    }

    /// Leaves out clients with all that they ask, half of them at a time, then fewer.
    fn fewer_clients(&mut self) {
        let make = |plan: &Plan, kept: &[usize]| {
            let gone = (0..plan.clients.len()).rev().filter(|client| !kept.contains(client));
            gone.fold(plan.clone(), |plan, client| without_place(&plan, plan.layout.nodes() + client as u32))
        };
        // The world wants one.
        let count = |plan: &Plan| plan.clients.len() - 1;
        self.parts(count, &|plan, kept| {
            let last = plan.clients.len() - 1;
            make(plan, &[kept, &[last]].concat())
        });
    }

    /// Leaves out all faults of a kind.
    fn fewer_kinds(&mut self) {
        for kind in Kind::ALL {
            let mut plan = self.best.plan.clone();
            plan.faults.retain(|fault| fault.kind() != kind);
            if plan.faults.len() < self.best.plan.faults.len() {
                plan.calm();
                self.try_any(&plan);
            }
        }
    }

    fn fewer_faults(&mut self) {
        let make = |plan: &Plan, kept: &[usize]| {
            let faults: Vec<Fault> = kept.iter().map(|&i| plan.faults[i].clone()).collect();
            let mut plan = Plan { faults, ..plan.clone() };
            plan.calm();
            plan
        };
        self.parts(|plan| plan.faults.len(), &make);
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
        self.parts(Plan::requests, &make);
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

    /// Leaves out as many parts as possible: half of them at a time, then fewer.
    fn parts(&mut self, count: fn(&Plan) -> usize, make: &dyn Fn(&Plan, &[usize]) -> Plan) {
        let mut size = count(&self.best.plan);
        while size > 0 && self.left > 0 {
            let mut at = 0;
            while at < count(&self.best.plan) {
                let kept: Vec<usize> =
                    (0..count(&self.best.plan)).filter(|i| !(at..at + size).contains(i)).collect();
                if !self.try_any(&make(&self.best.plan, &kept)) {
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
        for part in 0..5 {
            let mut plan = self.best.plan.clone();
            let vary = &mut plan.vary;
            let all =
                [&mut vary.uneven, &mut vary.delays, &mut vary.batches, &mut vary.timers, &mut vary.forgets];
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
                plan.calm();
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
    plan.calm();
    plan
}
