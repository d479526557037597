//! `monotone_scaled`: monotone, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. monotone: split collector off leader
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - independent: what stays reads nothing of the part
//!    - answers: no other rule answers otherwise what the part answers
//!    - answer: 1 rules of the cone are of this kind
//!    - edge: 2 rules of the cone are of this kind
//!    - forgetting: 2 rules of the cone are of this kind
//!    - store: 1 rules of the cone are of this kind
//!    - durable: `top` is lost in a crash, so the parts share fate
//!
//! Taken on trust:
//!
//! - `seal` is pure
//! - `reply put(req, b, seal(&payload)) <~ new answer(req, b, payload)` answers a request once, or always alike

anabranch::protocol! {
    /// A leader writes to all replicas and answers with the ballot that held when the request came.
    protocol monotone_scaled;
    use crate::micro::cipher::{open, seal};

    role leader, shares fate;
    role replica;
    role collector of leader, shares fate;

    request put(ballot: u64, sealed: Bytes) -> (ballot: u64, sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, payload: Bytes) to collector;
    message asked_to_collector(req: Req, b: u64) to collector;

    at leader {
        var top(ballot: Max<u64>);
        top(b) <= put(_, b, _);
        event opened(req, open(&sealed)) <= put(req, _, sealed);
        store(me, req, payload) @ r <~ opened(req, payload), replica(r);
        event asked(req, b) <= put(req, ..), top(b);
        asked_to_collector(req, b) @ me <~ asked(req, b);
    }

    at replica {
        durable event kept(req: Req, payload: Bytes);
        on store(from, req, payload) {
            kept(req, payload) <=;
            stored(req, me, payload) @ from <~;
        }
    }

    at collector {
        table votes(req: Req, by: replica);
        votes(req, by) <= stored(req, by, _);

        table value(req: Req => payload: Bytes);
        value(req, payload) <= stored(req, _, payload);
        view tally(req => count(by)) <= votes(req, by);
        view full(req) <= tally(req, n), if n == replica.len();

        table written(req: Req => payload: Bytes);
        on new full(req), value(req, payload) {
            written(req, payload) <=;
            votes(req, _) <-;
            value(req, _) <-;
        }

        table ballot_of(req: Req => ballot: u64);
        ballot_of(req, b) <= asked_to_collector(req, b);

        table done(req: Req);
        view answer(req, b, payload) <= written(req, payload), ballot_of(req, b), !done(req);
        on new answer(req, b, payload) {
            reply put(req, b, seal(&payload)) <~;
            done(req) <+;
            ballot_of(req, _) <-;
            written(req, _) <-;
        }
    }
}
