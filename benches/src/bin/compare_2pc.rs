//! Compares the compiled two-phase commit with the hand-written one, in one interleaved run.

use anabranch_benches::baseline::{Loop, cluster};
use anabranch_benches::measure::{Plan, Target, interleave};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    cluster::maybe_node();
    let mut plan = Plan::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        match arg.as_str() {
            "--clients" => plan.clients = value.split(',').filter_map(|n| n.parse().ok()).collect(),
            "--rounds" => plan.rounds = value.parse().unwrap_or(3),
            "--seconds" => plan.duration = Duration::from_secs_f64(value.parse().unwrap_or(2.0)),
            _ => {
                eprintln!("usage: compare_2pc [--clients N,N,…] [--rounds N] [--seconds S]");
                std::process::exit(2);
            }
        }
    }
    let mut targets: Vec<Box<dyn Target>> = vec![
        Box::new(cluster::Cluster::start(Loop::Tokio, 3)?),
        Box::new(cluster::Cluster::start(Loop::Mio, 3)?),
    ];
    let report = interleave(&mut targets, &plan, |what| eprintln!("{what}"))?;
    println!("{}", report.table());
    println!("{}", report.ratios(&report.targets[0], &report.targets[1]));
    Ok(())
}
