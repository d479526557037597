//! Writes a batch of random programs as Rust: `ANABRANCH_BATCH` programs from the seed `ANABRANCH_BATCH_SEED`.

use anabranch_dsl::codegen::{Options, generate};
use std::fmt::Write;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let number = |name: &str, default: u64| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let (programs, first) = (number("ANABRANCH_BATCH", 6), number("ANABRANCH_BATCH_SEED", 1));
    let mut modules = String::new();
    let mut list = String::new();
    for seed in first..first + programs {
        let text = anabranch_verifier::random::program(seed).to_string();
        let parsed = anabranch_dsl::parse_str(&text);
        let Some(protocol) = parsed.protocol else { continue };
        let core = "::anabranch_core".parse().expect("a path");
        match generate(&protocol, &Options { core, client: false }) {
            Ok(tokens) => {
                writeln!(modules, "pub mod seed{seed} {{ {tokens} }}").expect("memory");
                let name = &protocol.name;
                writeln!(list, "({seed}, {text:?}, seed{seed}::{name}::protocol as fn() -> _),")
                    .expect("memory");
            }
            // The types of some expressions cannot be told; the share is reported by the test.
            Err(errors) => {
                writeln!(list, "// {seed}: {}", errors[0].message).expect("memory");
                println!("cargo::warning=program {seed}: {}", errors[0].message);
            }
        }
    }
    let text = format!(
        "{modules}\n/// Seed, text and descriptor of each program.\n\
         pub static PROGRAMS: &[(u64, &str, fn() -> &'static dyn ::anabranch_core::node::Protocol)] = &[\n{list}];\n"
    );
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(std::path::Path::new(&out).join("programs.rs"), text).expect("the output can be written");
}
