//! Compares two-phase commit written in the DSL with the same written by hand, in one interleaved run: one
//! coordinator, three participants, nothing durable, payloads of 16 bytes.
//!
//! Targets: `tokio` and `mio` (the baseline on either event loop), `node` (rules by hand on Anabranch's runtime),
//! `dsl`. Ratios are to the first target.

use anabranch::deploy::Deployment;
use anabranch_benches::baseline::{Loop, cluster};
use anabranch_benches::measure::deployed::{self, Deployed};
use anabranch_benches::measure::{Plan, Target, interleave};
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
            "--json" => json = Some(value),
            _ => return Err(Error::other(USAGE)),
        }
    }
    let mut targets = Vec::new();
    for name in names.split(',') {
        targets.push(target(name)?);
    }
    let report = interleave(&mut targets, &plan, |what| eprintln!("{what}"))?;
    println!("{}", report.table());
    for other in &report.targets[1..] {
        println!("{}", report.ratios(other, &report.targets[0]));
    }
    if let Some(path) = json {
        std::fs::write(path, report.json())?;
    }
    Ok(())
}

fn target(name: &str) -> Result<Box<dyn Target>> {
    let compiled = |name: &str, protocol: &str| -> Result<Box<dyn Target>> {
        let protocol = protocols::find(protocol)
            .ok_or_else(|| Error::other(format!("there is no protocol `{protocol}`")))?;
        let deployment = Deployment::local(protocol.as_ref(), &[1, 3]);
        Ok(Box::new(Deployed::launch(name, protocol, deployment)?))
    };
    match name {
        "tokio" => Ok(Box::new(cluster::Cluster::start(Loop::Tokio, 3)?)),
        "mio" => Ok(Box::new(cluster::Cluster::start(Loop::Mio, 3)?)),
        "node" => compiled("node by hand", "two_pc_by_hand"),
        "dsl" => compiled("dsl", "two_pc"),
        _ => Err(Error::other(format!("no target is called `{name}`; {USAGE}"))),
    }
}
