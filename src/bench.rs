//! `anabranch bench`: deployments on loopback under closed-loop load; a base against its scaled forms.

use crate::Protocols;
use crate::args::{Bench, Format};
use crate::deploy::launch;
use crate::deployment::{load as load_deployment, named, shared};
use crate::exit::{CommandError, Exit, Result};
use anabranch::core::node::Protocol;
use anabranch::deploy::Deployment;
use anabranch::launch::Cluster;
use anabranch_benches::measure::interleave::measure;
use anabranch_benches::measure::{
    Comparison, Deployed, Plan, Report, Shape, Share, Target, Workload, comparisons,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

/// Runs the command.
pub fn run(args: &Bench, protocols: &Protocols) -> Result {
    if !(args.duration > 0.0 && args.duration < 1e6) || args.clients.contains(&0) || args.clients.is_empty() {
        return Err(CommandError::usage("a measurement needs at least one client and some time"));
    }
    let mut named_protocols = Vec::new();
    for (i, name) in args.protocols.iter().enumerate() {
        if args.protocols[..i].contains(name) {
            return Err(CommandError::usage(format!("`{name}` is named twice")));
        }
        named_protocols.push(named(protocols, name)?);
    }
    let deployments = deployments(args, protocols, &named_protocols)?;
    let mut running = Vec::new();
    for (protocol, deployment) in named_protocols.into_iter().zip(deployments) {
        running.push(start(args, protocol, deployment)?);
    }
    let report = load(args, &mut running);
    for Running { cluster, target, .. } in running {
        drop(target);
        cluster.stop(Duration::from_secs(10));
    }
    let report = report?;
    let mut compared: Vec<Comparison> = Vec::new();
    for scaled in &args.protocols[1..] {
        compared.extend(comparisons(&report, &args.protocols[0], scaled));
    }
    print(args, &report, &compared)
}

fn print(args: &Bench, report: &Report, compared: &[Comparison]) -> Result {
    let runs: Value = serde_json::from_str(&report.json()).expect("a report is JSON");
    let all = json!({ "runs": runs, "comparisons": compared });
    match args.format {
        Format::Json => println!("{all:#}"),
        Format::Text => {
            println!("{}", report.table());
            for comparison in compared {
                println!("{}", comparison.text());
            }
        }
    }
    if let Some(dir) = &args.out {
        let path = dir.join(format!("{}.json", args.protocols.join("_against_")));
        let text = if compared.is_empty() { report.json() } else { format!("{all:#}") };
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| CommandError::failure(format!("{} cannot be written: {e}", path.display())))?;
        eprintln!("written: {}", path.display());
    }
    Ok(Exit::Ok)
}

/// A protocol's deployment while it runs.
struct Running {
    cluster: Cluster,
    target: Deployed,
    /// The most partitions that an instance of a role has.
    partitions: u32,
}

fn start(args: &Bench, protocol: &'static dyn Protocol, deployment: Deployment) -> Result<Running> {
    let shape = Shape { payload: args.payload, ..Shape::default() };
    let mix: Vec<Share> =
        args.request.iter().map(|r| Share { request: r.clone(), weight: 1, fixed: Vec::new() }).collect();
    let workload = Workload::new(protocol, &deployment.layout(), &mix, &shape)
        .map_err(|e| CommandError::usage(format!("{}: {e}", protocol.name())))?;
    let sizes: Vec<String> = deployment
        .roles
        .iter()
        .map(|r| match r.partitions {
            1 => format!("{} {}", r.instances, r.name),
            n => format!("{} {} of {n} partitions", r.instances, r.name),
        })
        .collect();
    eprintln!("{}: {}, durability {:?}", protocol.name(), sizes.join(", "), deployment.durability);
    let partitions = deployment.roles.iter().map(|r| r.partitions).max().unwrap_or(1);
    let cluster = launch(shared(protocol), deployment, &mut |_| {})?;
    let target = Deployed::new(protocol.name(), shared(protocol), cluster.deployment().clone(), workload);
    Ok(Running { target: target.map_err(failure)?, cluster, partitions })
}

fn failure(error: std::io::Error) -> CommandError {
    CommandError::failure(error.to_string())
}

/// From files where there are some; the others by default.
fn deployments(
    args: &Bench,
    protocols: &Protocols,
    measured: &[&'static dyn Protocol],
) -> Result<Vec<Deployment>> {
    let mut found: Vec<Option<Deployment>> = measured.iter().map(|_| None).collect();
    for path in &args.deployment {
        let (protocol, deployment) = load_deployment(path, protocols)?;
        let Some(at) = measured.iter().position(|p| p.name() == protocol.name()) else {
            let message =
                format!("{}: a deployment of `{}`, which is not measured", path.display(), protocol.name());
            return Err(CommandError::usage(message));
        };
        if found[at].replace(deployment).is_some() {
            return Err(CommandError::usage(format!("two deployments of `{}` are given", protocol.name())));
        }
    }
    let partitions = partitions(&args.partitions, measured)?;
    let mut out: Vec<Deployment> = Vec::new();
    for (protocol, given) in measured.iter().zip(found) {
        let deployment = match given {
            Some(deployment) => deployment,
            None => default_deployment(*protocol, out.first(), &partitions)?,
        };
        out.push(deployment);
    }
    Ok(out)
}

/// `N` for all roles, or `ROLE=N`: later ones win.
fn partitions(texts: &[String], protocols: &[&'static dyn Protocol]) -> Result<Vec<(Option<String>, u32)>> {
    let mut out = Vec::new();
    for text in texts {
        let (role, n) = match text.split_once('=') {
            Some((role, n)) => (Some(role.trim().to_string()), n),
            None => (None, text.as_str()),
        };
        let n: u32 = n.trim().parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| {
            CommandError::usage(format!("{text:?} is no number of partitions\n  help: `3` or `ender=3`"))
        })?;
        if let Some(role) = &role {
            let partitioned = |p: &&'static dyn Protocol| {
                let at = p.roles().iter().position(|r| r == role);
                at.is_some_and(|at| p.role_infos()[at].partitioned)
            };
            if !protocols.iter().any(partitioned) {
                return Err(CommandError::usage(format!("no protocol has a partitioned role `{role}`")));
            }
        }
        out.push((role, n));
    }
    Ok(out)
}

/// One instance of each role that takes requests, three of each other; of roles that the base has too, as many as
/// there.
fn default_deployment(
    protocol: &dyn Protocol,
    base: Option<&Deployment>,
    partitions: &[(Option<String>, u32)],
) -> Result<Deployment> {
    let (requests, infos) = (protocol.requests(), protocol.role_infos());
    // A role takes requests if any part of it does.
    let whole = |role: usize| infos[role].whole.map_or(role, usize::from);
    let takes = |role: usize| requests.iter().any(|r| whole(usize::from(r.role)) == role);
    let size = |(role, name): (usize, &&str)| {
        let same = base.and_then(|base| base.roles.iter().find(|r| r.name == *name));
        same.map_or(if takes(role) { 1 } else { 3 }, |r| r.instances)
    };
    let sizes: Vec<u32> = protocol.roles().iter().enumerate().map(size).collect();
    let mut deployment = Deployment::local(protocol, &sizes);
    for (role, info) in deployment.roles.iter_mut().zip(&infos).filter(|(_, info)| info.partitioned) {
        let _ = info;
        for (name, n) in partitions {
            if name.as_ref().is_none_or(|name| *name == role.name) {
                role.partitions = *n;
            }
        }
    }
    let problems = deployment.check(protocol);
    if problems.is_empty() {
        return Ok(deployment);
    }
    let message =
        format!("{}\n  help: say with --deployment FILE how many nodes there are", problems.join("\n"));
    Err(CommandError::usage(message))
}

/// The bar that measurements report to: they take a plain function.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// How many times more clients a scaled form is driven with: as many as it has partitions, so that its nodes see batches
/// like those of its base; and twice that, since more nodes on the same cores take turns more often.
fn more(partitions: u32) -> [usize; 2] {
    let n = partitions as usize;
    if n > 1 { [n, 2 * n] } else { [1; 2] }
}

/// Loads all in turn, round by round. A scaled form is driven with more clients, too ([`more`]).
fn load(args: &Bench, running: &mut [Running]) -> Result<Report> {
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        let style =
            ProgressStyle::with_template("{msg} {bar:40} {percent}%").expect("the template is well-formed");
        BAR.get_or_init(|| ProgressBar::new(100)).set_style(style);
    }
    let plan = Plan {
        clients: args.clients.clone(),
        rounds: if running.len() > 1 { args.rounds.max(1) } else { 1 },
        warm_up: Duration::from_secs_f64((args.duration / 5.0).clamp(0.2, 2.0)),
        duration: Duration::from_secs_f64(args.duration),
        at_most: None,
        progress: terminal
            .then_some(|done| BAR.get().iter().for_each(|bar| bar.set_position((done * 100.0) as u64))),
    };
    let mut report =
        Report { targets: running.iter().map(|r| r.target.name()).collect(), ..Report::default() };
    let mut all = plan.clients.clone();
    for one in running.iter().skip(1).filter(|one| one.partitions > 1) {
        for times in more(one.partitions) {
            all.extend(plan.clients.iter().map(|n| n * times));
        }
    }
    all.sort_unstable();
    all.dedup();
    for round in 0..plan.rounds {
        for &clients in &all {
            let n = running.len();
            for i in 0..n {
                // Who comes first changes, lest one always follows an idle machine.
                let at = (i + round) % n;
                let one = &mut running[at];
                let times = if at == 0 { [1; 2] } else { more(one.partitions) };
                let meant = |&c: &usize| c == clients || times.iter().any(|n| c * n == clients);
                if !plan.clients.iter().any(meant) {
                    continue;
                }
                let text = format!("{}, {clients} clients, round {}", one.target.name(), round + 1);
                match BAR.get() {
                    Some(bar) => bar.set_message(text),
                    None => eprintln!("{text}"),
                }
                report.runs.push(measure(&mut one.target, clients, &plan).map_err(failure)?);
            }
        }
    }
    BAR.get().iter().for_each(|bar| bar.finish_and_clear());
    Ok(report)
}
