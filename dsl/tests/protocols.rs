//! The protocol library parses without a complaint.

use anabranch_dsl::parse_file;

#[test]
fn the_library_has_no_diagnostics() {
    for (name, text) in [
        ("two_pc", include_str!("../../protocols/src/two_pc/mod.rs")),
        ("multi_paxos", include_str!("../../protocols/src/multi_paxos/mod.rs")),
    ] {
        let found = parse_file(text);
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].outcome.diagnostics.is_empty(), "{name}: {:#?}", found[0].outcome.diagnostics);
    }
}
