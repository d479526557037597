//! `two_pc_scaled`: two_pc, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. functional: split broadcaster off coordinator
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - independent: what stays reads nothing of the part
//!    - one-atom: each rule of the cone reads one fact
//!    - pure: and computes from it alone
//!    - head: into an event, a message or an answer
//!    - ordered: that is no part of a stream
//!    - same-facts: and tells different facts of a tick apart, or nobody minds repeats
//!    - answers: no other rule answers otherwise what the part answers
//!    - durable: `active` is lost in a crash, so the parts share fate
//!
//! 2. cohash: partition participant, prepare by txn, decide by txn
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `prepare` by txn, `decide` by txn
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart
//!
//! 3. cohash: partition coordinator, commit by req, vote by txn, ack by txn, inquire by txn
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `commit` by req, `vote` by txn, `ack` by txn, `inquire`
//!      by txn
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: an `after` timer fires again after a restart: the partitions of an instance restart together
//!
//! 4. cohash: partition broadcaster, begin_to_broadcaster by txn, decided_to_broadcaster by txn
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `begin_to_broadcaster` by txn, `decided_to_broadcaster`
//!      by txn
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart
//!
//! Taken on trust:
//!
//! - `reply commit(req, ok) <~ decided(txn, ok, req)` answers a request once, or always alike
//! - no tick gives the same `decide` by `decide(me, txn, ok) @ p <~ decided(txn, ok, req), participant(p)` and
//!   by `decide(me, txn, false) @ p <~ settled(txn, p), !owed(txn, p)`
//! - no tick gives the same `decide` by `decide(me, txn, ok) @ p <~ decided(txn, ok, req), participant(p)` and
//!   by `decide(me, txn, true) @ p <~ nag(txn, p)`
//! - no tick gives the same `decide` by `decide(me, txn, ok) @ p <~ decided(txn, ok, req), participant(p)` and
//!   by `decide(me, txn, true) @ p <~ settled(txn, p), owed(txn, p)`

anabranch::protocol! {
    /// Two-phase commit, presumed abort: only yes votes and commit decisions reach the disk.
    protocol two_pc_scaled;
    use crate::two_pc::acceptable;

    role coordinator, partitioned, shares fate;
    role participant, partitioned;
    role broadcaster of coordinator, partitioned, shares fate;

    param patience: Duration = 500ms;

    request commit(payload: Bytes) -> (committed: bool) at coordinator routed by req;
    message prepare(from: coordinator, txn: Id, payload: Bytes) to participant routed by txn;
    message vote(txn: Id, by: participant, yes: bool) to coordinator routed by txn;
    message decide(from: coordinator, txn: Id, commit: bool) to participant routed by txn;
    message ack(txn: Id, by: participant) to coordinator routed by txn;
    message inquire(txn: Id, by: participant) to coordinator routed by txn;
    message begin_to_broadcaster(txn: Id, req: Req, payload: Bytes) to broadcaster routed by txn;
    message decided_to_broadcaster(txn: Id, ok: bool, req: Req) to broadcaster routed by txn;

    at coordinator {
        table active(txn: Id => req: Req);
        table yes(txn: Id, by: participant);
        durable table owed(txn: Id, to: participant) routed by txn;
        event begin(txn: Id, req: Req, payload: Bytes);
        begin(unique(), req, payload) <= commit(req, payload);
        on begin(txn, req, payload) {
            active(txn, req) <=;
        }

        yes(txn, by) <= vote(txn, by, true), active(txn, _);
        view ballots(txn => count(by)) <= yes(txn, by);
        view unanimous(txn) <= ballots(txn, n), if n == participant.len();

        event end(txn: Id, ok: bool);
        end(txn, true) <= new unanimous(txn);
        end(txn, false) <= vote(txn, _, false), active(txn, _);

        timer overdue(txn: Id) after patience while active(txn, _);
        end(txn, false) <= overdue(txn), !unanimous(txn);
        event decided(txn, ok, req) <= end(txn, ok), active(txn, req);
        on decided(txn, ok, req) {
            owed(txn, p) <= participant(p), if ok;
            active(txn, _) <-;
            yes(txn, _) <-;
        }

        timer nag(txn: Id, to: participant) every 200ms..5s while owed(txn, to);
        ghost table refused(txn: Id);
        refused(txn) <= end(txn, false);
        owed(txn, by) <- ack(txn, by);
        decide(me, txn, true) @ p <~ nag(txn, p);
        event settled(txn, p) <= inquire(txn, p), !active(txn, _);
        decide(me, txn, true) @ p <~ settled(txn, p), owed(txn, p);
        decide(me, txn, false) @ p <~ settled(txn, p), !owed(txn, p);
        begin_to_broadcaster(txn, req, payload) @ me <~ begin(txn, req, payload);
        decided_to_broadcaster(txn, ok, req) @ me <~ decided(txn, ok, req);
    }

    at participant {
        durable table prepared(txn: Id => from: coordinator, payload: Bytes) routed by txn;
        on prepare(c, txn, payload), let ok = acceptable(&payload) {
            prepared(txn, c, payload) <= if ok;
            vote(txn, me, ok) @ c <~;
        }

        durable event applied(txn: Id, payload: Bytes);
        on decide(_, txn, commit), prepared(txn, _, payload) {
            applied(txn, payload) <= if commit;
            prepared(txn, ..) <-;
        }

        ack(txn, me) @ c <~ decide(c, txn, true);

        timer doubt(txn: Id, c: coordinator) every 500ms..10s while prepared(txn, c, _);
        inquire(txn, me) @ c <~ doubt(txn, c);

        ghost table done(txn: Id);
        done(txn) <= applied(txn, _);
    }

    at broadcaster {
        on begin_to_broadcaster(txn, req, payload) {
            prepare(me, txn, payload) @ p <~ participant(p);
        }

        on decided_to_broadcaster(txn, ok, req) {
            decide(me, txn, ok) @ p <~ participant(p);
            reply commit(req, ok) <~;
        }
    }

    never split(txn) <= done(txn) at _, refused(txn) at _;
}
