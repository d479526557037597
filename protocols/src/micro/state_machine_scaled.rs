//! `state_machine_scaled`: state_machine, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. state_machine: split responder off leader
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - independent: what stays reads nothing of the part
//!    - level: no state crosses
//!    - sub-ticks: the part does nothing between units but change tables
//!    - kept: nothing durable lies in the part
//!    - clock: the part reads no clock
//!    - answers: no rule that stays answers otherwise what the part answers
//!    - ordered: the part sends nothing ordered
//!    - durable: `next` is lost in a crash, so the parts share fate
//!
//! Taken on trust:
//!
//! - `chain` is pure
//! - `seal` is pure

anabranch::protocol! {
    /// A leader takes one payload per tick and answers with it and a hash over all payloads so far.
    protocol state_machine_scaled;
    use crate::micro::cipher::{chain, open, seal};

    role leader, shares fate;
    role responder of leader, shares fate;

    request put(sealed: Bytes) -> (sealed: Bytes, history: u64) at leader;
    message taken_to_responder(req: Req, payload: Bytes) to responder ordered;

    at leader {
        event arrived(index(), req, open(&sealed)) <= put(req, sealed);

        var next(n: u64) = 0;
        table queue(n: u64 => req: Req, payload: Bytes);
        on arrived(i, req, payload), next(n) {
            queue(n + i, req, payload) <=;
            next(n + count(req)) <+;
        }

        event turn(n: u64);
        turn(n) <= arrived(0, ..), next(n);
        turn(then) <+ turn(n), let then = n + 1, queue(then, ..);
        event taken(req, payload) <= turn(n), queue(n, req, payload);
        queue(n, ..) <- turn(n);
        taken_to_responder(req, payload) @ me <~ taken(req, payload);
    }

    at responder {
        var history(hash: u64) = 0;
        event answer(req, payload, chain(h, &payload)) <= taken_to_responder(req, payload), history(h);
        history(h) <+ answer(_, _, h);
        reply put(req, seal(&payload), h) <~ answer(req, payload, h);
    }
}
