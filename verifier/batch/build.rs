//! Writes a batch of programs as Rust: those in `programs/`, which once were compiled wrongly, and
//! `ANABRANCH_BATCH` random ones from the seed `ANABRANCH_BATCH_SEED`.

use anabranch_dsl::codegen::{Options, generate};
use std::fmt::Write;

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
    for (module, seed, text) in all {
        let parsed = anabranch_dsl::parse_str(&text);
        let Some(protocol) = parsed.protocol else {
            assert!(module.starts_with("seed"), "{module}: {:?}", parsed.diagnostics);
            continue;
        };
        let core = "::anabranch_core".parse().expect("a path");
        match generate(&protocol, &Options { core, client: false }) {
            Ok(tokens) => {
                writeln!(modules, "pub mod {module} {{ {tokens} }}").expect("memory");
                let name = &protocol.name;
                writeln!(list, "({module:?}, {seed}, {text:?}, {module}::{name}::protocol as fn() -> _),")
                    .expect("memory");
            }
            // The types of some expressions cannot be told; the test bounds how many.
            Err(errors) => {
                refused += 1;
                writeln!(list, "// {module}: {}", errors[0].message).expect("memory");
            }
        }
    }
    let text = format!(
        "{modules}\n/// Name, seed, text and descriptor of each program.\n\
         pub static PROGRAMS: &[(&str, u64, &str, fn() -> &'static dyn ::anabranch_core::node::Protocol)] = &[\n{list}];\n\
         /// How many the code generator refused.\npub const REFUSED: usize = {refused};\n"
    );
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(std::path::Path::new(&out).join("programs.rs"), text).expect("the output can be written");
}
