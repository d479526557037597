//! `dependencies_scaled`: dependencies, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. dependencies: partition replica, store by digest(&payload)
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `store` by digest(&payload)
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: `seen` is lost in a crash: the partitions of an instance restart together, behind a barrier
//!
//! Taken on trust:
//!
//! - `digest` is pure
//! - `open` is pure
//! - `seal` is pure

anabranch::protocol! {
    /// A leader has a replica keep each value once; who sends a value again hears who was first.
    protocol dependencies_scaled;
    use crate::micro::cipher::{digest, open, seal};

    role leader;
    role replica, partitioned, shares fate;

    request put(payload: Bytes) -> (sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica routed by digest(&payload);
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
