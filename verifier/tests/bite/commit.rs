//! Two-phase commit with mistakes.

use anabranch_core::data::Bytes;

/// A participant's vote.
pub fn acceptable(payload: &Bytes) -> bool {
    !payload.starts_with(b"no")
}

anabranch::protocol! {
    /// Commits, and says so, when a majority has voted yes.
    protocol hasty;
    use crate::commit::acceptable;
    role coordinator;
    role participant;
    request commit(payload: Bytes) -> (committed: bool) at coordinator;
    message prepare(from: coordinator, txn: Id, payload: Bytes) to participant;
    message vote(txn: Id, by: participant, yes: bool) to coordinator;
    message decide(txn: Id, commit: bool) to participant;
    at coordinator {
        table active(txn: Id => req: Req);
        table yes(txn: Id, by: participant);
        event begin(txn: Id, req: Req, payload: Bytes);
        event end(txn: Id, ok: bool);
        timer overdue(txn: Id) after 500ms while active(txn, _);
        begin(unique(), req, payload) <= commit(req, payload);
        on begin(txn, req, payload) {
            active(txn, req) <=;
            prepare(me, txn, payload) @ p <~ participant(p);
        }
        yes(txn, by) <= vote(txn, by, true), active(txn, _);
        view ballots(txn => count(by)) <= yes(txn, by);
        view unanimous(txn) <= ballots(txn, n), if n >= participant.majority();
        end(txn, true) <= new unanimous(txn);
        end(txn, false) <= vote(txn, _, false), active(txn, _), !unanimous(txn);
        end(txn, false) <= overdue(txn), !unanimous(txn);
        on end(txn, ok), active(txn, req) {
            decide(txn, ok) @ p <~ participant(p);
            reply commit(req, ok) <~;
            active(txn, _) <-;
            yes(txn, _) <-;
        }
    }
    at participant {
        durable table prepared(txn: Id => payload: Bytes);
        durable event applied(txn: Id, payload: Bytes);
        on prepare(c, txn, payload), let ok = acceptable(&payload) {
            prepared(txn, payload) <= if ok;
            vote(txn, me, ok) @ c <~;
        }
        on decide(txn, commit), prepared(txn, payload) {
            applied(txn, payload) <= if commit;
            prepared(txn, ..) <-;
        }
    }
}

anabranch::protocol! {
    /// Forgets whom it owes a decision when the first of them has acknowledged it.
    protocol forgetful;
    use crate::commit::acceptable;
    role coordinator;
    role participant;
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
        timer overdue(txn: Id) after 500ms while active(txn, _);
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
        on end(txn, ok), active(txn, req) {
            owed(txn, p) <= participant(p), if ok;
            decide(me, txn, ok) @ p <~ participant(p);
            reply commit(req, ok) <~;
            active(txn, _) <-;
            yes(txn, _) <-;
        }
        owed(txn, _) <- ack(txn, _);                 // the mistake: only `by`'s row may go
        decide(me, txn, true) @ p <~ nag(txn, p);
        event settled(txn, p) <= inquire(txn, p), !active(txn, _);
        decide(me, txn, true) @ p <~ settled(txn, p), owed(txn, p);
        decide(me, txn, false) @ p <~ settled(txn, p), !owed(txn, p);
    }
    at participant {
        durable table prepared(txn: Id => from: coordinator, payload: Bytes);
        durable event applied(txn: Id, payload: Bytes);
        timer doubt(txn: Id, c: coordinator) every 500ms..10s while prepared(txn, c, _);
        on prepare(c, txn, payload), let ok = acceptable(&payload) {
            prepared(txn, c, payload) <= if ok;
            vote(txn, me, ok) @ c <~;
        }
        on decide(_, txn, commit), prepared(txn, _, payload) {
            applied(txn, payload) <= if commit;
            prepared(txn, ..) <-;
        }
        ack(txn, me) @ c <~ decide(c, txn, true);
        inquire(txn, me) @ c <~ doubt(txn, c);
    }
}
