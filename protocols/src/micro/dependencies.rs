//! Partitioning with dependencies: rows meet on a hash of what is sent.
//!
//! The published program joins on a 32-bit hash and routes by the client's number of the value, so that values whose
//! hashes collide are looked for in different partitions. Here what is sent is routed by the hash itself.

anabranch::protocol! {
    /// A leader has a replica keep each value once; who sends a value again hears who was first.
    protocol dependencies;
    use crate::micro::cipher::{digest, open, seal};

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
        table seen(hash: u64 => payload: Bytes);
        event hashed(from: leader, req: Req, hash: u64, payload: Bytes);
        hashed(from, req, digest(&payload), payload) <= store(from, req, payload);
        event first(hash, min(payload)) <= hashed(_, _, hash, payload), !old seen(hash, _);
        seen(hash, payload) <= first(hash, payload);
        stored(req, me, seal(&open(&seal(&kept)))) @ from <~ hashed(from, req, hash, _), seen(hash, kept);
    }
}
