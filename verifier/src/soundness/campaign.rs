//! Campaigns over pairs.

use crate::equivalence::sample::{Runs, sampled};
use crate::equivalence::{Budget, Compared, Pair, Verdict, exhaustive};
use std::fmt;

/// A pair to be compared, with a way to make it smaller.
pub trait Case {
    /// What it is, for reports: the program and the rewrite.
    fn name(&self) -> String;
    /// The rewrite, for the table of figures.
    fn rewrite(&self) -> String;
    /// The pair. An error if the programs cannot be run: the generator is at fault.
    fn pair(&self) -> Result<Pair, String>;
    /// The same with something taken away, where the rewrite can still be made.
    fn smaller(&self) -> Vec<Box<dyn Case>>;
}

/// What to do with each pair.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For exhaustive comparison.
    pub budget: Budget,
    /// Random runs on top, if any.
    pub runs: Option<Runs>,
    /// At most so many comparisons to make a failure small.
    pub shrink: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { budget: Budget { derived: 20_000, base: 60_000 }, runs: None, shrink: 300 }
    }
}

/// A pair that differs, made small.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What it is.
    pub name: String,
    /// How it differs.
    pub compared: Compared,
}

/// Figures.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By rewrite: matched, not matched within the budget, different, set apart, could not be run. Set apart are
    /// pairs that differ where the base breaks what the rewrite takes on trust: it answers a request twice, and
    /// differently.
    pub by_rewrite: std::collections::BTreeMap<String, [usize; 5]>,
    /// States of both systems over all pairs.
    pub states: (usize, usize),
    /// Pairs that differ.
    pub failures: Vec<Failure>,
    /// Why pairs could not be run.
    pub problems: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:34} {:>8} {:>11} {:>9} {:>9} {:>7}",
            "rewrite", "matched", "not matched", "different", "set apart", "failed"
        )?;
        for (name, [matched, budget, different, apart, failed]) in &self.by_rewrite {
            writeln!(f, "{name:34} {matched:8} {budget:11} {different:9} {apart:9} {failed:7}")?;
        }
        write!(f, "{} states of bases, {} of derived protocols", self.states.0, self.states.1)
    }
}

fn compare(case: &dyn Case, options: &Options) -> Result<Compared, String> {
    let pair = case.pair()?;
    let compared = exhaustive(&pair, options.budget)?;
    match options.runs {
        Some(runs) if !compared.verdict.refuted() => {
            let more = sampled(&pair, runs, options.budget)?;
            Ok(if more.verdict.refuted() { more } else { compared })
        }
        _ => Ok(compared),
    }
}

/// Compares cases until there are no more, or one differs and `stop` says so.
pub fn campaign(cases: impl IntoIterator<Item = Box<dyn Case>>, options: &Options, stop: bool) -> Report {
    let mut report = Report::default();
    for case in cases {
        let figures = report.by_rewrite.entry(case.rewrite()).or_default();
        let compared = match compare(&*case, options) {
            Ok(compared) => compared,
            Err(problem) => {
                figures[4] += 1;
                report.problems.push(format!("{}: {problem}", case.name()));
                continue;
            }
        };
        report.states.0 += compared.states.0;
        report.states.1 += compared.states.1;
        match compared.verdict {
            Verdict::Matched => figures[0] += 1,
            Verdict::NotMatched { .. } => figures[1] += 1,
            Verdict::Counterexample(_) if compared.contradicts => figures[3] += 1,
            Verdict::Counterexample(_) => {
                figures[2] += 1;
                report.failures.push(shrink(case, compared, options));
                if stop {
                    break;
                }
            }
        }
    }
    report
}

/// The smallest case that taking away one thing at a time leads to and that still differs.
fn shrink(mut case: Box<dyn Case>, mut compared: Compared, options: &Options) -> Failure {
    let mut left = options.shrink;
    'again: loop {
        for smaller in case.smaller() {
            if left == 0 {
                break 'again;
            }
            left -= 1;
            if let Ok(found) = compare(&*smaller, options)
                && found.verdict.refuted()
                && !found.contradicts
            {
                (case, compared) = (smaller, found);
                continue 'again;
            }
        }
        break;
    }
    Failure { name: case.name(), compared }
}
