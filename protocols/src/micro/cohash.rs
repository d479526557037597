//! Partitioning by co-hashing: a replica whose rules meet on the request.

anabranch::protocol! {
    /// A leader has a replica encrypt and keep what clients send.
    protocol cohash;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica;

    request put(payload: Bytes) -> (sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, payload: Bytes) to leader;

    at leader {
        store(me, req, payload) @ r <~ put(req, payload), replica(r);
        reply put(req, payload) <~ stored(req, _, payload);
    }

    at replica {
        durable event kept(req: Req, payload: Bytes); // to the application
        on store(from, req, payload), let sealed = seal(&open(&seal(&payload))) {
            kept(req, payload) <=;
            stored(req, me, sealed) @ from <~;
        }
    }
}
