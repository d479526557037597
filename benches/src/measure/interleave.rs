//! Several targets in turn, so that they meet the same disturbances.

use super::Target;
use super::recorder::Recorder;
use super::report::{Measurement, Report};
use std::time::Duration;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of clients.
    pub clients: Vec<usize>,
    /// How often each is measured; figures are medians.
    pub rounds: usize,
    /// Before each measurement.
    pub warm_up: Duration,
    /// Length of each measurement.
    pub duration: Duration,
    /// End a measurement after so many operations, if that comes first.
    pub at_most: Option<u64>,
    /// Shows a run's progress; the first argument of [`interleave`]'s `begin` names the run.
    pub progress: Option<fn(f64)>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            clients: vec![1, 64, 1024],
            rounds: 3,
            warm_up: Duration::from_millis(500),
            duration: Duration::from_secs(2),
            at_most: None,
            progress: None,
        }
    }
}

/// Loads every target with every number of clients, round by round. `begin` is told what starts.
pub fn interleave(
    targets: &mut [Box<dyn Target>],
    plan: &Plan,
    mut begin: impl FnMut(&str),
) -> std::io::Result<Report> {
    let mut report = Report::default();
    for round in 0..plan.rounds.max(1) {
        for &clients in &plan.clients {
            // Who comes first changes, lest one always follows an idle machine.
            let n = targets.len();
            for i in 0..n {
                let target = &mut targets[(i + round) % n];
                begin(&format!("{}, {clients} clients, round {}", target.name(), round + 1));
                report.runs.push(measure(target.as_mut(), clients, plan)?);
            }
        }
    }
    report.targets = targets.iter().map(|t| t.name()).collect();
    Ok(report)
}

/// One measurement.
pub fn measure(target: &mut dyn Target, clients: usize, plan: &Plan) -> std::io::Result<Measurement> {
    let before = target.counters();
    let mut recorder = Recorder::new(clients, plan.warm_up, plan.duration, target.nodes());
    recorder.at_most = plan.at_most;
    recorder.progress = plan.progress;
    target.drive(&mut recorder)?;
    let after = target.counters();
    Ok(Measurement::of(target.name(), &recorder, &before, &after))
}
