//! `functional_scaled`: functional, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. functional: split responder off leader
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
//!    - durable: `top` is lost in a crash, so the parts share fate
//!
//! Taken on trust:
//!
//! - `seal` is pure

anabranch::protocol! {
    /// A leader stores payloads and answers each with the highest ballot that it has heard of.
    protocol functional_scaled;
    use crate::micro::cipher::{open, seal};

    role leader, shares fate;
    role responder of leader, shares fate;

    request put(ballot: u64, sealed: Bytes) -> (ballot: u64, sealed: Bytes) at leader;
    message accepted_to_responder(req: Req, b: u64, payload: Bytes) to responder;

    at leader {
        event opened(req, open(&sealed)) <= put(req, _, sealed);

        var top(ballot: Max<u64>);
        top(b) <= put(_, b, _);

        durable event kept(req: Req, payload: Bytes);
        kept(req, payload) <= opened(req, payload);
        event accepted(req, b, payload) <= opened(req, payload), top(b);
        accepted_to_responder(req, b, payload) @ me <~ accepted(req, b, payload);
    }

    at responder {
        reply put(req, b, seal(&payload)) <~ accepted_to_responder(req, b, payload);
    }
}
