//! The complete programs of the language's definition.

use anabranch_dsl::{Outcome, parse_str};

fn clean(text: &str) -> anabranch_dsl::ir::Protocol {
    let Outcome { protocol, diagnostics } = parse_str(text);
    for d in &diagnostics {
        let s = d.primary.0.start();
        println!("{}:{} {}: {} {:?}", s.line, s.column + 1, d.code, d.message, d.help);
    }
    assert!(diagnostics.is_empty(), "diagnostics above");
    protocol.expect("a protocol without errors")
}

#[test]
fn two_pc() {
    let p = clean(include_str!("../testdata/two_pc.anabranch"));
    assert_eq!(p.roles.len(), 2);
}

#[test]
fn multi_paxos() {
    let p = clean(include_str!("../testdata/multi_paxos.anabranch"));
    assert_eq!(p.roles.len(), 3);
    for r in &p.relations {
        let cols: Vec<String> = r.columns.iter().map(|c| format!("{}: {}", c.name, c.ty.0)).collect();
        println!("{}({}) {:?}", r.name, cols.join(", "), r.key);
    }
}

#[test]
fn both_are_stratified() {
    use anabranch_dsl::strata::Dependencies;
    for text in
        [include_str!("../testdata/two_pc.anabranch"), include_str!("../testdata/multi_paxos.anabranch")]
    {
        let p = clean(text);
        for role in 0..p.roles.len() as u32 {
            let graph = Dependencies::of(&p, anabranch_dsl::ir::RoleId(role));
            assert!(graph.strict_cycles().is_empty());
            let strata = graph.strata();
            for edge in &graph.edges {
                assert!(strata.of[&edge.from] <= strata.of[&edge.to], "what is read comes first");
            }
        }
    }
}
