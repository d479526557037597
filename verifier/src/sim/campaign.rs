//! Campaigns: many seeds, on several threads, until one fails or all have run.
//!
//! What a campaign finds does not depend on the number of threads: seeds are taken in order, and of those that fail
//! the first counts.

use super::check::Check;
use super::faults::Tally;
use super::file::Counterexample;
use super::plan::{Plan, Shape};
use super::shrink::{Shrunk, shrink};
use super::tester::Tester;
use super::workload::Workload;
use super::{End, Outcome, Violation};
use anabranch_dsl::ir::PropertyKind;
use std::collections::{BTreeMap, BTreeSet};
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
    /// At most so many events to make a counterexample small; 0: it stays as it is.
    pub shrink: u64,
    /// What runs are like.
    pub shape: Shape,
    /// So many faults must happen in each run: one in which fewer did is run again with more of them planned.
    pub least_faults: u64,
    /// So many requests must be answered in each run.
    pub least_answered: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seeds: 1000,
            first: 0,
            threads: 1,
            compare: 50,
            shrink: SHRINK,
            shape: Shape::default(),
            least_faults: 0,
            least_answered: 0,
        }
    }
}

/// Events that shrinking may cost, unless said otherwise.
pub const SHRINK: u64 = 10_000_000;

/// How often a run is tried with more faults, until enough of them happen.
const MORE_FAULTS: u64 = 20;

/// How a number is spread over runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spread(BTreeMap<u64, u64>);

impl Spread {
    fn add(&mut self, n: u64) {
        *self.0.entry(n).or_default() += 1;
    }
    fn merge(&mut self, other: Spread) {
        other.0.into_iter().for_each(|(n, runs)| *self.0.entry(n).or_default() += runs);
    }
    /// The least, the median and the greatest; `None` of no runs.
    pub fn range(&self) -> Option<[u64; 3]> {
        let runs: u64 = self.0.values().sum();
        let mut before = 0;
        let median = self.0.iter().find(|(_, n)| {
            before += **n;
            2 * before >= runs
        })?;
        Some([*self.0.first_key_value()?.0, *median.0, *self.0.last_key_value()?.0])
    }
    /// In how many runs it was at least this.
    pub fn at_least(&self, n: u64) -> u64 {
        self.0.range(n..).map(|(_, runs)| runs).sum()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, median, most] = self.range().unwrap_or_default();
        write!(f, "{least} to {most}, median {median}")
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
            let Shrunk { messages, runs, work, .. } = shrunk;
            let seconds = shrunk.took.as_secs_f64();
            write!(f, ", {messages} messages (shrunk in {runs} runs, {work} events, {seconds:.1} s)")?;
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
    /// Requests answered in each run.
    pub answered: Spread,
    /// Faults that happened in each run.
    pub fault_counts: Spread,
    /// The first seed in whose run fewer faults happened, or fewer requests were answered, than was asked for.
    pub meagre: Option<u64>,
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

    fn add(&mut self, tester: &Tester, options: &Options, seed: u64, outcome: &Outcome) {
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
        let meagre = faults < options.least_faults || answered < options.least_answered;
        if meagre && outcome.violation.is_none() && self.meagre.is_none_or(|earlier| seed < earlier) {
            self.meagre = Some(seed);
        }
        self.answered.add(answered);
        self.fault_counts.add(faults);
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
        self.answered.merge(other.answered);
        self.fault_counts.merge(other.fault_counts);
        self.meagre = least(self.meagre, other.meagre);
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
        writeln!(f, "in each run: {} requests answered; {} faults", self.answered, self.fault_counts)?;
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
            let mut plan = tester.plan(&options.shape, workload, seed);
            let compare = options.compare > 0 && number.is_multiple_of(options.compare);
            let run = |plan: &Plan| if compare { tester.run_compared(plan) } else { tester.run(plan) };
            let mut outcome = run(&plan);
            for more in 0..MORE_FAULTS {
                if outcome.violation.is_some() || outcome.faults.total() >= options.least_faults {
                    break;
                }
                plan.more_faults(&options.shape, more);
                outcome = run(&plan);
            }
            report.add(tester, options, seed, &outcome);
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
        let shrunk = (options.shrink > 0).then(|| shrink(&tester, &plan, &outcome, options.shrink));
        let events = outcome.events;
        let violation = outcome.violation.expect("it was kept because of it");
        Failure { seed, plan, violation, events, shrunk }
    });
    judge(&tester, options, &mut report);
    Ok(report)
}

/// A campaign in a test: panics if it does not pass, and says how to look at the run that failed, which it
/// saves in the folder that `ANABRANCH_COUNTEREXAMPLES` names, or else in `counterexamples`.
///
/// # Panics
/// If something is wrong, or the campaign is vacuous.
pub fn must_pass(
    make: &(dyn Fn() -> Result<Tester, Vec<String>> + Sync),
    workload: &Workload,
    options: &Options,
) -> Report {
    let report = campaign(make, workload, options, &|_| {}).unwrap_or_else(|p| panic!("{}", p.join("\n")));
    if let Some(failure) = &report.failure {
        let folder = std::env::var_os("ANABRANCH_COUNTEREXAMPLES").unwrap_or("counterexamples".into());
        let saved = make().map_err(|p| p.join("\n")).and_then(|tester| {
            Counterexample::save(folder.as_ref(), &tester, failure).map_err(|error| error.to_string())
        });
        match saved {
            Ok(path) => panic!("{failure}\nlook at it with: anabranch replay {}", path.display()),
            Err(error) => panic!("{failure}\n(it could not be saved: {error})"),
        }
    }
    assert!(report.vacuous.is_empty(), "vacuous: {}\n{report}", report.vacuous.join("; "));
    report
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
    if let Some(seed) = report.meagre {
        report.vacuous.push(format!(
            "fewer than {} faults, or fewer than {} answers, in some run (the first has seed {seed})",
            options.least_faults, options.least_answered
        ));
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
