//! Monotone decoupling: a collector that only accumulates what crosses to it.
//!
//! The published program drops a request's ballot together with its votes; if the ballot comes last, the reply is
//! lost. Here an answer is a view over both, and a tombstone remembers that it was given.

anabranch::protocol! {
    /// A leader writes to all replicas and answers with the ballot that held when the request came.
    protocol monotone;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica;

    request put(ballot: u64, sealed: Bytes) -> (ballot: u64, sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, payload: Bytes) to leader;

    at leader {
        var top(ballot: Max<u64>);
        top(b) <= put(_, b, _);
        event opened(req, open(&sealed)) <= put(req, _, sealed);
        store(me, req, payload) @ r <~ opened(req, payload), replica(r);
        event asked(req, b) <= put(req, _, _), top(b);

        // Votes and values are the collector's own: what it does with them hangs on nothing that crosses.
        table votes(req: Req, by: replica);
        table value(req: Req => payload: Bytes);
        table written(req: Req => payload: Bytes);
        votes(req, by) <= stored(req, by, _);
        value(req, payload) <= stored(req, _, payload);
        view tally(req => count(by)) <= votes(req, by);
        view full(req) <= tally(req, n), if n == replica.len();
        on new full(req), value(req, payload) {
            written(req, payload) <=;
            votes(req, _) <-;
            value(req, _) <-;
        }

        // The ballot may come before the votes or after them.
        table ballot_of(req: Req => ballot: u64);
        table done(req: Req);
        ballot_of(req, b) <= asked(req, b);
        view answer(req, b, payload) <= written(req, payload), ballot_of(req, b), !done(req);
        on new answer(req, b, payload) {
            reply put(req, b, seal(&payload)) <~;
            done(req) <+;
            ballot_of(req, _) <-;
            written(req, _) <-;
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
