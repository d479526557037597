//! `independent_scaled`: independent, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. independent: split collector off leader
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - nothing-crosses: neither half reads what the other derives
//!    - own-inputs: no input is read by both
//!    - durable: `votes` is lost in a crash, so the parts share fate

anabranch::protocol! {
    /// A leader writes to all replicas and answers when all have written.
    protocol independent_scaled;
    use crate::micro::cipher::{open, seal};

    role leader, shares fate;
    role replica;
    role collector of leader, shares fate;

    request put(sealed: Bytes) -> (sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, payload: Bytes) to collector;

    at leader {
        event opened(req, open(&sealed)) <= put(req, sealed);
        store(me, req, payload) @ r <~ opened(req, payload), replica(r);
    }

    at replica {
        durable event kept(req: Req, payload: Bytes);
        on store(from, req, payload) {
            kept(req, payload) <=;
            stored(req, me, payload) @ from <~;
        }
    }

    at collector {
        table votes(req: Req, by: replica => payload: Bytes);
        votes(req, by, payload) <= stored(req, by, payload);
        view tally(req => count(by)) <= votes(req, by, _);
        view full(req) <= tally(req, n), if n == replica.len();
        event written(req, max(payload)) <= new full(req), votes(req, _, payload);
        on written(req, payload) {
            reply put(req, seal(&payload)) <~;
            votes(req, ..) <-;
        }
    }
}
