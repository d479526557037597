//! `anabranch bench`: a deployment on loopback under closed-loop load.

use crate::Protocols;
use crate::args::Bench;
use crate::deploy::launch;
use crate::deployment::{named, shared};
use crate::exit::{CommandError, Exit, Result};
use anabranch::core::node::Protocol;
use anabranch::deploy::Deployment;
use anabranch_benches::measure::interleave::measure;
use anabranch_benches::measure::{Deployed, Plan, Report, Shape, Share, Target, Workload};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

/// Runs the command.
pub fn run(args: &Bench, protocols: &Protocols) -> Result {
    let protocol = named(protocols, &args.protocol)?;
    if !(args.duration > 0.0 && args.duration < 1e6) || args.clients.contains(&0) || args.clients.is_empty() {
        return Err(CommandError::usage("a measurement needs at least one client and some time"));
    }
    let deployment = match &args.deployment {
        Some(path) => Deployment::load(path, protocol).map_err(|e| CommandError::usage(e.to_string()))?,
        None => default_deployment(protocol)?,
    };
    let shape = Shape { payload: args.payload, ..Shape::default() };
    let mix: Vec<Share> =
        args.request.iter().map(|r| Share { request: r.clone(), weight: 1, fixed: Vec::new() }).collect();
    let workload = Workload::new(protocol, &deployment.layout(), &mix, &shape)
        .map_err(|e| CommandError::usage(e.to_string()))?;
    let sizes: Vec<String> = deployment.roles.iter().map(|r| format!("{} {}", r.instances, r.name)).collect();
    eprintln!("{}: {}, durability {:?}", protocol.name(), sizes.join(", "), deployment.durability);

    let cluster = launch(shared(protocol), deployment, &mut |_| {})?;
    let target = Deployed::new(protocol.name(), shared(protocol), cluster.deployment().clone(), workload);
    let report = target.map_err(failure).and_then(|mut target| load(args, &mut target));
    cluster.stop(Duration::from_secs(10));
    let report = report?;
    println!("{}", report.table());
    if let Some(dir) = &args.out {
        let path = dir.join(format!("{}.json", protocol.name()));
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, report.json()))
            .map_err(|e| CommandError::failure(format!("{} cannot be written: {e}", path.display())))?;
        eprintln!("written: {}", path.display());
    }
    Ok(Exit::Ok)
}

fn failure(error: std::io::Error) -> CommandError {
    CommandError::failure(error.to_string())
}

/// One node for each role that takes requests, three for each other.
fn default_deployment(protocol: &dyn Protocol) -> Result<Deployment> {
    let requests = protocol.requests();
    let takes = |role: usize| requests.iter().any(|r| usize::from(r.role) == role);
    let roles = protocol.roles().len();
    let sizes: Vec<u32> = (0..roles).map(|role| if takes(role) { 1 } else { 3 }).collect();
    let deployment = Deployment::local(protocol, &sizes);
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

fn load(args: &Bench, target: &mut dyn Target) -> Result<Report> {
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        let style =
            ProgressStyle::with_template("{msg} {bar:40} {percent}%").expect("the template is well-formed");
        BAR.get_or_init(|| ProgressBar::new(100)).set_style(style);
    }
    let plan = Plan {
        clients: args.clients.clone(),
        rounds: 1,
        warm_up: Duration::from_secs_f64((args.duration / 5.0).clamp(0.2, 2.0)),
        duration: Duration::from_secs_f64(args.duration),
        at_most: None,
        progress: terminal
            .then_some(|done| BAR.get().iter().for_each(|bar| bar.set_position((done * 100.0) as u64))),
    };
    let mut report = Report { targets: vec![target.name()], ..Report::default() };
    for &clients in &plan.clients {
        match BAR.get() {
            Some(bar) => bar.set_message(format!("{clients} clients")),
            None => eprintln!("{clients} clients"),
        }
        report.runs.push(measure(target, clients, &plan).map_err(failure)?);
    }
    BAR.get().iter().for_each(|bar| bar.finish_and_clear());
    Ok(report)
}
