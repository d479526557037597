//! A base program against a scaled form of it: by throughput as it ran, and by the busiest node.
//!
//! On one machine all nodes share its cores, so that throughput as it ran says little about what separate machines
//! would do. The busiest node does: a deployment on machines of its own takes at most 1 / (its CPU time per
//! operation). CPU time per operation falls with the batch (what a tick takes in at once), so sides are compared
//! at the same number of clients, and where their busiest nodes see the most similar batches.

use super::report::{Measurement, NodeFigures, Report, median};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The figures of one target at one number of clients: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The target.
    pub target: String,
    /// Closed-loop clients.
    pub clients: usize,
    /// Operations per second, as it ran.
    pub throughput: f64,
    /// Median latency in microseconds, as it ran.
    pub p50_us: f64,
    /// The role of the busiest node.
    pub busiest: String,
    /// Its CPU time, microseconds per operation of the whole deployment.
    pub busiest_cpu_us: f64,
    /// Throughput that it would allow on a CPU of its own, operations per second.
    pub allowed: f64,
    /// Messages and requests that it takes in a tick.
    pub busiest_batch: f64,
    /// CPU time of all nodes together, microseconds per operation.
    pub total_cpu_us: f64,
    /// Operations that failed or have an unknown outcome, in all rounds.
    pub failed: u64,
    /// Every role.
    pub roles: Vec<RoleFigures>,
}

/// A role's share.
#[derive(Clone, Debug, Serialize)]
pub struct RoleFigures {
    /// The role.
    pub role: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// CPU time of all its nodes, microseconds per operation.
    pub cpu_us: f64,
    /// CPU time of the busiest of them.
    pub busiest_cpu_us: f64,
    /// Messages and requests that a tick of the busiest takes in.
    pub batch: f64,
}

/// Two sides and their ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Why these two runs: the same clients, or the most similar batches.
    pub at: &'static str,
    /// The base.
    pub base: Side,
    /// The scaled form.
    pub scaled: Side,
    /// Scaled over base: throughput as it ran.
    pub throughput: f64,
    /// Scaled over base: throughput that the busiest node allows.
    pub allowed: f64,
    /// Scaled over base: CPU time of all nodes.
    pub total_cpu: f64,
}

/// Messages and requests per macro-step: those ticks of it that were deferred take nothing new.
fn batch(node: &NodeFigures) -> f64 {
    let of = |name: &str| node.counters.get(name).copied().unwrap_or(0.0);
    let ticks = of("steps");
    if ticks > 0.0 { (of("messages_in") + of("requests_in")) / ticks } else { 0.0 }
}

fn role(node: &NodeFigures) -> &str {
    node.name.split('.').next().unwrap_or(&node.name)
}

impl Side {
    /// A target at a number of clients; `None` if it was not measured there.
    pub fn of(report: &Report, target: &str, clients: usize) -> Option<Side> {
        let runs: Vec<&Measurement> = report.runs_of(target, clients).collect();
        let mid = |figure: &dyn Fn(&Measurement) -> f64| median(runs.iter().map(|m| figure(m)).collect());
        let busiest_of =
            |m: &Measurement| m.nodes.iter().max_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us)).cloned();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut order = Vec::new();
        for node in &runs.first()?.nodes {
            *names.entry(role(node)).or_insert_with(|| {
                order.push(role(node));
                0
            }) += 1;
        }
        let roles = order.iter().map(|&name| {
            let mine = |m: &Measurement| -> Vec<NodeFigures> {
                m.nodes.iter().filter(|n| role(n) == name).cloned().collect()
            };
            let top = |m: &Measurement| mine(m).into_iter().max_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
            Some(RoleFigures {
                role: name.to_owned(),
                nodes: names[name],
                cpu_us: mid(&|m| mine(m).iter().map(|n| n.cpu_us).sum())?,
                busiest_cpu_us: mid(&|m| top(m).map_or(0.0, |n| n.cpu_us))?,
                batch: mid(&|m| top(m).map_or(0.0, |n| batch(&n)))?,
            })
        });
        let roles: Vec<RoleFigures> = roles.collect::<Option<_>>()?;
        let most = roles.iter().max_by(|a, b| a.busiest_cpu_us.total_cmp(&b.busiest_cpu_us))?;
        let busiest_cpu_us = mid(&Measurement::busiest_cpu_us)?;
        Some(Side {
            target: target.to_owned(),
            clients,
            throughput: mid(&|m| m.throughput)?,
            p50_us: mid(&|m| m.latency_us.p50)?,
            busiest: most.role.clone(),
            busiest_cpu_us,
            allowed: if busiest_cpu_us > 0.0 { 1e6 / busiest_cpu_us } else { 0.0 },
            busiest_batch: mid(&|m| busiest_of(m).map_or(0.0, |n| batch(&n)))?,
            total_cpu_us: mid(&|m| m.nodes.iter().map(|n| n.cpu_us).sum())?,
            failed: runs.iter().map(|m| m.unknown + m.refused).sum(),
            roles,
        })
    }
}

/// All comparisons of a scaled target with its base: one for each number of clients that both were driven with, and
/// one where their busiest nodes saw the most similar batches.
pub fn comparisons(report: &Report, base: &str, scaled: &str) -> Vec<Comparison> {
    let sides = |target: &str| -> Vec<Side> {
        report.clients().into_iter().filter_map(|clients| Side::of(report, target, clients)).collect()
    };
    let (bases, scales) = (sides(base), sides(scaled));
    let mut out = Vec::new();
    for b in &bases {
        out.extend(scales.iter().find(|s| s.clients == b.clients).map(|s| pair("the same clients", b, s)));
    }
    // How far apart two batches are, and for equals the one with more load.
    let apart = |b: &Side, s: &Side| {
        let ratio = b.busiest_batch.max(0.01) / s.busiest_batch.max(0.01);
        ratio.max(1.0 / ratio)
    };
    let pairs = bases.iter().flat_map(|b| scales.iter().map(move |s| (b, s)));
    let busy = pairs.filter(|(b, _)| bases.len() == 1 || b.clients == bases[bases.len() - 1].clients);
    if let Some((b, s)) = busy.min_by(|x, y| apart(x.0, x.1).total_cmp(&apart(y.0, y.1))) {
        out.push(pair("similar batches", b, s));
    }
    out
}

fn pair(at: &'static str, base: &Side, scaled: &Side) -> Comparison {
    let over = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    Comparison {
        at,
        throughput: over(scaled.throughput, base.throughput),
        allowed: over(scaled.allowed, base.allowed),
        total_cpu: over(scaled.total_cpu_us, base.total_cpu_us),
        base: base.clone(),
        scaled: scaled.clone(),
    }
}

impl Comparison {
    /// Both sides, their ratios, and every role's CPU time before and after.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let Comparison { base, scaled, .. } = self;
        let wide = base.target.len().max(scaled.target.len()).max(8);
        let _ = writeln!(out, "{} against {}, at {}", scaled.target, base.target, self.at);
        let _ = writeln!(
            out,
            "  {:wide$} {:>7} {:>9} {:>9}  {:16} {:>9} {:>9} {:>9} {:>10}",
            "", "clients", "op/s", "p50 µs", "busiest", "its µs/op", "allows/s", "its batch", "all µs/op"
        );
        for side in [base, scaled] {
            let _ = writeln!(
                out,
                "  {:wide$} {:>7} {:>9.0} {:>9.1}  {:16} {:>9.3} {:>9.0} {:>9.1} {:>10.3}",
                side.target,
                side.clients,
                side.throughput,
                side.p50_us,
                side.busiest,
                side.busiest_cpu_us,
                side.allowed,
                side.busiest_batch,
                side.total_cpu_us,
            );
            if side.failed > 0 {
                let _ = writeln!(out, "  {:wide$} {} operations failed", "", side.failed);
            }
        }
        let _ = writeln!(
            out,
            "  {:wide$} {:>7} {:>8.2}× {:>9}  {:16} {:>9} {:>8.2}× {:>9} {:>9.2}×",
            "ratio", "", self.throughput, "", "", "", self.allowed, "", self.total_cpu
        );
        let _ = writeln!(
            out,
            "\n  {:16} {:>6} {:>11} {:>9} {:>7}   {:>6} {:>11} {:>9} {:>7}",
            "role", "nodes", "µs/op each", "all", "batch", "nodes", "µs/op each", "all", "batch"
        );
        let mut names: Vec<&str> = base.roles.iter().map(|r| r.role.as_str()).collect();
        names.extend(scaled.roles.iter().map(|r| r.role.as_str()));
        let mut seen = Vec::new();
        names.retain(|name| !seen.contains(name) && (seen.push(*name), true).1);
        let cells = |side: &Side, name: &str| match side.roles.iter().find(|r| r.role == name) {
            None => format!("{:>6} {:>11} {:>9} {:>7}", "-", "-", "-", "-"),
            Some(r) => {
                format!("{:>6} {:>11.3} {:>9.3} {:>7.1}", r.nodes, r.busiest_cpu_us, r.cpu_us, r.batch)
            }
        };
        for name in names {
            let _ = writeln!(out, "  {name:16} {}   {}", cells(base, name), cells(scaled, name));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::report::Latency;

    /// A run of nodes with (name, CPU per operation, batch).
    fn run(target: &str, clients: usize, throughput: f64, nodes: &[(&str, f64, f64)]) -> Measurement {
        let node = |&(name, cpu_us, batch): &(&str, f64, f64)| NodeFigures {
            name: name.into(),
            pid: 1,
            cpu_us,
            user_us: 0.0,
            system_us: 0.0,
            wakeups: 0.0,
            preemptions: 0.0,
            load: 0.0,
            rss_mib: 0.0,
            batch: None,
            tick_us: None,
            counters: [("steps", 0.5), ("messages_in", batch / 2.0)].map(|(k, v)| (k.to_string(), v)).into(),
        };
        Measurement {
            target: target.into(),
            clients,
            seconds: 1.0,
            operations: 1,
            refused: 0,
            unknown: 0,
            throughput,
            latency_us: Latency::default(),
            nodes: nodes.iter().map(node).collect(),
            client_cpu_us: 0.0,
            wakeups: 0.0,
            busiest: None,
            allowed: None,
        }
    }

    #[test]
    fn ratios_are_scaled_over_base_and_batches_are_matched() {
        let runs = vec![
            run("p", 10, 100.0, &[("c.0", 4.0, 20.0), ("q.0", 1.0, 5.0)]),
            run("s", 10, 150.0, &[("c.0", 2.0, 4.0), ("e.0.0", 1.0, 4.0), ("e.0.1", 1.5, 4.0)]),
            run("s", 50, 200.0, &[("c.0", 1.0, 19.0), ("e.0.0", 0.5, 9.0), ("e.0.1", 0.5, 9.0)]),
        ];
        let report = Report { targets: vec!["p".into(), "s".into()], runs };
        let all = comparisons(&report, "p", "s");
        let [same, similar] = &all[..] else { panic!("two comparisons, not {all:?}") };
        assert_eq!((same.at, same.scaled.clients), ("the same clients", 10));
        assert_eq!((same.throughput, same.allowed, same.total_cpu), (1.5, 2.0, 0.9));
        assert_eq!((similar.at, similar.scaled.clients), ("similar batches", 50));
        assert_eq!((similar.allowed, similar.scaled.busiest_batch), (4.0, 19.0));
        let e = same.scaled.roles.iter().find(|r| r.role == "e").expect("the role");
        assert_eq!((e.nodes, e.cpu_us, e.busiest_cpu_us), (2, 2.5, 1.5));
        let text = same.text();
        assert!(text.contains("s against p, at the same clients"), "{text}");
        assert!(text.contains("ratio") && text.contains("1.50×") && text.contains("2.00×"), "{text}");
    }
}
