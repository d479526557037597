//! Plans of small programs, as text.

use super::lower;
use crate::ir::RoleId;

/// The plan of a program's first role.
fn plan(text: &str) -> String {
    let outcome = crate::parse_str(text);
    let protocol = outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
    lower(&protocol, RoleId(0)).to_string()
}

#[test]
fn show() {
    println!(
        "{}",
        plan(
            "protocol two_pc;
    role coordinator;
    role participant;
    param patience: Duration = 500ms;
    request commit(payload: Bytes) -> (committed: bool) at coordinator;
    message prepare(from: coordinator, txn: Id, payload: Bytes) to participant;
    message vote(txn: Id, by: participant, yes: bool) to coordinator;
    message decide(from: coordinator, txn: Id, commit: bool) to participant;
    message ack(txn: Id, by: participant) to coordinator;
    message inquire(txn: Id, by: participant) to coordinator;
    at coordinator {
        table active(txn: Id => req: Req);
        table yes(txn: Id, by: participant);
        durable table owed(txn: Id, to: participant);
        event begin(txn: Id, req: Req, payload: Bytes);
        event end(txn: Id, ok: bool);
        timer overdue(txn: Id) after patience while active(txn, _);
        timer nag(txn: Id, to: participant) every 200ms..5s while owed(txn, to);
        begin(unique(), req, payload) <= commit(req, payload);
        on begin(txn, req, payload) {
            active(txn, req) <=;
            prepare(me, txn, payload) @ p <~ participant(p);
        }
        yes(txn, by) <= vote(txn, by, true), active(txn, _);
        view ballots(txn => count(by)) <= yes(txn, by);
        view unanimous(txn) <= ballots(txn, n), if n == participant.len();
        end(txn, true) <= new unanimous(txn);
        end(txn, false) <= vote(txn, _, false), active(txn, _);
        end(txn, false) <= overdue(txn), !unanimous(txn);
        event decided(txn, ok, req) <= end(txn, ok), active(txn, req);
        on decided(txn, ok, req) {
            owed(txn, p) <= participant(p), if ok;
            decide(me, txn, ok) @ p <~ participant(p);
            reply commit(req, ok) <~;
            active(txn, _) <-;
            yes(txn, _) <-;
        }
        ghost table refused(txn: Id);
        refused(txn) <= end(txn, false);
        owed(txn, by) <- ack(txn, by);
        decide(me, txn, true) @ p <~ nag(txn, p);
        event settled(txn, p) <= inquire(txn, p), !active(txn, _);
        decide(me, txn, true) @ p <~ settled(txn, p), owed(txn, p);
        decide(me, txn, false) @ p <~ settled(txn, p), !owed(txn, p);
    }
    at participant {
        table seen(txn: Id);
        seen(txn) <= prepare(_, txn, _);
    }
"
        )
    );
}
