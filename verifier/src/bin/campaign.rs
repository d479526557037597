//! Runs random programs on interpreter and plan executor, and prints what did what.
//!
//! `cargo run --release -p anabranch-verifier --bin campaign -- --programs 10000 --seed 1`

use anabranch_dsl::codegen::generate;
use anabranch_verifier::campaign::faults::Fault;
use anabranch_verifier::campaign::{Options, campaign, executor, plant};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "campaign [--programs N] [--seed S] [--steps N] [--threads N] [--failures N] [--shrink N] [--alone] [--faults] [--codegen] [--print]";

fn main() -> ExitCode {
    let mut options = Options { threads: 2, ..Options::default() };
    let mut alone = false;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--print" {
            println!("{}", anabranch_verifier::random::program(options.seed));
            return ExitCode::SUCCESS;
        }
        if name == "--faults" {
            return faults(&options);
        }
        if name == "--codegen" {
            return codegen(&options);
        }
        if name == "--alone" {
            alone = true;
            continue;
        }
        let Some(value) = args.next().and_then(|v| v.parse::<u64>().ok()) else {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        };
        match name.as_str() {
            "--programs" => options.programs = value as usize,
            "--seed" => options.seed = value,
            "--steps" => options.steps = value as usize,
            "--threads" => options.threads = value as usize,
            "--shrink" => options.shrink = value as usize,
            "--failures" => options.failures = value as usize,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    // Panics of an engine are findings, printed with the program.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let report = campaign(&options, if alone { None } else { Some(&executor) });
    let seconds = began.elapsed().as_secs_f64();
    for (seed, failure) in &report.failures {
        println!("seed {seed}:\n{failure}");
    }
    for (seed, reason) in report.refused.iter().take(5) {
        println!("seed {seed} was refused: {reason}");
    }
    print!("{report}");
    println!("{seconds:.1} s, {:.0} programs a second", report.programs as f64 / seconds);
    // Refusals are the generator's affair: a check may see through a random program.
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many programs the code generator refuses, and why.
fn codegen(options: &Options) -> ExitCode {
    let mut refused: BTreeMap<String, (usize, u64, String)> = BTreeMap::new();
    let (mut all, mut not) = (0, 0);
    for seed in options.seed..options.seed + options.programs as u64 {
        let text = anabranch_verifier::random::program(seed).to_string();
        let Some(protocol) = anabranch_dsl::parse_str(&text).protocol else { continue };
        all += 1;
        if let Err(errors) = generate(&protocol, &anabranch_dsl::codegen::Options::default()) {
            not += 1;
            let (at, message) = (errors[0].primary.0.start(), errors[0].message.clone());
            let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default().trim().to_string();
            refused.entry(errors[0].code.to_string()).or_insert((0, seed, format!("{message}: {line}"))).0 +=
                1;
        }
    }
    for (code, (n, seed, first)) in &refused {
        println!("{code}: {n}, first in {seed}: {first}");
    }
    println!("{not} of {all} programs are refused by the code generator");
    ExitCode::SUCCESS
}

/// Plants each fault and says how it was noticed.
fn faults(options: &Options) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = 0;
    for fault in Fault::ALL {
        let planted = plant(*fault, options);
        let name = format!("{fault:?}");
        match planted.noticed {
            Some((seed, difference)) => {
                let difference: String = difference.chars().take(110).collect();
                println!("{name:26} noticed in plan {:3}, seed {seed}: {difference}", planted.planted);
            }
            None => {
                missed += 1;
                println!("{name:26} NOT NOTICED in {} plans", planted.planted);
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
