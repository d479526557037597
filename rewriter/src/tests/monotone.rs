//! Monotone decoupling: a collector of votes, and what must not be done to it.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role server;
role voter;
role sink;
request ask(t: u64) -> (won: bool) at server;
message vote(t: u64, by: voter) to server;
message told(t: u64) to sink;
message value(n: u64) to sink;
at sink { var n(x: u64) = 0; n(x + 1) <+ told(_), n(x); n(x + y) <+ value(y), n(x); }
at server {
table asked(r: Req, t: u64);
asked(r, t) <= ask(r, t);
";

/// The collector: it has the votes to itself, and `asked` crosses as it is asked.
const VOTES: &str = "table votes(t: u64, by: voter);
votes(t, v) <= vote(t, v);
view cnt(t => count(v)) <= votes(t, v);
view committed(t) <= cnt(t, n), if n >= voter.majority();
";

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

#[track_caller]
fn check(rules: &str, heads: &[&str]) -> Rewritten {
    fires(monotone(&parse(&program(rules)), &Cut::new("server", "part", heads)))
}

#[track_caller]
fn against(rules: &str, heads: &[&str], item: &str, at: &str) {
    let text = program(rules);
    refuses(
        &text,
        monotone(&parse(&text), &Cut::new("server", "part", heads)),
        &format!("monotone.{item}"),
        at,
    );
    fires(monotone(&parse(&text), &Cut::new("server", "part", heads).forced()));
}

const HEADS: &[&str] = &["votes", "cnt", "committed", "answer", "ask"];

#[test]
fn a_collector_that_answers_through_a_view() {
    let out = check(
        &format!(
            "{VOTES} view answer(r, t) <= committed(t), asked(r, t); reply ask(r, true) <~ new answer(r, _);"
        ),
        HEADS,
    );
    let part = block(&out, "part");
    assert!(part.contains("table asked(r: Req, t: u64);"), "{part}");
    assert!(part.contains("asked(r, t) <= asked_to_part(r, t);"), "{part}");
    assert!(part.contains("reply ask(r, true) <~ new answer(r, _);"), "{part}");
    assert!(block(&out, "server").contains("asked_to_part(r, t) @ me <~ new asked(r, t);"));
    assert!(print(&out.protocol).contains("message vote(t: u64, by: voter) to part;"));
}

#[test]
fn a_join_may_stand_in_new() {
    check(
        &format!("{VOTES} reply ask(r, true) <~ new (committed(t), asked(r, t));"),
        HEADS.split_at(3).0.iter().chain(&["ask"]).copied().collect::<Vec<_>>().as_slice(),
    );
}

#[test]
fn an_edge_stands_alone() {
    against(
        &format!("{VOTES} reply ask(r, true) <~ new committed(t), asked(r, t);"),
        &["votes", "cnt", "committed", "ask"],
        "edge-alone",
        "asked(r, t)",
    );
}

#[test]
fn an_own_event_never_meets_what_crosses() {
    // A vote that overtakes `asked` would be forgotten.
    let rules = "table votes(t: u64, by: voter); votes(t, v) <= vote(t, v), asked(_, t); view cnt(t => count(v)) <= votes(t, v); view committed(t) <= cnt(t, n), if n >= voter.majority(); told(t) @ sink.at(0) <~ new committed(t); reply ask(r, true) <~ ask(r, _);";
    against(rules, &["votes", "cnt", "committed", "told"], "own-event", "asked(_, t)");
}

#[test]
fn nothing_is_absent() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    against(
        &format!(
            "table want(t: u64); want(t) <= vote(t, _); view free(t) <= want(t), !asked(_, t); told(t) @ sink.at(0) <~ new free(t); {rest}"
        ),
        &["want", "free", "told"],
        "negation",
        "!asked",
    );
    against(
        &format!(
            "table once(t: u64 => r: Req); once(t, r) <= ask(r, t); table want(t: u64); want(t) <= vote(t, _); view free(t) <= want(t), if once[t].is_none(); told(t) @ sink.at(0) <~ new free(t); {rest}"
        ),
        &["want", "free", "told"],
        "lookup",
        "once[t]",
    );
    against(
        &format!(
            "view all(t => max(r)) <= asked(r, t); view some(t) <= all(t, _); told(t) @ sink.at(0) <~ new some(t); {rest}"
        ),
        &["all", "some", "told"],
        "aggregate",
        "max(r)",
    );
}

#[test]
fn replacing_and_forgetting() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    against(
        &format!(
            "table last(t: u64 => r: Req); last(t, r) <+ ask(r, t); view some(t) <= last(t, _); told(t) @ sink.at(0) <~ new some(t); {rest}"
        ),
        &["some", "told"],
        "replaces",
        "last(t, r) <+",
    );
    against(&format!("{VOTES} view answer(r, t) <= committed(t), asked(r, t); reply ask(r, true) <~ new answer(r, _); asked(_, t) <- vote(t, _);").replace("asked(_, t) <-", "asked(_, t) <-"), &["answer", "ask"], "forgets", "asked(_, t)");
}

#[test]
fn counts() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    let cnt = "view cnt(t => count(r)) <= asked(r, t);";
    against(
        &format!("{cnt} told(t) @ sink.at(0) <~ new cnt(t, n), if n >= 1; {rest}"),
        &["cnt", "told"],
        "exported-count",
        "new cnt",
    );
    against(
        &format!("{cnt} view one(t) <= cnt(t, n), if n == 1; told(t) @ sink.at(0) <~ new one(t); {rest}"),
        &["cnt", "one", "told"],
        "ceiling",
        "cnt(t, n)",
    );
    against(
        &format!(
            "{cnt} view how(t, n) <= cnt(t, n), if n >= 1; told(t + n) @ sink.at(0) <~ new how(t, n); {rest}"
        ),
        &["cnt", "how", "told"],
        "exported-count",
        "cnt(t, n)",
    );
    against(
        &format!("{cnt} view how(t) <= cnt(t, n), if n >= 1; told(t) @ sink.at(0) <~ new how(t); {rest}"),
        &["how", "told"],
        "exported-count",
        "cnt(t => count(r))",
    );
    check(
        &format!(
            "{cnt} view enough(t) <= cnt(t, n), if n >= 1; told(t) @ sink.at(0) <~ new enough(t); {rest}"
        ),
        &["cnt", "enough", "told"],
    );
    // All of a role, but not all of anything else.
    let all = "table who(t: u64, v: voter); who(t, v) <= vote(t, v); view cnt(t => count(v)) <= who(t, v); view all(t) <= cnt(t, n), if n == voter.len(); told(t) @ sink.at(0) <~ new all(t);";
    check(&format!("{all} {rest}"), &["cnt", "all", "told"]);
    against(
        &format!("{} {rest}", all.replace("voter.len()", "sink.len()")),
        &["cnt", "all", "told"],
        "ceiling",
        "cnt(t, n)",
    );
}

#[test]
fn lattices() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    let top = "var top(t: Max<u64>); top(t) <= ask(_, t);";
    check(
        &format!(
            "{top} view high(v) <= top(t), voter(v), if t >= v.index(); told(v.index()) @ sink.at(0) <~ new high(v); {rest}"
        ),
        &["high", "told"],
    );
    against(
        &format!("{top} view high(t) <= top(t); told(t) @ sink.at(0) <~ new high(t); {rest}"),
        &["high", "told"],
        "exported-lattice",
        "top(t)",
    );
}

#[test]
fn facts_that_coincide() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    against(
        &format!(
            "told(t) @ sink.at(0) <~ new asked(_, t), if t > 3; value(t) @ sink.at(0) <~ ask(_, t), if t > 3; {rest}"
        ),
        &["value"],
        "same-facts",
        "ask(_, t)",
    );
    check(
        &format!("view some(t) <= asked(_, t); told(t) @ sink.at(0) <~ new some(t); {rest}"),
        &["some", "told"],
    );
    against(
        &format!(
            "view some(r, t) <= asked(r, t); told(t) @ sink.at(0) <~ new some(r, t), if r != Req::default(); {rest}"
        ),
        &["some", "told"],
        "same-facts",
        "new some",
    );
}

#[test]
fn timers() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    check(
        &format!("timer nag(t: u64) every 1s while asked(_, t); told(t) @ sink.at(0) <~ nag(t); {rest}"),
        &["told"],
    );
    check(
        &format!(
            "timer nag(t: u64) every 1s while asked(_, t); table heard(t: u64); heard(t) <= vote(t, _); told(t) @ sink.at(0) <~ nag(t), !heard(t); {rest}"
        ),
        &["told", "heard"],
    );
    against(
        &format!(
            "timer nag(t: u64) every 1s while asked(_, t); told(t) @ sink.at(0) <~ nag(t), asked(_, t); {rest}"
        ),
        &["told"],
        "timer",
        "asked(_, t)",
    );
    against(
        &format!(
            "timer nag(t: u64) every 1s while asked(_, t); told(t) @ sink.at(0) <~ nag(t); asked(_, t) <- vote(t, _); {rest}"
        ),
        &["told"],
        "forgets",
        "asked(_, t)",
    );
}

#[test]
fn machines_stay_with_what_feeds_them() {
    let rules = "machine kv(slot: u64, t: u64) -> (done: bool) = Log; kv(t, t) <= ask(_, t); told(t) @ sink.at(0) <~ kv.done(t, _); reply ask(r, true) <~ ask(r, _);";
    let text = program(rules).replace("role server;", "use crate::Log;\nrole server;");
    let cut = Cut::new("server", "part", &["kv", "told"]);
    refuses(&text, monotone(&parse(&text), &cut), "monotone.machine", "kv(t, t)");
    fires(monotone(&parse(&text), &cut.forced()));
}

#[test]
fn what_is_spent_may_go() {
    let spent = "event cast(t, v) <= vote(t, v);
table votes(t: u64, by: voter);
votes(t, v) <= cast(t, v), !committed(t);
view cnt(t => count(v)) <= votes(t, v);
view enough(t) <= cnt(t, n), if n >= voter.majority();
table committed(t: u64);
committed(t) <+ new enough(t);
votes(t, _) <- new committed(t);
told(t) @ sink.at(0) <~ new committed(t);
reply ask(r, true) <~ ask(r, _);";
    let heads = &["votes", "cnt", "enough", "committed", "told"];
    check(spent, heads);
    check(
        &spent
            .replace("committed(t) <+ new enough(t)", "committed(t) <= enough(t)")
            .replace(", !committed(t)", ""),
        heads,
    );
    // A view instead of the table: two of five fire it, and two more again.
    let early = spent.replace(", !committed(t)", "").replace(
        "table committed(t: u64);\ncommitted(t) <+ new enough(t);",
        "view committed(t) <= enough(t);",
    );
    against(&early, heads, "forgets", "committed(t) <=");
    // Something else reads what is forgotten.
    against(
        &format!(
            "{spent} view more(t) <= cnt(t, n), if n > voter.majority(); told(t) @ sink.at(0) <~ new more(t);"
        ),
        &["votes", "cnt", "enough", "committed", "told", "more"],
        "forgets",
        "told(t) @ sink.at(0) <~ new more",
    );
    // The key is not carried.
    against(
        &spent.replace("committed(t) <+ new enough(t)", "committed(t + 1) <+ new enough(t)"),
        heads,
        "forgets",
        "committed(t + 1)",
    );
}

#[test]
fn what_is_answered_may_go() {
    let answered = format!(
        "{VOTES}
table done(t: u64);
view answer(r, t) <= committed(t), asked(r, t), !done(t);
reply ask(r, true) <~ new answer(r, _);
done(t) <+ new answer(_, t);
asked(r, t) <- new answer(r, t);"
    );
    let heads: Vec<&str> = HEADS.iter().copied().chain(["done"]).collect();
    // `asked` is deleted by what moves, so it moves too, and asks cross as events.
    let heads: Vec<&str> = heads.into_iter().chain(["asked"]).collect();
    let program =
        answered.replace("reply ask(r, true)", "told(7) @ sink.at(0) <~ ask(_, _); reply ask(r, true)");
    let out = check(&program, &heads);
    assert_eq!(assumed(&out), ["`asked` has one row for each (t), ever: `answer` answers once for each"]);
    // Without the tombstone, or with a key that is not joined.
    against(&program.replace(", !done(t);", ";"), &heads, "forgets", "answer(r, t) <=");
    // Forgetting at the decision loses the answer.
    against(
        &program.replace("asked(r, t) <- new answer(r, t);", "asked(_, t) <- new committed(t);"),
        &heads,
        "forgets",
        "committed(t) <=",
    );
}

#[test]
fn forget_rules_may_be_late() {
    let rules = "table notes(t: u64, by: voter); notes(t, v) <= vote(t, v); var low(t: Max<u64>); low(t) <= ask(_, t); forget notes(t, ..) <- new low(b), notes(t, _), if t < b; timer tell(t: u64) every 1s while notes(t, _); told(t) @ sink.at(0) <~ tell(t); reply ask(r, true) <~ ask(r, _);";
    check(rules, &["notes", "told"]);
    against(&rules.replace("forget notes", "notes"), &["notes", "told"], "forgets", "notes(t, ..)");
}

#[test]
fn durable_and_volatile() {
    let rest = "reply ask(r, true) <~ ask(r, _);";
    // Logged, since it ends in a durable table; nothing volatile is behind it.
    let out = check(
        &format!(
            "durable table kept(t: u64); kept(t) <= ask(_, t); told(t) @ sink.at(0) <~ new kept(t); {rest}"
        ),
        &["kept", "told"],
    );
    assert!(print(&out.protocol).contains("to part logged;"), "{}", print(&out.protocol));
    against(
        &format!(
            "durable table kept(t: u64); kept(t) <= ask(_, t); table seen(t: u64); seen(t) <= ask(_, t); told(t) @ sink.at(0) <~ new (kept(t), seen(t)); {rest}"
        ),
        &["kept", "told", "seen"],
        "durable",
        "seen(t) <=",
    );
}
