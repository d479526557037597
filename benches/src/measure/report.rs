//! Figures of runs, medians over rounds, ratios between targets, as text and as JSON.

use super::process::Usage;
use super::recorder::Recorder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One run's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The target.
    pub target: String,
    /// Closed-loop clients.
    pub clients: usize,
    /// Length of the measured interval.
    pub seconds: f64,
    /// Operations that ended in it.
    pub operations: u64,
    /// Of these, definitely refused.
    pub refused: u64,
    /// Of these, with unknown outcome.
    pub unknown: u64,
    /// Operations per second.
    pub throughput: f64,
    /// Latencies in microseconds.
    pub latency_us: Latency,
    /// Every node.
    pub nodes: Vec<NodeFigures>,
    /// CPU time of the load generator, microseconds per operation.
    pub client_cpu_us: f64,
    /// Voluntary context switches of all nodes and the load generator, per operation.
    pub wakeups: f64,
    /// The node with the most CPU time per operation.
    pub busiest: Option<String>,
    /// Throughput that the busiest node would allow on a CPU of its own, operations per second.
    pub allowed: Option<f64>,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Default, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// One node's figures, per operation where not said otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct NodeFigures {
    /// The node.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// CPU time in microseconds.
    pub cpu_us: f64,
    /// Part of it in user mode (apportioned by 10 ms ticks).
    pub user_us: f64,
    /// Part of it in the kernel.
    pub system_us: f64,
    /// Voluntary context switches.
    pub wakeups: f64,
    /// Involuntary context switches.
    pub preemptions: f64,
    /// Share of one CPU that it used, 0 to 1 (more with several threads).
    pub load: f64,
    /// Resident memory at the end, in MiB.
    pub rss_mib: f64,
    /// Operations per tick, if the target counts ticks.
    pub batch: Option<f64>,
    /// CPU time per tick in microseconds, if the target counts ticks.
    pub tick_us: Option<f64>,
    /// The target's other counters.
    pub counters: BTreeMap<String, f64>,
}

type Counters = BTreeMap<String, BTreeMap<String, u64>>;

impl Measurement {
    /// Takes a finished recorder's figures together with a target's counters before and after.
    pub fn of(target: String, r: &Recorder, before: &Counters, after: &Counters) -> Measurement {
        let operations = r.operations();
        let ops = operations.max(1) as f64;
        let us = |q: f64| r.latency.value_at_quantile(q) as f64 / 1000.0;
        let seconds = r.measured.as_secs_f64();
        let nodes: Vec<NodeFigures> = r
            .nodes()
            .iter()
            .zip(&r.usage)
            .filter_map(|(node, usage)| {
                let usage: Usage = (*usage)?;
                let cpu_us = usage.cpu_ns as f64 / 1000.0 / ops;
                let grown: BTreeMap<&str, u64> = after
                    .get(&node.name)
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| {
                        (k.as_str(), v - v.min(before.get(&node.name).and_then(|b| b.get(k)).unwrap_or(&0)))
                    })
                    .collect();
                let batch = grown.get("ticks").filter(|t| **t > 0).map(|t| r.total as f64 / *t as f64);
                Some(NodeFigures {
                    name: node.name.clone(),
                    pid: node.pid,
                    cpu_us,
                    user_us: cpu_us * usage.user_share(),
                    system_us: cpu_us * (1.0 - usage.user_share()),
                    wakeups: usage.wakeups as f64 / ops,
                    preemptions: usage.preemptions as f64 / ops,
                    load: usage.cpu_ns as f64 / 1e9 / seconds.max(1e-9),
                    rss_mib: usage.rss_kib as f64 / 1024.0,
                    batch,
                    tick_us: batch.map(|b| cpu_us * b),
                    counters: grown
                        .iter()
                        .map(|(k, v)| ((*k).to_owned(), *v as f64 / r.total.max(1) as f64))
                        .collect(),
                })
            })
            .collect();
        let busiest = nodes.iter().max_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
        Measurement {
            target,
            clients: r.clients,
            seconds,
            operations,
            refused: r.refused,
            unknown: r.unknown,
            throughput: operations as f64 / seconds.max(1e-9),
            latency_us: Latency {
                mean: r.latency.mean() / 1000.0,
                p50: us(0.5),
                p99: us(0.99),
                p999: us(0.999),
                max: us(1.0),
            },
            client_cpu_us: r.own.cpu_ns as f64 / 1000.0 / ops,
            wakeups: nodes.iter().map(|n| n.wakeups).sum::<f64>() + r.own.wakeups as f64 / ops,
            allowed: busiest.filter(|n| n.cpu_us > 0.0).map(|n| 1e6 / n.cpu_us),
            busiest: busiest.map(|n| n.name.clone()),
            nodes,
        }
    }

    /// CPU time of the busiest node, microseconds per operation.
    pub fn busiest_cpu_us(&self) -> f64 {
        self.nodes.iter().map(|n| n.cpu_us).fold(0.0, f64::max)
    }
}

/// All runs.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Report {
    /// Targets, in order.
    pub targets: Vec<String>,
    /// Every run.
    pub runs: Vec<Measurement>,
}

impl Report {
    /// The runs of a target with a number of clients.
    pub fn runs_of<'a>(&'a self, target: &'a str, clients: usize) -> impl Iterator<Item = &'a Measurement> {
        self.runs.iter().filter(move |m| m.target == target && m.clients == clients)
    }

    /// The median of a figure over the rounds; `None` if there was no run.
    pub fn median(&self, target: &str, clients: usize, figure: impl Fn(&Measurement) -> f64) -> Option<f64> {
        median(self.runs_of(target, clients).map(figure).collect())
    }

    /// A figure of `target` over that of `base`, as median of the ratios within each round, with the least and
    /// the greatest.
    pub fn ratio(
        &self,
        target: &str,
        base: &str,
        clients: usize,
        figure: impl Fn(&Measurement) -> f64,
    ) -> Option<(f64, f64, f64)> {
        let ratios: Vec<f64> = self
            .runs_of(target, clients)
            .zip(self.runs_of(base, clients))
            .map(|(a, b)| figure(a) / figure(b))
            .collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(0.0, f64::max);
        Some((median(ratios)?, least, greatest))
    }

    /// All numbers of clients, ascending.
    pub fn clients(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.runs.iter().map(|m| m.clients).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A line per target and number of clients, then a line per node: medians over the rounds.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let wide = self.targets.iter().map(String::len).max().unwrap_or(0).max(6);
        let _ = writeln!(
            out,
            "{:wide$} {:>7} {:>10} {:>9} {:>9} {:>9} {:>8} {:>12} {:>11} {:>8}",
            "target",
            "clients",
            "op/s",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "wakes/op",
            "busiest",
            "its µs/op",
            "allows/s"
        );
        self.each(|target, clients, sample| {
            let m = |figure: fn(&Measurement) -> f64| self.median(target, clients, figure).unwrap_or(0.0);
            let _ = writeln!(
                out,
                "{target:wide$} {clients:>7} {:>10.0} {:>9.1} {:>9.1} {:>9.1} {:>8.2} {:>12} {:>11.3} {:>8.0}",
                m(|m| m.throughput),
                m(|m| m.latency_us.p50),
                m(|m| m.latency_us.p99),
                m(|m| m.latency_us.p999),
                m(|m| m.wakeups),
                sample.busiest.as_deref().unwrap_or("-"),
                m(Measurement::busiest_cpu_us),
                m(|m| m.allowed.unwrap_or(0.0)),
            );
            let lost: u64 = self.runs_of(target, clients).map(|m| m.unknown + m.refused).sum();
            if lost > 0 {
                let _ = writeln!(out, "  of these, {lost} operations were refused or have an unknown outcome");
            }
        });
        let _ = writeln!(
            out,
            "\n{:wide$} {:>7} {:>14} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>8}",
            "target",
            "clients",
            "node",
            "cpu µs/op",
            "user",
            "system",
            "of 1 cpu",
            "op/tick",
            "µs/tick",
            "wakes/op",
            "RSS MiB"
        );
        self.each(|target, clients, sample| {
            for (i, node) in sample.nodes.iter().enumerate() {
                let m = |figure: fn(&NodeFigures) -> f64| {
                    self.median(target, clients, |m| m.nodes.get(i).map_or(0.0, figure)).unwrap_or(0.0)
                };
                let _ = writeln!(
                    out,
                    "{target:wide$} {clients:>7} {:>14} {:>9.3} {:>9.3} {:>9.3} {:>7.0}% {:>9.1} {:>9.1} {:>9.2} {:>8.1}",
                    node.name,
                    m(|n| n.cpu_us),
                    m(|n| n.user_us),
                    m(|n| n.system_us),
                    m(|n| n.load * 100.0),
                    m(|n| n.batch.unwrap_or(0.0)),
                    m(|n| n.tick_us.unwrap_or(0.0)),
                    m(|n| n.wakeups),
                    m(|n| n.rss_mib),
                );
            }
            let client = self.median(target, clients, |m| m.client_cpu_us).unwrap_or(0.0);
            let _ = writeln!(out, "{target:wide$} {clients:>7} {:>14} {client:>9.3}", "(load)");
        });
        out
    }

    /// Ratios of `target` to `base` for every number of clients.
    pub fn ratios(&self, target: &str, base: &str) -> String {
        let mut out = format!("{target} / {base}, median (least to greatest) of the rounds' ratios\n");
        type Figure = (&'static str, fn(&Measurement) -> f64);
        let figures: [Figure; 4] = [
            ("cpu of busiest node", Measurement::busiest_cpu_us),
            ("throughput", |m| m.throughput),
            ("p50 latency", |m| m.latency_us.p50),
            ("wakes per operation", |m| m.wakeups),
        ];
        for clients in self.clients() {
            for (name, figure) in figures {
                if let Some((mid, least, greatest)) = self.ratio(target, base, clients, figure) {
                    let _ = writeln!(
                        out,
                        "{clients:>7} clients  {name:20} {mid:>6.2}  ({least:.2} to {greatest:.2})"
                    );
                }
            }
        }
        out
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("figures have no maps with odd keys")
    }

    fn each(&self, mut line: impl FnMut(&str, usize, &Measurement)) {
        for clients in self.clients() {
            for target in &self.targets {
                if let Some(sample) = self.runs_of(target, clients).next() {
                    line(target, clients, sample);
                }
            }
        }
    }
}

/// The median; of an even number the lower of the two in the middle.
pub fn median(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(target: &str, clients: usize, cpu: f64) -> Measurement {
        let node = NodeFigures {
            name: "c.0".into(),
            pid: 1,
            cpu_us: cpu,
            user_us: cpu,
            system_us: 0.0,
            wakeups: 0.0,
            preemptions: 0.0,
            load: 0.5,
            rss_mib: 1.0,
            batch: None,
            tick_us: None,
            counters: BTreeMap::new(),
        };
        Measurement {
            target: target.into(),
            clients,
            seconds: 1.0,
            operations: 1,
            refused: 0,
            unknown: 0,
            throughput: 1.0,
            latency_us: Latency::default(),
            nodes: vec![node],
            client_cpu_us: 0.0,
            wakeups: 0.0,
            busiest: Some("c.0".into()),
            allowed: Some(1e6 / cpu),
        }
    }

    #[test]
    fn ratios_pair_the_runs_of_a_round() {
        let runs = vec![run("a", 4, 2.0), run("b", 4, 1.0), run("b", 4, 2.0), run("a", 4, 2.0)];
        let report = Report { targets: vec!["a".into(), "b".into()], runs };
        assert_eq!(report.ratio("a", "b", 4, Measurement::busiest_cpu_us), Some((1.0, 1.0, 2.0)));
        assert_eq!(report.ratio("a", "b", 5, Measurement::busiest_cpu_us), None);
        assert!(report.table().contains("a            4"));
        assert!(report.json().contains("\"busiest\": \"c.0\""));
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(1.0));
    }
}
