//! Vote counting by hand, by the DSL and by differential-dataflow.
//!
//! - `votes rate [KEYS]`: cost per vote when keys are forgotten, sequential and shuffled, interleaved.
//! - `votes kept [KEYS]`: the same when they are kept, at sizes up to KEYS.
//! - `votes stall [KEYS]`: the slowest ticks while the table grows to KEYS.
//! - `votes ticks NAME ROWS TICKS`: for instruction counts, see `benches/instructions.sh`.

use anabranch_benches::measure::report::median;
use anabranch_benches::votes::stream::{Order, Random, votes};
use anabranch_benches::votes::timing::{Cost, run, slowest_ticks};
use anabranch_benches::votes::{Counter, Vote, by_hand, containers, dsl};
use std::time::Duration;

const PER_TICK: usize = 100;
const ROUNDS: usize = 5;

type Make = fn() -> Box<dyn Counter>;

const FORGETTING: [Make; 4] = [
    || Box::<by_hand::Forgetting>::default(),
    || Box::<by_hand::Framed>::default(),
    || Box::<containers::Forgetting>::default(),
    || Box::new(dsl::Compiled::forgetting()),
];

const KEEPING: [Make; 3] = [
    || Box::<by_hand::Keeping>::default(),
    || Box::<containers::Keeping>::default(),
    || Box::new(dsl::Compiled::keeping()),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).and_then(|n| n.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("rate") => rate(number(1, 1_000_000)),
        Some("kept") => kept(number(1, 10_000_000)),
        Some("stall") => stall(number(1, 10_000_000)),
        Some("ticks") => ticks(&args[1..]),
        _ => {
            eprintln!("usage: votes rate [KEYS] | kept [KEYS] | stall [KEYS] | ticks NAME ROWS TICKS");
            std::process::exit(2);
        }
    }
}

fn rate(keys: usize) {
    for order in [Order::Sequential, Order::Shuffled(1000), Order::Shuffled(100_000)] {
        let stream = votes(order, 0, keys);
        println!("{order:?}, {keys} keys, {PER_TICK} votes a tick, forgotten");
        let mut all: Vec<(String, Vec<f64>)> = Vec::new();
        for _ in 0..ROUNDS {
            for make in FORGETTING {
                let mut counter = make();
                let cost = run(counter.as_mut(), &stream, PER_TICK);
                assert_eq!(cost.emitted, keys as u64, "{} lost keys", counter.name());
                note(&mut all, counter.name(), cost);
            }
            #[cfg(feature = "differential")]
            for (name, voters, forget) in [
                ("differential", true, true),
                ("differential, kept", true, false),
                ("differential, voters ignored", false, true),
            ] {
                note(&mut all, name, differential(&stream, voters, forget));
            }
        }
        print(&all);
    }
}

#[cfg(feature = "differential")]
fn differential(stream: &[Vote], voters: bool, forget: bool) -> Cost {
    use anabranch_benches::votes::differential::{Count, run};
    use anabranch_benches::votes::timing::thread_cpu;
    // It is slow: a tenth of the votes will do.
    let part = stream[..stream.len() / 10].to_vec();
    let votes = part.len() as u64;
    let before = thread_cpu();
    let emitted = run(part, PER_TICK, if voters { Count::Voters } else { Count::Votes }, forget);
    Cost { votes, emitted, cpu: thread_cpu() - before }
}

fn note(all: &mut Vec<(String, Vec<f64>)>, name: &str, cost: Cost) {
    match all.iter_mut().find(|(n, _)| n == name) {
        Some((_, costs)) => costs.push(cost.ns_per_vote()),
        None => all.push((name.to_owned(), vec![cost.ns_per_vote()])),
    }
}

fn print(all: &[(String, Vec<f64>)]) {
    let first = median(all[0].1.clone()).unwrap_or(1.0);
    for (name, costs) in all {
        let ns = median(costs.clone()).unwrap_or(0.0);
        println!("  {name:28} {ns:8.1} ns/vote {:8.2} M votes/s {:7.2} × by hand", 1e3 / ns, ns / first);
    }
}

/// Ticks of votes for keys that are already there or new, half and half, at each size.
fn kept(most: usize) {
    let mut counters: Vec<Box<dyn Counter>> = KEEPING.iter().map(|make| make()).collect();
    let mut size = 0;
    for target in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        if target > most {
            break;
        }
        grow(&mut counters, &mut size, target);
        println!("{size} keys kept, {PER_TICK} votes a tick for new keys, then for old keys at random");
        let mut fresh: Vec<(String, Vec<f64>)> = Vec::new();
        let mut old: Vec<(String, Vec<f64>)> = Vec::new();
        let step = (target / 20).clamp(300, 100_000);
        let mut random = Random(target as u64);
        for _ in 0..ROUNDS {
            let stream = votes(Order::Sequential, size as u64, step);
            let again: Vec<Vote> = (0..step * 3).map(|_| (random.next() % size as u64, 1)).collect();
            for counter in &mut counters {
                note(&mut fresh, counter.name(), run(counter.as_mut(), &stream, PER_TICK));
                note(&mut old, counter.name(), run(counter.as_mut(), &again, PER_TICK));
            }
            size += step;
        }
        print(&fresh);
        print(&old);
    }
}

fn grow(counters: &mut [Box<dyn Counter>], size: &mut usize, target: usize) {
    while *size < target {
        let step = (target - *size).min(100_000);
        let stream = votes(Order::Sequential, *size as u64, step);
        for counter in counters.iter_mut() {
            run(counter.as_mut(), &stream, PER_TICK);
        }
        *size += step;
    }
}

fn stall(keys: usize) {
    for make in KEEPING {
        let mut counter = make();
        let mut slowest: Vec<Duration> = Vec::new();
        for from in (0..keys).step_by(100_000) {
            let stream = votes(Order::Sequential, from as u64, 100_000.min(keys - from));
            slowest_ticks(counter.as_mut(), &stream, PER_TICK, &mut slowest);
        }
        let worst: Vec<String> = slowest.iter().map(|t| format!("{:.2}", t.as_secs_f64() * 1e3)).collect();
        println!("{:28} {keys} keys, slowest ticks in ms: {}", counter.name(), worst.join(" "));
    }
}

/// Grows a table and runs some ticks more. Two runs that differ in TICKS only differ in instructions by these.
fn ticks(args: &[String]) {
    let [name, rows, ticks] = args else {
        eprintln!("usage: votes ticks NAME ROWS TICKS");
        std::process::exit(2);
    };
    let (Ok(rows), Ok(ticks)) = (rows.parse::<usize>(), ticks.parse::<usize>()) else {
        eprintln!("ROWS and TICKS are numbers");
        std::process::exit(2);
    };
    let all: Vec<Box<dyn Counter>> = FORGETTING.iter().chain(&KEEPING).map(|make| make()).collect();
    let mut counter: Vec<_> = all.into_iter().filter(|c| c.name() == name).collect();
    let mut size = 0;
    grow(&mut counter, &mut size, rows);
    let stream = votes(Order::Sequential, size as u64, (ticks * PER_TICK).div_ceil(3));
    for counter in &mut counter {
        counter.stage(&stream[..ticks * PER_TICK], PER_TICK);
        measured(counter.as_mut(), ticks);
    }
}

/// Where an instruction counter is to be switched on.
#[inline(never)]
fn measured(counter: &mut dyn Counter, ticks: usize) {
    for number in 0..ticks {
        counter.tick(number);
    }
}
