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

#[test]
fn a_tour_of_all_constructs() {
    let p = clean(include_str!("../testdata/tour.anabranch"));
    let types = |name: &str| {
        let r = p.relations.iter().find(|r| r.name == name).expect("a relation of that name");
        let columns: Vec<String> = r.columns.iter().map(|c| format!("{}: {}", c.name, c.ty.0)).collect();
        (columns.join(", "), r.key)
    };
    assert_eq!(
        types("sum_of").0,
        "k: u64, sum: u64, count: u64, count2: u64, min: u64, max: u64, collect: Vec < u64 >"
    );
    assert_eq!(types("latest"), ("max: u64".to_string(), Some(0)));
    assert_eq!(types("order").0, "index: u64, index2: u64, k: u64, choose: u64");
    assert_eq!(types("begun").0, "k: u64, id: Id");
    assert_eq!(types("log.saved").0, "tag: client_node, n: u64, image: Bytes");
    assert_eq!(types("best").1, Some(1), "columns that merge are keyed by the others");
    assert_eq!(types("top").0, "pair: Pair");
    let empty = p.rules.iter().filter(|r| r.head == anabranch_dsl::ir::Head::Nothing).count();
    assert_eq!(empty, 2, "empty `on` blocks stay");
}

#[test]
fn files_are_searched_for_protocols() {
    let text = "\
use anabranch::protocol;
macro_rules! protocol_like { () => { protocol! { } } }
anabranch::protocol! {
    protocol one;
    role a;
}
mod inner {
    fn f() { let protocol = !true; println!(\"protocol! {{}}\"); }
    protocol! {
        protocol two;
        rule b;
    }
}
";
    let found = anabranch_dsl::parse_file(text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].outcome.protocol.as_ref().map(|p| p.name.as_str()), Some("one"));
    assert_eq!(found[0].whole.start().line, 3);
    let wrong: Vec<String> = found[1].outcome.diagnostics.iter().map(|d| d.to_string()).collect();
    assert!(wrong[0].starts_with("10:18 roles:") || wrong[0].starts_with("11:9 syntax:"), "{wrong:?}");
    assert_eq!(
        anabranch_dsl::parse_file("protocol! { \"").len(),
        1,
        "what is no token stream is one mistake"
    );
}

/// Whatever is done to the tokens of a program, the answer is a protocol or a diagnostic.
#[test]
fn mangled_programs_never_panic() {
    use proc_macro2::{Group, TokenStream, TokenTree};
    fn mangle(stream: TokenStream, at: &mut usize, how: usize) -> TokenStream {
        let mut out = Vec::new();
        for tree in stream {
            let hit = *at == 0;
            *at = at.wrapping_sub(1);
            let tree = match tree {
                TokenTree::Group(g) => {
                    TokenTree::Group(Group::new(g.delimiter(), mangle(g.stream(), at, how)))
                }
                tree => tree,
            };
            match (hit, how % 4) {
                (false, _) => out.push(tree),
                (true, 0) => {}
                (true, 1) => out.extend([tree.clone(), tree]),
                (true, 2) => {
                    let before = out.pop();
                    out.push(tree);
                    out.extend(before);
                }
                (true, _) => {
                    out.push(tree);
                    out.extend(";=>()new <~".parse::<TokenStream>().expect("tokens"));
                }
            }
        }
        out.into_iter().collect()
    }
    for text in [include_str!("../testdata/two_pc.anabranch"), include_str!("../testdata/tour.anabranch")] {
        let tokens: TokenStream = text.parse().expect("tokens");
        let mut fine = 0;
        for n in 0..250 {
            let mut at = n * 7919 % 1600;
            let outcome = anabranch_dsl::parse_protocol(mangle(tokens.clone(), &mut at, n));
            assert_eq!(outcome.protocol.is_none(), outcome.has_errors());
            fine += outcome.protocol.is_some() as usize;
        }
        assert!(fine < 230, "mangling does something");
    }
}
