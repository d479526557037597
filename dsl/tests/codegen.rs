//! Generated code is Rust that parses, for the library's protocols; what it does is tested where it is compiled.

use anabranch_dsl::codegen::{Options, generate};

fn expand(file: &str) -> String {
    let path = format!("{}/../protocols/src/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let found = anabranch_dsl::parse_file(&text);
    let protocol =
        found[0].outcome.protocol.as_ref().unwrap_or_else(|| panic!("{:?}", found[0].outcome.diagnostics));
    let tokens = generate(protocol, &Options::default()).unwrap_or_else(|errors| panic!("{errors:?}"));
    syn::parse2::<syn::File>(tokens.clone()).unwrap_or_else(|e| panic!("{e}"));
    tokens.to_string()
}

#[test]
fn two_phase_commit() {
    expand("two_pc/mod.rs");
}

#[test]
fn multi_paxos() {
    expand("multi_paxos/mod.rs");
}
