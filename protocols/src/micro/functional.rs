//! Functional decoupling: what is answered depends on one fact at a time, once the ballot stands beside it.

anabranch::protocol! {
    /// A leader stores payloads and answers each with the highest ballot that it has heard of.
    protocol functional;
    use crate::micro::cipher::{open, seal};

    role leader;

    request put(ballot: u64, sealed: Bytes) -> (ballot: u64, sealed: Bytes) at leader;

    at leader {
        var top(ballot: Max<u64>);
        durable event kept(req: Req, payload: Bytes); // to the application
        event opened(req, open(&sealed)) <= put(req, _, sealed);
        top(b) <= put(_, b, _);
        kept(req, payload) <= opened(req, payload);

        // The ballot as of this tick goes with the answer.
        event accepted(req, b, payload) <= opened(req, payload), top(b);
        reply put(req, b, seal(&payload)) <~ accepted(req, b, payload);
    }
}
