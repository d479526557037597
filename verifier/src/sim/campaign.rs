//! Campaigns: many seeds, on several threads, until one fails or all have run.
//!
//! What a campaign finds does not depend on the number of threads: seeds are taken in order, and of those that fail
//! the first counts.

use super::check::Check;
use super::faults::Tally;
use super::plan::{Plan, Shape};
use super::shrink::{Shrunk, shrink};
use super::tester::Tester;
use super::workload::Workload;
use super::{End, Outcome, Violation};
use anabranch_dsl::ir::PropertyKind;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first: u64,
    /// Threads.
    pub threads: usize,
    /// Every so many runs one is compared with the interpreter, tick by tick; 0: none.
    pub compare: u64,
    /// At most so many runs to make a counterexample small; 0: it stays as it is.
    pub shrink: usize,
    /// What runs are like.
    pub shape: Shape,
}

impl Default for Options {
    fn default() -> Options {
        Options { seeds: 1000, first: 0, threads: 1, compare: 50, shrink: 4000, shape: Shape::default() }
    }
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Seeds that have run.
    pub done: u64,
    /// Of so many.
    pub seeds: u64,
    /// Messages so far.
    pub messages: u64,
    /// Since it began.
    pub elapsed: Duration,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The run as it was drawn.
    pub plan: Plan,
    /// What went wrong in it.
    pub violation: Violation,
    /// Events until then.
    pub events: u64,
    /// The smallest run found that fails in the same way.
    pub shrunk: Option<Shrunk>,
}

impl Failure {
    /// The smallest run there is, and what goes wrong in it.
    pub fn smallest(&self) -> (&Plan, &Violation) {
        self.shrunk.as_ref().map_or((&self.plan, &self.violation), |s| (&s.plan, &s.violation))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, violation) = self.smallest();
        write!(
            f,
            "seed {}: {violation}\n{} requests, {} faults, {} nodes",
            self.seed,
            plan.requests(),
            plan.faults.len(),
            plan.layout.nodes()
        )?;
        if let Some(shrunk) = &self.shrunk {
            write!(f, ", {} messages (shrunk in {} runs)", shrunk.messages, shrunk.runs)?;
        }
        plan.faults.iter().try_for_each(|fault| write!(f, "\n  {} us: {:?}", fault.at_us, fault.what))
    }
}

/// What a campaign showed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Runs without a finding.
    pub passed: u64,
    /// Messages that nodes took, requests and replies included.
    pub messages: u64,
    /// Events of the worlds.
    pub events: u64,
    /// Ticks.
    pub ticks: u64,
    /// Ticks that the interpreter did as well.
    pub compared: u64,
    /// Virtual time of all runs, in microseconds.
    pub span_us: u64,
    /// Requests by how they ended: answered, failed, unknown.
    pub requests: [u64; 3],
    /// The fewest requests that were answered in a run.
    pub fewest_answered: Option<u64>,
    /// The fewest faults that happened in a run.
    pub fewest_faults: Option<u64>,
    /// Runs with at least five faults.
    pub five_faults: u64,
    /// Faults that really happened.
    pub faults: Tally,
    /// `sometimes` properties that held in some run, and all that there are.
    pub held: BTreeSet<String>,
    /// All `sometimes` properties.
    pub sometimes: BTreeSet<String>,
    /// What was configured and never happened: the campaign did not test what it says.
    pub vacuous: Vec<String>,
    /// The first seed that failed.
    pub failure: Option<Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Nothing was found, and what was configured has happened.
    pub fn pass(&self) -> bool {
        self.failure.is_none() && self.vacuous.is_empty()
    }

    /// Simulated messages a second, all threads together.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn add(&mut self, tester: &Tester, outcome: &Outcome) {
        self.passed += u64::from(outcome.violation.is_none());
        self.messages += outcome.messages;
        self.events += outcome.events;
        self.ticks += outcome.ticks;
        self.compared += outcome.compared;
        self.span_us += outcome.span_us;
        let mut answered = 0;
        for call in &outcome.calls {
            match call.end {
                End::Ok(_) => answered += 1,
                End::Fail(_) => self.requests[1] += 1,
                End::Unknown(_) | End::Open => self.requests[2] += 1,
            }
        }
        self.requests[0] += answered;
        let faults = outcome.faults.total();
        self.fewest_answered = Some(self.fewest_answered.map_or(answered, |n| n.min(answered)));
        self.fewest_faults = Some(self.fewest_faults.map_or(faults, |n| n.min(faults)));
        self.five_faults += u64::from(faults >= 5);
        self.faults.merge(&outcome.faults);
        let names = outcome.held.iter().map(|&i| tester.properties().of(i).0.to_string());
        self.held.extend(names);
    }

    fn merge(&mut self, other: Report) {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        self.passed += other.passed;
        self.messages += other.messages;
        self.events += other.events;
        self.ticks += other.ticks;
        self.compared += other.compared;
        self.span_us += other.span_us;
        (0..3).for_each(|i| self.requests[i] += other.requests[i]);
        self.fewest_answered = least(self.fewest_answered, other.fewest_answered);
        self.fewest_faults = least(self.fewest_faults, other.fewest_faults);
        self.five_faults += other.five_faults;
        self.faults.merge(&other.faults);
        self.held.extend(other.held);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ok, fail, unknown] = self.requests;
        writeln!(
            f,
            "{} runs passed: {} messages, {} ticks ({} compared with the interpreter), {:.0} s of virtual time",
            self.passed,
            self.messages,
            self.ticks,
            self.compared,
            self.span_us as f64 / 1e6
        )?;
        writeln!(f, "requests: {ok} answered, {fail} failed, {unknown} unknown")?;
        writeln!(f, "faults: {}", self.faults)?;
        write!(f, "{:.1} s, {:.0} messages a second", self.elapsed.as_secs_f64(), self.rate())
    }
}

/// Runs a campaign. Each thread makes its own tester.
pub fn campaign(
    make: &(dyn Fn() -> Result<Tester, Vec<String>> + Sync),
    workload: &Workload,
    options: &Options,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<Report, Vec<String>> {
    let tester = make()?;
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let (done, messages) = (AtomicU64::new(0), AtomicU64::new(0));
    // Seeds from here on need not run.
    let stop = AtomicU64::new(options.seeds);
    let found: Mutex<Option<(u64, Plan, Outcome)>> = Mutex::new(None);
    let work = |tester: &Tester| {
        let mut report = Report::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= stop.load(Ordering::Relaxed) {
                return report;
            }
            let seed = options.first + number;
            let plan = tester.plan(&options.shape, workload, seed);
            let compare = options.compare > 0 && number.is_multiple_of(options.compare);
            let outcome = if compare { tester.run_compared(&plan) } else { tester.run(&plan) };
            report.add(tester, &outcome);
            let progress_now = Progress {
                done: done.fetch_add(1, Ordering::Relaxed) + 1,
                seeds: options.seeds,
                messages: messages.fetch_add(outcome.messages, Ordering::Relaxed) + outcome.messages,
                elapsed: started.elapsed(),
            };
            progress(&progress_now);
            if outcome.violation.is_some() {
                stop.fetch_min(number, Ordering::Relaxed);
                let mut found = found.lock().expect("no thread panics while it holds this");
                if found.as_ref().is_none_or(|(earlier, ..)| seed < *earlier) {
                    *found = Some((seed, plan, outcome));
                }
            }
        }
    };
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..options.threads.max(1))
            .map(|_| scope.spawn(|| make().map(|tester| work(&tester)).unwrap_or_default()))
            .collect();
        report.merge(work(&tester));
        for other in others {
            report.merge(other.join().expect("what nodes do is caught, and the rest does not panic"));
        }
    });
    report.elapsed = started.elapsed();
    let found = found.into_inner().expect("as before");
    report.failure = found.map(|(seed, plan, outcome)| {
        let events = outcome.events;
        let violation = outcome.violation.expect("it was kept because of it");
        let shrunk = (options.shrink > 0).then(|| shrink(&tester, &plan, &violation, options.shrink));
        Failure { seed, plan, violation, events, shrunk }
    });
    judge(&tester, options, &mut report);
    Ok(report)
}

/// What was configured and never happened.
fn judge(tester: &Tester, options: &Options, report: &mut Report) {
    let properties = tester.properties();
    let sometimes = (0..properties.len()).map(|i| properties.of(i));
    report.sometimes = sometimes
        .filter(|(_, kind)| *kind == PropertyKind::Sometimes)
        .map(|(name, _)| name.to_string())
        .collect();
    if report.failure.is_some() {
        return;
    }
    for kind in options.shape.faults.kinds() {
        if !report.faults.0.contains_key(&kind) {
            report.vacuous.push(format!("no fault of kind `{kind}` ever happened"));
        }
    }
    for name in report.sometimes.difference(&report.held) {
        report.vacuous.push(format!("`sometimes {name}` never held"));
    }
    if report.requests[0] == 0 {
        report.vacuous.push("no request was ever answered".into());
    }
}

/// A check that is a closure over the end of a run.
pub struct AtEnd<F> {
    /// Its name.
    pub name: &'static str,
    /// For how long the world must go on before it is fair.
    pub rest_us: u64,
    /// What is wrong, if anything.
    pub check: F,
}

impl<F: FnMut(&super::RunEnd<'_>) -> Result<(), String>> Check for AtEnd<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn rest_us(&self) -> u64 {
        self.rest_us
    }
    fn end(&mut self, end: &super::RunEnd<'_>) -> Result<(), String> {
        (self.check)(end)
    }
}
