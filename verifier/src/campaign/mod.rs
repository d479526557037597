//! Campaigns: many random programs, each run on the interpreter and on another engine.

pub mod constructs;
pub mod echo;
pub mod faults;
pub mod misprints;
pub mod run;
pub mod script;
pub mod shrink;
pub mod stats;

use crate::engine::Engine;
use crate::exec::Exec;
use crate::random::{self, Dice};
use anabranch_dsl::ir::RoleId;
use anabranch_dsl::plan::lower;
use faults::Fault;
use run::{Inputs, Maker, Program, caught, run};
use shrink::{Failure, shrink};
use stats::{Stats, Watcher};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of programs.
    pub programs: usize,
    /// Everything follows from it; program i has the seed `seed + i`.
    pub seed: u64,
    /// Macro-steps per program.
    pub steps: usize,
    /// Threads.
    pub threads: usize,
    /// Stop after so many failures.
    pub failures: usize,
    /// Whether failures are shrunk, by at most so many runs each.
    pub shrink: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { programs: 1000, seed: 1, steps: 12, threads: 1, failures: 1, shrink: 4000 }
    }
}

/// What a campaign showed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Programs that ran.
    pub programs: usize,
    /// Programs that the front end refused (the generator then is at fault): seed and reason.
    pub refused: Vec<(u64, String)>,
    /// Programs that the checks refused for a reason that the generator does not look for, by diagnostic.
    pub foreseen: BTreeMap<&'static str, usize>,
    /// Ticks.
    pub ticks: usize,
    /// Crashes.
    pub crashes: usize,
    /// Ticks that broke an invariant in both.
    pub broken: usize,
    /// Runs that ended because a macro-step did not.
    pub endless: usize,
    /// What did what.
    pub stats: Stats,
    /// Differences: seed and smallest program found.
    pub failures: Vec<(u64, Failure)>,
}

impl Report {
    fn merge(&mut self, other: Report) {
        self.programs += other.programs;
        self.refused.extend(other.refused);
        for (code, n) in other.foreseen {
            *self.foreseen.entry(code).or_default() += n;
        }
        self.ticks += other.ticks;
        self.crashes += other.crashes;
        self.broken += other.broken;
        self.endless += other.endless;
        self.stats.merge(&other.stats);
        self.failures.extend(other.failures);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.stats)?;
        writeln!(
            f,
            "{} programs, {} ticks, {} crashes, {} broken invariants, {} endless, {} left out {:?}, {} refused, {} failures",
            self.programs,
            self.ticks,
            self.crashes,
            self.broken,
            self.endless,
            self.foreseen.values().sum::<usize>(),
            self.foreseen,
            self.refused.len(),
            self.failures.len()
        )
    }
}

/// The plan executor, as the engine to be compared.
pub fn executor(program: &Program) -> Box<dyn Engine> {
    Box::new(Exec::new(program.protocol.clone(), program.leaves.clone(), &program.setup, &program.defaults))
}

/// Runs a campaign. Without a maker the interpreter runs alone.
pub fn campaign(options: &Options, maker: Option<&Maker<'_>>) -> Report {
    let next = AtomicUsize::new(0);
    let failures = AtomicUsize::new(0);
    let work = || {
        let mut report = Report::default();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= options.programs || failures.load(Ordering::Relaxed) >= options.failures {
                return report;
            }
            let before = report.failures.len();
            one(options, options.seed.wrapping_add(i as u64), maker, &mut report);
            failures.fetch_add(report.failures.len() - before, Ordering::Relaxed);
        }
    };
    let mut report = Report::default();
    if options.threads <= 1 {
        report = work();
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..options.threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                report.merge(worker.join().expect("a worker panicked"));
            }
        });
    }
    report.failures.sort_by_key(|(seed, _)| *seed);
    report
}

fn one(options: &Options, seed: u64, maker: Option<&Maker<'_>>, report: &mut Report) {
    let source = random::program(seed);
    let program = match Program::new(&source.to_string()) {
        Ok(program) => program,
        Err(refused) => {
            match refused.foreseen() {
                Some(code) => *report.foreseen.entry(code).or_default() += 1,
                None => report.refused.push((seed, refused.text)),
            }
            return;
        }
    };
    let protocol = program.protocol.clone();
    let mut watcher = Watcher::new(&protocol);
    let inputs = Inputs::Drawn(Dice::part(seed, 2), options.steps);
    let ran = caught(|| {
        run(&program, inputs, maker, &mut |interp, outcome, resting| {
            watcher.tick(interp.counts(), outcome, resting)
        })
    });
    let ran = ran.unwrap_or_else(|panic| {
        eprintln!("seed {seed}: the interpreter panicked: {panic}\n{source}");
        panic!("the interpreter panicked");
    });
    report.programs += 1;
    report.ticks += ran.ticks;
    report.crashes += ran.crashes;
    report.broken += ran.broken;
    report.endless += usize::from(ran.endless);
    report.stats.merge(&watcher.stats);
    if let (Some(difference), Some(maker)) = (ran.difference, maker) {
        let failure = Failure { source, script: ran.script, difference };
        report.failures.push((seed, shrink(failure, maker, options.shrink)));
    }
}

/// How a planted fault fared.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The fault.
    pub fault: Fault,
    /// Programs whose plans had a place for it, until it was noticed.
    pub planted: usize,
    /// The seed of the program that gave it away, and how.
    pub noticed: Option<(u64, String)>,
}

/// Plants a fault into the plans of random programs, one program at a time, until one differs from the
/// interpreter or `options.programs` have been tried.
pub fn plant(fault: Fault, options: &Options) -> Planted {
    let mut result = Planted { fault, planted: 0, noticed: None };
    for seed in (0..options.programs as u64).map(|i| options.seed.wrapping_add(i)) {
        let Ok(program) = Program::new(&random::program(seed).to_string()) else { continue };
        let faulty_plan = |p: &Program| {
            let mut plan = lower(&p.protocol, RoleId(0));
            let planted = fault.plant(&mut plan, &mut Dice::part(seed, 3));
            planted.then_some(plan)
        };
        if faulty_plan(&program).is_none() {
            continue;
        }
        result.planted += 1;
        let faulty = |p: &Program| -> Box<dyn Engine> {
            let plan = faulty_plan(p).expect("planted before");
            Box::new(Exec::with_plan(p.protocol.clone(), plan, p.leaves.clone(), &p.setup, &p.defaults))
        };
        let inputs = Inputs::Drawn(Dice::part(seed, 2), options.steps);
        let ran = run(&program, inputs, Some(&faulty), &mut |_, _, _| {});
        if let Some(difference) = ran.difference {
            result.noticed = Some((seed, difference));
            return result;
        }
    }
    result
}
