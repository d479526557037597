//! Compares two-phase commit written in the DSL with the same written by hand, in one interleaved run: one
//! coordinator, three participants, nothing durable, payloads of 16 bytes.
//!
//! Targets: `tokio` and `mio` (the baseline on either event loop), `node` (rules by hand on Anabranch's runtime),
//! `dsl`, `durable` (the same with its log on disk, under `--data`). Ratios are to the first target.
//!
//! `--memory N,N,…` instead runs the first target at the first number of clients and shows every node's resident
//! memory after so many transactions.

use anabranch::deploy::Deployment;
use anabranch_benches::baseline::{Loop, cluster};
use anabranch_benches::measure::deployed::{self, Deployed};
use anabranch_benches::measure::{Plan, Report, Target, interleave, interleave::measure};
use anabranch_benches::protocols;
use std::io::{Error, Result};
use std::time::Duration;

const USAGE: &str = "usage: compare_2pc [--targets tokio,mio,node,dsl] [--clients N,N,…] [--rounds N] [--seconds S] [--json FILE]";

fn main() -> Result<()> {
    cluster::maybe_node();
    deployed::maybe_node(protocols::find);
    let mut plan = Plan::default();
    let mut names = "tokio,node,dsl".to_owned();
    let mut json = None;
    let mut data = std::env::temp_dir().join(format!("compare-2pc-{}", std::process::id()));
    let mut memory_after: Vec<u64> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        let number =
            || value.parse::<f64>().map_err(|_| Error::other(format!("{arg} wants a number; {USAGE}")));
        match arg.as_str() {
            "--targets" => names = value,
            "--clients" => plan.clients = value.split(',').filter_map(|n| n.parse().ok()).collect(),
            "--rounds" => plan.rounds = number()? as usize,
            "--seconds" => plan.duration = Duration::from_secs_f64(number()?),
            "--data" => data = value.into(),
            "--memory" => memory_after = value.split(',').filter_map(|n| n.parse().ok()).collect(),
            "--json" => json = Some(value),
            _ => return Err(Error::other(USAGE)),
        }
    }
    let mut targets = Vec::new();
    for name in names.split(',') {
        targets.push(target(name, &data)?);
    }
    if !memory_after.is_empty() {
        let clients = plan.clients.first().copied().unwrap_or(1024);
        return memory(targets[0].as_mut(), clients, &memory_after);
    }
    let report = interleave(&mut targets, &plan, |what| eprintln!("{what}"))?;
    println!("{}", report.table());
    for other in &report.targets[1..] {
        println!("{}", report.ratios(other, &report.targets[0]));
    }
    logs(&report);
    drop(targets);
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    if let Some(path) = json {
        std::fs::write(path, report.json())?;
    }
    Ok(())
}

/// What durability costs: records, writes and syncs of the log per transaction.
fn logs(report: &Report) {
    for clients in report.clients() {
        for target in &report.targets {
            let Some(run) = report.runs_of(target, clients).last() else { continue };
            for node in &run.nodes {
                let of = |name: &str| node.counters.get(name).copied().unwrap_or(0.0);
                if of("syncs") > 0.0 {
                    println!(
                        "{target} {clients:>6} clients {:>14}: {:.4} records, {:.4} writes, {:.4} syncs, {:.0} bytes of log a transaction",
                        node.name,
                        of("log_records"),
                        of("log_writes"),
                        of("syncs"),
                        of("log_bytes")
                    );
                }
            }
        }
    }
}

/// Resident memory after growing numbers of transactions.
fn memory(target: &mut dyn Target, clients: usize, after: &[u64]) -> Result<()> {
    let mut done = 0;
    for &total in after {
        let plan = Plan {
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(3600),
            at_most: Some(total - done),
            ..Plan::default()
        };
        let run = measure(target, clients, &plan)?;
        done += run.operations;
        let rss: Vec<String> = run.nodes.iter().map(|n| format!("{} {:.1} MiB", n.name, n.rss_mib)).collect();
        println!("after {done} transactions: {}", rss.join(", "));
    }
    Ok(())
}

fn target(name: &str, data: &std::path::Path) -> Result<Box<dyn Target>> {
    let compiled = |name: &str, protocol: &str| -> Result<Box<dyn Target>> {
        let protocol = protocols::find(protocol)
            .ok_or_else(|| Error::other(format!("there is no protocol `{protocol}`")))?;
        let mut deployment = Deployment::local(protocol.as_ref(), &[1, 3]);
        if name == "durable" {
            deployment = deployment.durable_in(data);
        }
        Ok(Box::new(Deployed::launch(name, protocol, deployment)?))
    };
    match name {
        "tokio" => Ok(Box::new(cluster::Cluster::start(Loop::Tokio, 3)?)),
        "mio" => Ok(Box::new(cluster::Cluster::start(Loop::Mio, 3)?)),
        "node" => compiled("node by hand", "two_pc_by_hand"),
        "dsl" | "durable" => compiled(name, "two_pc"),
        _ => Err(Error::other(format!("no target is called `{name}`; {USAGE}"))),
    }
}
