//! Two-phase commit with presumed abort (Mohan, Lindsay, Obermarck: *Transaction management in the R\*
//! distributed database management system*, ACM TODS 11(4), 1986).
//!
//! Only yes votes and commit decisions reach the disk. Lost messages, a dead coordinator and a dead participant
//! all end in one of the three timers. A restarted coordinator knows only what is `owed`; everything else is
//! answered "abort". What commits goes to the application as the durable event `applied`: it is logged with its
//! tick, handed over once that is stable, and handed over again after a crash that may have taken it from the
//! application. So nothing in the protocol grows with the number of transactions.

pub mod two_pc_ender;
pub mod two_pc_scaled;

use anabranch::Bytes;

/// A participant's vote: the application's hook. This one refuses payloads that begin with `no`.
pub fn acceptable(payload: &Bytes) -> bool {
    !payload.starts_with(b"no")
}

anabranch::protocol! {
    /// Two-phase commit, presumed abort: only yes votes and commit decisions reach the disk.
    protocol two_pc;
    use crate::two_pc::acceptable;                  // fn(&Bytes) -> bool, pure

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
        table active(txn: Id => req: Req);            // lost in a crash: presumed aborted
        table yes(txn: Id, by: participant);
        durable table owed(txn: Id, to: participant); // committed, not yet acknowledged
        event begin(txn: Id, req: Req, payload: Bytes);
        event end(txn: Id, ok: bool);
        timer overdue(txn: Id) after patience while active(txn, _);
        timer nag(txn: Id, to: participant) every 200ms..5s while owed(txn, to);

        // An id of our own: a second attempt must not meet the first one's decisions.
        begin(unique(), req, payload) <= commit(req, payload);
        on begin(txn, req, payload) {
            active(txn, req) <=;
            prepare(me, txn, payload) @ p <~ participant(p);
        }

        // Votes count only while active: after a crash or an abort they must not revive it.
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

        ghost table refused(txn: Id);                 // for the invariant only
        refused(txn) <= end(txn, false);

        // Forgetting, retries, and answers to those in doubt (none while it is open: they ask again).
        owed(txn, by) <- ack(txn, by);
        decide(me, txn, true) @ p <~ nag(txn, p);
        event settled(txn, p) <= inquire(txn, p), !active(txn, _);
        decide(me, txn, true) @ p <~ settled(txn, p), owed(txn, p);
        decide(me, txn, false) @ p <~ settled(txn, p), !owed(txn, p);
    }

    at participant {
        durable table prepared(txn: Id => from: coordinator, payload: Bytes);
        durable event applied(txn: Id, payload: Bytes); // to the application
        timer doubt(txn: Id, c: coordinator) every 500ms..10s while prepared(txn, c, _);

        on prepare(c, txn, payload), let ok = acceptable(&payload) {
            prepared(txn, c, payload) <= if ok;
            vote(txn, me, ok) @ c <~;
        }

        on decide(_, txn, commit), prepared(txn, _, payload) {
            applied(txn, payload) <= if commit;
            prepared(txn, ..) <-;
        }
        ack(txn, me) @ c <~ decide(c, txn, true);     // also when it was applied long ago
        inquire(txn, me) @ c <~ doubt(txn, c);

        ghost table done(txn: Id);                    // for the invariant only
        done(txn) <= applied(txn, _);
    }

    never split(txn) <= done(txn) at _, refused(txn) at _;
}
