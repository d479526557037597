//! Writes a batch of programs as Rust: those in `programs/`, which once were compiled wrongly, and
//! `ANABRANCH_BATCH` random ones from the seed `ANABRANCH_BATCH_SEED`. Then programs with faults planted in their code,
//! at most `ANABRANCH_BATCH_PLACES` of a kind in each: two of the written ones and `ANABRANCH_BATCH_FAULTS` random ones.

use anabranch_dsl::codegen::{Options, generate};
use anabranch_dsl::ir::RelId;
use anabranch_verifier::campaign::misprints;
use anabranch_verifier::campaign::run::{Inputs, Program, run};
use anabranch_verifier::engine::{Facts, Row};
use anabranch_verifier::random::Dice;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Among so many programs those are chosen that have places for many faults.
const POOL: u64 = 60;
/// The written programs that always have faults.
const BUSY: &[&str] = &["everything", "deletion_with_value"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=programs");
    let number = |name: &str, default: u64| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let (programs, first) = (number("ANABRANCH_BATCH", 6), number("ANABRANCH_BATCH_SEED", 1));
    let mut files: Vec<_> = std::fs::read_dir("programs")
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        all.push((name, i as u64, std::fs::read_to_string(file).expect("it can be read")));
    }
    for seed in first..first + programs {
        all.push((format!("seed{seed}"), seed, anabranch_verifier::random::program(seed).to_string()));
    }
    let mut modules = String::new();
    let mut list = String::new();
    let mut refused = 0;
    let written: Vec<(String, u64, String)> = all.iter().take(files.len()).cloned().collect();
    for (module, seed, text) in all {
        match code(&text) {
            Ok((name, tokens)) => {
                writeln!(modules, "pub mod {module} {{ {tokens} }}").expect("memory");
                writeln!(list, "({module:?}, {seed}, {text:?}, {module}::{name}::protocol as fn() -> _),")
                    .expect("memory");
            }
            Err(None) => assert!(module.starts_with("seed"), "{module} is no program"),
            // The types of some expressions cannot be told; the test bounds how many.
            Err(Some(message)) => {
                refused += 1;
                writeln!(list, "// {module}: {message}").expect("memory");
            }
        }
    }
    let (faults, places) = (number("ANABRANCH_BATCH_FAULTS", 0), number("ANABRANCH_BATCH_PLACES", 3));
    let mut faulty = String::new();
    let planted =
        |(module, seed, text): (String, u64, String)| candidate(module, seed, text, places as usize);
    let faulty_ones =
        written.into_iter().filter(|(module, ..)| BUSY.contains(&module.as_str())).filter_map(planted);
    for Candidate { module, seed, text, name, code, kinds, .. } in
        faulty_ones.chain(chosen(faults as usize, places as usize))
    {
        writeln!(modules, "pub mod {module} {{ {code} }}").expect("memory");
        writeln!(
            faulty,
            "({module:?}, {seed}, {text:?}, {module}::{name}::protocol as fn() -> _, &{kinds:?}),"
        )
        .expect("memory");
    }
    let protocol = "fn() -> &'static dyn ::anabranch_core::node::Protocol";
    let text = format!(
        "{modules}\n/// Name, seed, text and descriptor of each program.\n\
         pub static PROGRAMS: &[(&str, u64, &str, {protocol})] = &[\n{list}];\n\
         /// How many the code generator refused.\npub const REFUSED: usize = {refused};\n\
         /// Programs with faults in their code; last the kind of each fault.\n\
         pub static FAULTY: &[(&str, u64, &str, {protocol}, &[&str])] = &[\n{faulty}];\n"
    );
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(std::path::Path::new(&out).join("programs.rs"), text).expect("the output can be written");
}

/// A program's name and code; nothing if the checks refuse it, and the message if the generator does.
fn code(text: &str) -> Result<(String, String), Option<String>> {
    let parsed = anabranch_dsl::parse_str(text);
    let protocol = parsed.protocol.ok_or(None)?;
    let core = "::anabranch_core".parse().expect("a path");
    match generate(&protocol, &Options { core, client: false }) {
        Ok(tokens) => Ok((protocol.name.clone(), tokens.to_string())),
        Err(errors) => Err(Some(errors[0].message.clone())),
    }
}

struct Candidate {
    module: String,
    seed: u64,
    text: String,
    name: String,
    code: String,
    kinds: Vec<&'static str>,
    lively: usize,
}

/// How much of a program comes to life, and goes, in a few runs.
fn lively(seed: u64, text: &str) -> usize {
    let Ok(program) = Program::new(text) else { return 0 };
    let (mut had, mut lost, mut rest) = (BTreeSet::new(), BTreeSet::new(), 0);
    for round in 0..3 {
        let mut before = Facts::new();
        let inputs = Inputs::Drawn(Dice::new(seed * 100 + round), 25);
        run(&program, inputs, None, &mut |_, outcome, resting| {
            had.extend(outcome.facts.keys().copied());
            let gone = |rel: &RelId, rows: &BTreeSet<Row>| {
                !rows.is_subset(resting.get(rel).unwrap_or(&BTreeSet::new()))
            };
            lost.extend(before.iter().filter(|(rel, rows)| gone(rel, rows)).map(|(rel, _)| *rel));
            before = resting.clone();
            rest += usize::from(!resting.is_empty());
        });
    }
    (had.len() + lost.len()) * rest.min(60)
}

fn candidate(module: String, seed: u64, text: String, places: usize) -> Option<Candidate> {
    let (name, code) = code(&text).ok()?;
    let (code, kinds) = misprints::plant(&code, places, &mut Dice::part(seed, 4));
    let lively = lively(seed, &text);
    Some(Candidate { module: format!("faulty_{module}"), seed, text, name, code, kinds, lively })
}

/// Random programs with faults: each adds as many kinds of faults for its size as it can.
fn chosen(count: usize, places: usize) -> Vec<Candidate> {
    let mut pool: Vec<Candidate> = (1..=POOL)
        .filter_map(|seed| {
            let text = anabranch_verifier::random::program(seed).to_string();
            candidate(format!("seed{seed}"), seed, text, places)
        })
        .collect();
    let found: BTreeSet<&str> = pool.iter().flat_map(|c| c.kinds.iter().copied()).collect();
    let nowhere: Vec<&str> =
        misprints::ALL.iter().map(|m| m.name).filter(|name| !found.contains(name)).collect();
    assert!(nowhere.is_empty(), "generated code has no place for these faults: {nowhere:?}");
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut out = Vec::new();
    while out.len() < count && !pool.is_empty() {
        let adds = |c: &Candidate| {
            let kinds: BTreeSet<&str> = c.kinds.iter().copied().collect();
            kinds.difference(&covered).count()
        };
        // New kinds for its size, if it runs; once all kinds are there, the lively ones.
        let worth = |c: &Candidate| (1 + 100 * adds(c)) * c.lively * 1000 / c.code.len();
        let best = (0..pool.len()).max_by_key(|&i| worth(&pool[i])).expect("it is not empty");
        let best = pool.swap_remove(best);
        covered.extend(best.kinds.iter().copied());
        out.push(best);
    }
    out
}
