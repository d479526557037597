//! State machine decoupling: a responder whose answers hang on the order of all that came before.

anabranch::protocol! {
    /// A leader takes one payload per tick and answers with it and a hash over all payloads so far.
    protocol state_machine;
    use crate::micro::cipher::{chain, open, seal};

    role leader;

    request put(sealed: Bytes) -> (sealed: Bytes, history: u64) at leader;

    at leader {
        // One at a time, in some order: what came together is taken in the ticks of one macro-step.
        var next(n: u64) = 0;
        table queue(n: u64 => req: Req, payload: Bytes);
        event arrived(index(), req, open(&sealed)) <= put(req, sealed);
        on arrived(i, req, payload), next(n) {
            queue(n + i, req, payload) <=;
            next(n + count(req)) <+;
        }
        event turn(n: u64);
        turn(n) <= arrived(0, _, _), next(n);
        turn(then) <+ turn(n), let then = n + 1, queue(then, _, _);
        event taken(req, payload) <= turn(n), queue(n, req, payload);
        queue(n, _, _) <- turn(n);

        // The responder.
        var history(hash: u64) = 0;
        event answer(req, payload, chain(h, &payload)) <= taken(req, payload), history(h);
        history(h) <+ answer(_, _, h);
        reply put(req, seal(&payload), h) <~ answer(req, payload, h);
    }
}
