//! Partial partitioning: requests meet on their key, and all of them read one ballot.

anabranch::protocol! {
    /// A leader has a replica encrypt what clients send, and stamp it with the highest ballot announced so far.
    protocol partial;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica;

    request put(payload: Bytes) -> (ballot: u64, sealed: Bytes) at leader;
    request raise(ballot: u64) -> (ballot: u64) at leader;
    message announce(from: leader, req: Req, ballot: u64) to replica;
    message announced(req: Req, ballot: u64) to leader;
    message store(from: leader, req: Req, payload: Bytes) to replica;
    message stored(req: Req, by: replica, ballot: u64, payload: Bytes) to leader;

    at leader {
        store(me, req, payload) @ r <~ put(req, payload), replica(r);
        reply put(req, ballot, payload) <~ stored(req, _, ballot, payload);
        announce(me, req, ballot) @ r <~ raise(req, ballot), replica(r);
        reply raise(req, ballot) <~ announced(req, ballot);
    }

    at replica {
        var top(ballot: Max<u64>);
        top(b) <= announce(_, _, b);
        announced(req, b) @ from <~ announce(from, req, _), top(b);

        durable event kept(req: Req, payload: Bytes); // to the application
        on store(from, req, payload), top(b), let sealed = seal(&open(&seal(&payload))) {
            kept(req, payload) <=;
            stored(req, me, b, sealed) @ from <~;
        }
    }
}
