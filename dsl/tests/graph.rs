//! Pictures hold what the programs do; how they look was looked at.

use anabranch_dsl::graph::{EdgeKind, Graph, NodeKind};
use anabranch_dsl::parse_str;

fn graph(text: &str) -> Graph {
    Graph::new(&parse_str(text).protocol.expect("no errors"), "file.rs")
}

fn two_pc() -> Graph {
    graph(include_str!("../testdata/two_pc.anabranch"))
}

#[test]
fn rules_connect_what_they_read_with_what_they_change() {
    let g = two_pc();
    let c = &g.roles[0];
    let find =
        |title: &str| c.nodes.iter().position(|n| n.title == title).unwrap_or_else(|| panic!("no {title}"));
    let edge = |from: usize, to: usize| c.edges.iter().find(|e| e.from == from && e.to == to).map(|e| e.kind);
    let decided = find("decided(txn, ok, req)");
    let on = c.edges.iter().find(|e| e.from == decided).unwrap().to;
    assert_eq!(c.nodes[on].kind, NodeKind::Rule);
    assert_eq!(edge(decided, on), Some(EdgeKind::Trigger));
    assert_eq!(edge(on, find("yes(txn, by)")), Some(EdgeKind::Delete));
    assert_eq!(edge(on, find("owed(txn, to)")), Some(EdgeKind::Now));
    assert_eq!(edge(on, find("decide → participant")), Some(EdgeKind::Now));
    // A view with its one rule is one node.
    assert_eq!(edge(find("yes(txn, by)"), find("ballots(txn ⇒ count)")), Some(EdgeKind::Read));
}

#[test]
fn wires_say_who_sends_and_who_takes() {
    let g = two_pc();
    let vote = g.wires.iter().find(|w| w.title.starts_with("vote")).unwrap();
    assert_eq!((vote.from, vote.to), (Some(1), Some(0)));
    assert!(!vote.sent.is_empty() && vote.taken.len() == 2, "{vote:?}");
    assert!(g.wires.iter().any(|w| w.from.is_none() && w.client));
    assert!(g.wires.iter().any(|w| w.title == "reply commit" && w.to.is_none()));
}

#[test]
fn every_format_labels_places() {
    let g = graph(include_str!("../testdata/multi_paxos.anabranch"));
    let won = g.roles[0].nodes.iter().find(|n| n.title == "won(b, slot)").unwrap();
    let place = g.place(won.line);
    for text in [g.dot(), g.mermaid(), g.svg()] {
        assert!(text.contains(&place), "{place}");
        assert!(text.contains("phase2a"));
    }
    assert!(g.dot().contains("color=blue"), "messages cross clusters");
    assert_eq!(g.svg(), g.svg(), "the layout is deterministic");
}

#[test]
fn parts_stand_with_their_whole() {
    let g = graph(
        "protocol p; role part of whole, partitioned; role other; role whole;
        message m(x: u64) to part routed by x; message n(x: u64) to other;
        at whole { m(x) @ p <~ start(x), part(p); }
        at part { n(x) @ o <~ m(x), other(o); }
        at other { on n(..) {} }",
    );
    let (dot, mermaid) = (g.dot(), g.mermaid());
    let at = |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    assert!(at(&dot, "cluster_family_2") < at(&dot, "label=\"whole\""));
    assert!(at(&dot, "label=\"whole\"") < at(&dot, "label=\"part of whole\""));
    assert!(at(&mermaid, "family_2 [\"whole and its parts\"]") < at(&mermaid, "subgraph part"));
    assert_eq!(dot.matches("subgraph cluster_").count() + 1, dot.lines().filter(|l| l.trim() == "}").count());
    assert_eq!(mermaid.matches("subgraph ").count(), mermaid.matches("    end\n").count());
    assert!(g.svg().contains("part of whole"));
}
