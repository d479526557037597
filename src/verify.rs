//! `anabranch verify`: a protocol in a simulated world, over many seeds.

use crate::Protocols;
use crate::args::Verify;
use crate::deployment::named;
use crate::exit::{CommandError, Exit, Result};
use anabranch::core::node::{Layout, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch_verifier::explore::command::Wanted;
use anabranch_verifier::sim::campaign::{Failure, Options, Progress, Report, campaign};
use anabranch_verifier::sim::checks::AtomicCommit;
use anabranch_verifier::sim::file::Counterexample;
use anabranch_verifier::sim::kv::{self, Linearizable};
use anabranch_verifier::sim::{CheckMaker, Faults, Shape, Tester, Workload};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the command.
pub fn run(args: &Verify, protocols: &Protocols) -> Result {
    let protocol = named(protocols, &args.protocol)?;
    if args.exhaustive || args.against.is_some() {
        return small(args, protocol, protocols);
    }
    let (layout, params) = scope(args, protocol)?;
    let faults = Faults::parse(&args.faults).map_err(CommandError::usage)?;
    let tester = || {
        let mut tester = Tester::new(protocol, layout.clone(), params.clone())?;
        tester.answers = !args.unanswered;
        Ok(usual_checks(protocol).into_iter().fold(tester, Tester::with_check))
    };
    let first = tester().map_err(|problems: Vec<String>| CommandError::usage(problems.join("\n")))?;
    let workload = usual_workload(protocol, first.layout.clone());
    if workload.is_empty() {
        return Err(CommandError::usage(format!(
            "`{}` takes no requests: nothing would happen",
            protocol.name()
        )));
    }
    let options = Options {
        seeds: args.seeds.unwrap_or(1000),
        first: args.first_seed,
        threads: args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        compare: args.compare,
        least_faults: args.least_faults,
        least_answered: args.least_answered,
        shape: Shape {
            clients: args.clients.unwrap_or(8),
            requests: args.requests.unwrap_or(60),
            faults,
            ..Shape::default()
        },
        ..Options::default()
    };
    if !args.json {
        eprintln!("{}: {}, faults {}", protocol.name(), sizes(protocol, &layout), options.shape.faults);
    }
    let bar = bar(args);
    let report = campaign(&tester, &workload, &options, &|progress| show(&bar, progress))
        .map_err(|problems| CommandError::usage(problems.join("\n")))?;
    bar.finish_and_clear();
    let saved = report.failure.as_ref().map(|failure| save(&args.out, &first, failure)).transpose()?;
    match args.json {
        false => tell(&report, saved.as_deref()),
        true => println!("{}", to_json(protocol, &report, saved.as_deref())),
    }
    Ok(match &report {
        Report { failure: Some(_), .. } => Exit::Violation,
        report if !report.vacuous.is_empty() => Exit::Vacuous,
        _ => Exit::Ok,
    })
}

/// Checks of what the library's protocols promise to their clients, beside their own properties.
pub fn usual_checks(protocol: &dyn Protocol) -> Vec<CheckMaker> {
    match protocol.name() {
        "two_pc" | "two_pc_scaled" | "two_pc_ender" => {
            vec![AtomicCommit::maker("commit", "applied", 1, "participant")]
        }
        "multi_paxos" | "multi_paxos_scaled" => vec![Linearizable::maker(kv::Store)],
        _ => Vec::new(),
    }
}

/// What clients of the library's protocols ask for: of any other, random values.
pub fn usual_workload(protocol: &dyn Protocol, layout: Arc<Layout>) -> Workload {
    match protocol.name() {
        "multi_paxos" | "multi_paxos_scaled" => Workload::of(protocol, layout, kv::commands()),
        _ => Workload::random(protocol, layout),
    }
}

/// How many nodes, and with which parameters.
fn scope(args: &Verify, protocol: &'static dyn Protocol) -> Result<(Layout, BTreeMap<String, Value>)> {
    if let Some(path) = &args.deployment {
        let deployment = Deployment::load(path, protocol).map_err(|e| CommandError::usage(e.to_string()))?;
        return Ok(((*deployment.layout()).clone(), deployment.params.clone()));
    }
    let requests = protocol.requests();
    let takes = |role: usize| requests.iter().any(|r| usize::from(r.role) == role);
    let mut layout = Layout::of(
        &(0..protocol.roles().len()).map(|role| if takes(role) { 1 } else { 3 }).collect::<Vec<u32>>(),
    );
    let infos = protocol.role_infos();
    let at = |role: &str| protocol.roles().iter().position(|r| *r == role);
    for (role, n) in numbers(protocol, &args.nodes)? {
        layout.roles[at(&role).expect("known")].instances = n;
    }
    let partitions = numbers(protocol, &args.partitions)?;
    for (role, info) in infos.iter().enumerate() {
        if let Some(whole) = info.whole {
            layout.roles[role].instances = layout.roles[usize::from(whole)].instances;
        }
        if info.partitioned {
            layout.roles[role].partitions = partitions.get(protocol.roles()[role]).copied().unwrap_or(2);
        }
    }
    Ok((layout, BTreeMap::new()))
}

/// A name and a number, as in `role=3`.
fn number(given: &str) -> Option<(&str, u32)> {
    let (name, n) = given.split_once('=')?;
    Some((name.trim(), n.trim().parse().ok()?))
}

/// Numbers by role, as in `role=3`.
fn numbers(protocol: &dyn Protocol, given: &[String]) -> Result<BTreeMap<String, u32>> {
    let mut all = BTreeMap::new();
    for given in given {
        let Some((role, n)) = number(given).filter(|&(_, n)| (1..=1000).contains(&n)) else {
            return Err(CommandError::usage(format!("`{given}` is no number of nodes: write role=3")));
        };
        if !protocol.roles().contains(&role) {
            let roles = protocol.roles().join(", ");
            let name = protocol.name();
            return Err(CommandError::usage(format!(
                "`{name}` has no role `{role}`\n  help: it has {roles}"
            )));
        }
        all.insert(role.to_string(), n);
    }
    Ok(all)
}

/// How many rows of which timers may fire, as in `election=2`.
fn limits(given: &[String]) -> Result<BTreeMap<String, u32>> {
    let wrong = |given: &String| format!("`{given}` is no number of firings: write timer=2");
    let limit = |(timer, n): (&str, u32)| (timer.to_string(), n);
    given.iter().map(|g| number(g).map(limit).ok_or_else(|| CommandError::usage(wrong(g)))).collect()
}

/// What the rewriter knows of the order of deliveries.
fn keys(protocol: &anabranch_dsl::ir::Protocol) -> anabranch_verifier::explore::keys::Keys {
    anabranch_rewriter::analysis::apart::apart(protocol).unwrap_or_default()
}

/// All orders of a small scope, or a comparison with the protocol that this one was made from.
fn small(args: &Verify, protocol: &'static dyn Protocol, protocols: &Protocols) -> Result {
    let wanted = Wanted {
        instances: numbers(protocol, &args.nodes)?,
        partitions: numbers(protocol, &args.partitions)?,
        requests: args.requests.unwrap_or(2) as usize,
        clients: args.clients.unwrap_or(2) as usize,
        crashes: args.crashes,
        timers: args.timers,
        limits: limits(&args.firings)?,
        repeats: args.repeats,
        together: args.together,
        first_seed: args.first_seed,
        max_states: args.max_states,
        seeds: args.seeds.map(|n| n as usize),
        keys: Some(keys),
        ..Wanted::default()
    };
    let told = match &args.against {
        Some(base) => wanted.compare(protocol, named(protocols, base)?),
        None => wanted.explore(protocol),
    };
    let told = told.map_err(CommandError::usage)?;
    match args.json {
        true => println!("{}", told.json),
        false => print!("{}", told.text),
    }
    Ok(match told.code {
        0 => Exit::Ok,
        1 => Exit::Violation,
        4 => Exit::Vacuous,
        _ => Exit::Incomplete,
    })
}

fn sizes(protocol: &dyn Protocol, layout: &Layout) -> String {
    let roles = protocol.roles().iter().zip(&layout.roles);
    let all: Vec<String> = roles
        .map(|(name, size)| match size.partitions {
            1 => format!("{} {name}", size.instances),
            n => format!("{} {name} in {n} partitions", size.instances),
        })
        .collect();
    all.join(", ")
}

fn bar(args: &Verify) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {msg}, {eta} to go");
    ProgressBar::new(args.seeds.unwrap_or(1000)).with_style(style.expect("the template is well-formed"))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    if progress.done.is_multiple_of(16) {
        let rate = progress.messages as f64 / progress.elapsed.as_secs_f64().max(1e-3) / 1e3;
        bar.set_message(format!("{rate:.0} thousand messages/s"));
        bar.set_position(progress.done);
    }
}

fn save(dir: &Path, tester: &Tester, failure: &Failure) -> Result<PathBuf> {
    Counterexample::save(dir, tester, failure).map_err(|e| {
        CommandError::failure(format!("a counterexample cannot be written to {}: {e}", dir.display()))
    })
}

fn tell(report: &Report, saved: Option<&Path>) {
    println!("{report}");
    for name in &report.held {
        println!("held in some run: {name}");
    }
    for reason in &report.vacuous {
        println!("vacuous: {reason}");
    }
    if let (Some(failure), Some(path)) = (&report.failure, saved) {
        println!("\nviolated: {failure}");
        println!("\nsaved; look at it with\n  anabranch replay {}", path.display());
    } else if report.pass() {
        println!("no violation found");
    }
}

fn to_json(protocol: &dyn Protocol, report: &Report, saved: Option<&Path>) -> serde_json::Value {
    let [ok, fail, unknown] = report.requests;
    let failure = report.failure.as_ref().map(|failure| {
        let (plan, violation) = failure.smallest();
        json!({
            "seed": failure.seed,
            "property": violation.property,
            "says": violation.text,
            "events": failure.events,
            "requests": plan.requests(),
            "faults": plan.faults.len(),
            "nodes": plan.layout.nodes(),
            "file": saved.map(|path| path.display().to_string()),
        })
    });
    json!({
        "protocol": protocol.name(),
        "verdict": match () {
            () if report.failure.is_some() => "violated",
            () if !report.vacuous.is_empty() => "vacuous",
            () => "no violation found",
        },
        "passed": report.passed,
        "messages": report.messages,
        "ticks": report.ticks,
        "compared": report.compared,
        "virtual_s": report.span_us as f64 / 1e6,
        "requests": { "answered": ok, "failed": fail, "unknown": unknown },
        "faults_in_a_run": report.fault_counts.range(),
        "answered_in_a_run": report.answered.range(),
        "faults": report.faults.0.iter().map(|(k, n)| (k.name(), *n)).collect::<BTreeMap<_, _>>(),
        "sometimes_held": report.held,
        "vacuous": report.vacuous,
        "elapsed_s": report.elapsed.as_secs_f64(),
        "messages_per_s": report.rate(),
        "failure": failure,
    })
}
