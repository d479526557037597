//! `cohash_scaled`: cohash, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. cohash: partition replica, store by req
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `store` by req
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart

anabranch::protocol! {
    /// A leader has a replica encrypt and keep what clients send.
    protocol cohash_scaled;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica, partitioned;

    request put(payload: Bytes) -> (sealed: Bytes) at leader;
    message store(from: leader, req: Req, payload: Bytes) to replica routed by req;
    message stored(req: Req, by: replica, payload: Bytes) to leader;

    at leader {
        store(me, req, payload) @ r <~ put(req, payload), replica(r);
        reply put(req, payload) <~ stored(req, _, payload);
    }

    at replica {
        durable event kept(req: Req, payload: Bytes);
        on store(from, req, payload), let sealed = seal(&open(&seal(&payload))) {
            kept(req, payload) <=;
            stored(req, me, sealed) @ from <~;
        }
    }
}
