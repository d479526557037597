//! Plans as files, and carried out on the smallest programs.

use super::*;

const PLAN: &str = r#"protocol = "counter"
name = "counter_scaled"

[[step]]
rewrite = "naming"
role = "leader"
head = "tell"
rules = [0, 1]
event = "told"

[[step]]
rewrite = "functional"
role = "leader"
part = "teller"
move = ["tell", "add#1"]

[[step]]
rewrite = "cohash"
role = "follower"
key = "tell by hash(&x)"

[roles.follower]
instances = 2
partitions = 3
"#;

#[test]
fn what_is_written_is_read_again() {
    let plan = parse(PLAN).expect("a plan");
    assert_eq!(file::write(&plan), PLAN);
    let Rewrite::Functional(cut) = &plan.steps[1].rewrite else { panic!("{plan:?}") };
    assert_eq!(cut.heads.iter().map(ToString::to_string).collect::<Vec<_>>(), ["tell", "add#1"]);
}

#[test]
fn mistakes_have_places() {
    let wrong = |from: &str, to: &str| {
        let text = PLAN.replacen(from, to, 1);
        let error = parse(&text).expect_err("wrong");
        let (line, column) = error.line_column(&text).expect("a place");
        format!("{line}:{column}: {error}")
    };
    assert_eq!(
        wrong("\"naming\"", "\"nameing\""),
        "5:11: there is no rewrite `nameing`: write `naming`, `independent`, `functional`, `monotone`, `echo`, `state_machine`, `asymmetric`, `cohash` or `partial`"
    );
    assert_eq!(
        wrong("head = \"tell\"\n", ""),
        "5:11: `naming` needs `head`: it takes role, head, rules, event"
    );
    assert_eq!(wrong("key =", "part = \"x\"\nkey ="), "20:8: `cohash` takes no `part`: it takes role, key");
    assert_eq!(
        wrong("\"add#1\"", "\"add#one\""),
        "15:17: `add#one` names no head: write a relation's name, or `name#1` for its second rule"
    );
    assert_eq!(
        wrong("partitions = 3", "partitions = 0"),
        "24:14: `follower` needs at least one of `partitions`"
    );
    assert_eq!(wrong("counter_scaled", "counter scaled"), "2:8: `counter scaled` is no name for a protocol");
    assert!(wrong("rules", "rule").starts_with("8:1: unknown field `rule`"), "{}", wrong("rules", "rule"));
}

/// A protocol of the library.
fn shipped(text: &str) -> anabranch_dsl::ir::Protocol {
    anabranch_dsl::parse_file(text).remove(0).outcome.protocol.expect("no errors")
}

/// The plan that is chosen, a line for each step, and carried out.
fn chosen(text: &str) -> Vec<String> {
    let base = shipped(text);
    let plan = auto::choose(&base);
    let derivation = apply(&base, &plan).unwrap_or_else(|stuck| panic!("{}", stuck.refusal.diagnostic));
    derivation.steps.iter().map(|step| step.justification.title.clone()).collect()
}

#[test]
fn a_plan_is_found() {
    assert_eq!(
        chosen(include_str!("../../../protocols/src/multi_paxos/mod.rs"))[..2],
        [
            "echo: split proposer_propose off proposer",
            "partial with sealing: partition acceptor, phase2a by slot",
        ]
    );
    // The coordinator's decisions take more with them than its preparations.
    assert_eq!(
        chosen(include_str!("../../../protocols/src/two_pc/mod.rs"))[..2],
        [
            "functional: split coordinator_decide off coordinator",
            "functional: split coordinator_prepare off coordinator",
        ]
    );
    // Nothing that it does has a key, so a stream of ticks is worth while, behind what goes by single facts.
    assert_eq!(
        chosen(include_str!("../../../protocols/src/micro/state_machine.rs"))[..2],
        ["functional: split leader_answer off leader", "state_machine: split leader_history off leader",]
    );
    let partial = chosen(include_str!("../../../protocols/src/micro/partial.rs"));
    assert!(partial.contains(&"partial: partition replica, store by req".to_string()), "{partial:#?}");
}

#[test]
fn parts_must_take_work_with_them() {
    // An answer by itself would cost a message to save one.
    let text = "protocol p; role node; request put(k: u64) -> (n: u64) at node;
        at node { var sum(n: u64) = 0; event took(choose(req)) <= put(req, _);
        on took(req), put(req, k), sum(n) { sum(n + k) <+; } event done(req, n) <= took(req), sum(n);
        reply put(req, n) <~ done(req, n); }";
    let base = anabranch_dsl::parse_str(text).protocol.expect("no errors");
    assert_eq!(auto::choose(&base).steps, []);
    // Work makes it worth while.
    let text = text.replace("reply put(req, n)", "reply put(req, slowly(n))");
    let base = anabranch_dsl::parse_str(&text).protocol.expect("no errors");
    let steps = auto::choose(&base).steps;
    assert!(steps.iter().any(|s| s.rewrite.name() != "cohash"), "{steps:#?}");
}
