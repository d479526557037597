//! A soundness campaign: `cargo run --release -p anabranch-soundness --bin soundness -- [first seed] [programs]`

use anabranch_soundness::pairs::{Acceptance, rewritings};
use anabranch_soundness::program::program;
use anabranch_verifier::soundness::campaign::{Case, Options, campaign};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let (Ok(first), Ok(programs)) = (args.next().unwrap_or(Ok(1)), args.next().unwrap_or(Ok(200))) else {
        eprintln!("soundness [first seed] [programs]");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let mut acceptance = Acceptance::new();
    let cases = (first..first + programs).flat_map(|seed| {
        let found = rewritings(seed, &program(seed), &mut acceptance);
        found.into_iter().map(|r| Box::new(r) as Box<dyn Case>).collect::<Vec<_>>()
    });
    let report = campaign(cases, &Options::default(), false);
    for failure in report.failures.iter().take(3) {
        println!("{}\n{}\n", failure.name, failure.compared);
    }
    for problem in report.problems.iter().take(3) {
        println!("could not be run: {problem}");
    }
    println!("{report}");
    for (name, (asked, accepted)) in &acceptance {
        println!("{name:34} accepted {accepted} of {asked}");
    }
    let pairs: usize = report.by_rewrite.values().flatten().sum();
    println!("{programs} programs, {pairs} pairs, {:.1} s", began.elapsed().as_secs_f64());
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
