//! Feeds decoders damaged input for as long as one likes and reports how much of it was refused:
//! `cargo run --release -p anabranch-core --example fuzz -- [INPUTS] [FIRST SEED] [TARGET]`.
//! A failure names the target and the seed; run it alone with `1 SEED TARGET`.

#[path = "../tests/fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;
use targets::{Dice, Outcome, TARGETS};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| match args.next().map(|arg| arg.parse()) {
        None => default,
        Some(Ok(n)) => n,
        Some(Err(error)) => {
            eprintln!("not a number: {error}");
            std::process::exit(2);
        }
    };
    let (inputs, first) = (number(1_000_000), number(0));
    let only = args.next();
    let mut failed = false;
    for (name, target) in TARGETS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        // Every input for the log is a disk with several files.
        let inputs = if name == "log" && only.is_none() { inputs.div_ceil(20) } else { inputs };
        let mut refused = 0u64;
        for seed in first..first + inputs {
            match catch_unwind(|| target(&mut Dice::new(seed))) {
                Ok(outcome) => refused += u64::from(outcome == Outcome::Refused),
                Err(_) => {
                    println!("{name}: seed {seed} fails");
                    failed = true;
                    break;
                }
            }
        }
        println!("{name}: {inputs} inputs, {refused} refused");
    }
    std::process::exit(i32::from(failed));
}
