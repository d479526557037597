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
