//! Two-phase commit as shipped.

use super::*;
use crate::*;

#[test]
fn requester_and_announcer() {
    let p = shipped("two_pc");
    let requester = fires(functional(&p, &Cut::new("coordinator", "requester", &["prepare"])));
    assert_eq!(
        block(&requester, "requester"),
        "at requester {
    on begin_to_requester(txn, req, payload) {
        prepare(me, txn, payload) @ p <~ participant(p);
    }
}"
    );
    assert_eq!(assumed(&requester), Vec::<String>::new());
    let cut = Cut::new("coordinator", "announcer", &["decide#0", "commit"]);
    let announcer = fires(functional(&requester.protocol, &cut));
    assert_eq!(
        block(&announcer, "announcer"),
        "at announcer {
    on decided_to_announcer(txn, ok, req) {
        decide(me, txn, ok) @ p <~ participant(p);
        reply commit(req, ok) <~;
    }
}"
    );
    // What a reminder or an inquiry sends might coincide with the decision itself.
    let assumed = assumed(&announcer);
    assert_eq!(assumed.iter().filter(|a| a.starts_with("no tick gives the same `decide`")).count(), 3);
    assert!(assumed.iter().any(|a| a.ends_with("answers a request once, or always alike")), "{assumed:?}");
    assert!(announcer.protocol.roles.iter().filter(|r| r.name != "participant").all(|r| r.shares_fate));
}

#[test]
fn voter_and_acker_stay_one() {
    let p = shipped("two_pc");
    let cut = Cut::new("participant", "acker", &["prepared#1", "applied", "done", "ack", "inquire"]);
    for rewrite in [independent, functional] {
        let refusal = rewrite(&p, &cut).expect_err("both write `prepared`");
        assert_eq!(refusal.item.name, "heads", "{}", refusal.diagnostic);
        assert!(refusal.diagnostic.message.contains("prepared"), "{}", refusal.diagnostic);
    }
}
