//! Mutually independent decoupling: a leader that broadcasts and, with rules that share nothing, collects votes.
//!
//! Votes carry all that the collector needs, so it can live anywhere.

anabranch::protocol! {
    /// A leader writes to all replicas and answers when all have written.
    protocol independent;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica;

    request put(sealed: Bytes) -> (sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, payload: Bytes) to leader;

    at leader {
        event opened(req, open(&sealed)) <= put(req, sealed);
        store(me, req, payload) @ r <~ opened(req, payload), replica(r);

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

    at replica {
        durable event kept(req: Req, payload: Bytes); // to the application
        on store(from, req, payload) {
            kept(req, payload) <=;
            stored(req, me, payload) @ from <~;
        }
    }
}
