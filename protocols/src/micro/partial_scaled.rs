//! `partial_scaled`: partial, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. partial: partition replica, store by req
//!    - independent: the sequencer has `announce`, `top`, and reads nothing that lies in partitions
//!    - replicated: partitions read `top`, which only grows, and change nothing of it
//!    - outputs: on each partition does what belongs to its keys; nothing of it is durable but forgetting
//!    - fate: what waits, is frozen or copied is volatile: sequencer and partitions share fate
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `store` by req
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart

anabranch::protocol! {
    /// A leader has a replica encrypt what clients send, and stamp it with the highest ballot announced so far.
    protocol partial_scaled;
    use crate::micro::cipher::{open, seal};

    role leader;
    role replica, partitioned, shares fate;
    /// Holds what all partitions of `replica` share, and takes what changes it in order.
    role sequencer of replica, shares fate;

    request put(payload: Bytes) -> (ballot: u64, sealed: Bytes) at leader;
    request raise(ballot: u64) -> (ballot: u64) at leader;
    message announce(from: leader, req: Req, ballot: u64) to sequencer;
    message announced(req: Req, ballot: u64) to leader;
    message store(from: leader, req: Req, payload: Bytes) to replica routed by req;
    message stored(req: Req, by: replica, ballot: u64, payload: Bytes) to leader;
    /// A step is to be decided: keep what comes.
    message sequencer_freeze(number: u64) to replica routed to all;
    message sequencer_frozen(number: u64, by: u64) to sequencer;
    message sequencer_thaw(number: u64, by: u64) to replica routed to by;
    message sequencer_top(step_number: u64, ballot: u64) to replica routed to all;
    /// A step was decided; so many rows of each kind come with it.
    message sequencer_apply(number: u64, c0: u64) to replica routed to all;
    /// A partition has applied a step; so many parts of each kind come with it.
    message sequencer_done(number: u64, by: u64) to sequencer;

    at leader {
        store(me, req, payload) @ r <~ put(req, payload), replica(r);
        reply put(req, ballot, payload) <~ stored(req, _, ballot, payload);
        announce(me, req, ballot) @ r <~ raise(req, ballot), replica(r);
        reply raise(req, ballot) <~ announced(req, ballot);
    }

    at replica {
        durable event kept(req: Req, payload: Bytes);
        event applied_step(number: u64);
        var top(ballot: Max<u64>);
        event store_now(from: leader, req: Req, payload: Bytes);
        on store_now(from, req, payload), top(b), let sealed = seal(&open(&seal(&payload))) {
            kept(req, payload) <=;
            stored(req, me, b, sealed) @ from <~;
        }

        var frozen_at(number: Max<u64>);
        frozen_at(n) <= sequencer_freeze(n);
        sequencer_frozen(n, partition) @ me <~ sequencer_freeze(n);
        sequencer_thaw(n, partition) @ me <~ applied_step(n);

        var thawed_to(number: Max<u64>);
        thawed_to(n + 1) <= sequencer_thaw(n, _);

        table top_in(step_number: u64, ballot: u64);
        top_in(n, x0) <= sequencer_top(n, x0);

        view top_here(step_number: u64 => rows: u64);
        top_here(n, count()) <= top_in(n, x0);
        top(x0) <= applied_step(n), top_in(n, x0);
        top_in(n, _) <- applied_step(n);
        store_now(x0, x1, x2) <= store(x0, x1, x2), old frozen_at(f), old thawed_to(t), if t > f;

        table store_late(from: leader, req: Req, payload: Bytes);
        store_late(x0, x1, x2) <= store(x0, x1, x2), old frozen_at(f), old thawed_to(t), if t <= f;
        on sequencer_thaw(f, _), frozen_at(f), store_late(x0, x1, x2) {
            store_now(x0, x1, x2) <+;
            store_late(x0, x1, x2) <-;
        }

        table applied_step_rows(number: u64, c0: u64);
        applied_step_rows(n, c0) <= sequencer_apply(n, c0);

        view whole_applied_step(number: u64);
        whole_applied_step(n) <= applied_step_rows(n, c0), if top_here[n].unwrap_or(0) == c0;
        applied_step(n) <= new whole_applied_step(n);
        applied_step_rows(n, _) <- applied_step(n);
        sequencer_done(n, partition) @ me <~ applied_step(n);
    }

    at sequencer {
        var top(ballot: Max<u64>);
        event decide(number: u64);
        event complete(number: u64);
        event announce_now(from: leader, req: Req, ballot: u64);
        top(b) <= announce_now(_, _, b);
        announced(req, b) @ from <~ announce_now(from, req, _), top(b);

        var step(number: u64) = 0;
        table asked(number: u64);
        table cold(number: u64, by: u64);
        cold(n, i) <= sequencer_frozen(n, i), asked(n);

        view cold_count(number: u64 => partitions: u64);
        cold_count(n, count(i)) <= cold(n, i);

        view all_cold(number: u64);
        all_cold(n) <= cold_count(n, k), if k == replica.partitions();

        view call_step(number: u64);
        on new call_step(n) {
            step(n + 1) <+;
            asked(n + 1) <+;
            sequencer_freeze(n + 1) @ me <~;
        }

        decide(n) <= new all_cold(n);
        cold(n, _) <- decide(n);
        asked(0) <= start(_);
        asked(n) <- complete(n);

        event top_out(step_number: u64, ballot: u64);
        top_out(n, x0) <= decide(n), new top(x0);
        top_out(0, x0) <= start(_), top(x0);

        event top_sent(step_number: u64 => rows: u64);
        top_sent(n, count()) <= top_out(n, x0);
        sequencer_top(n, x0) @ me <~ top_out(n, x0);

        table announce_waits(from: leader, req: Req, ballot: u64);
        announce_waits(x0, x1, x2) <= announce(x0, x1, x2);
        call_step(n) <= announce_waits(..), step(n), !asked(_);
        on decide(_), announce_waits(x0, x1, x2) {
            announce_now(x0, x1, x2) <=;
            announce_waits(x0, x1, x2) <-;
        }

        sequencer_apply(n, top_sent[n].unwrap_or(0)) @ me <~ decide(n);
        sequencer_apply(0, top_sent[0].unwrap_or(0)) @ me <~ start(_);

        table complete_parts(number: u64, by: u64);
        complete_parts(n, i) <= sequencer_done(n, i);

        view full_complete(number: u64, by: u64);
        full_complete(n, i) <= complete_parts(n, i);

        view complete_count(number: u64 => partitions: u64);
        complete_count(n, count(i)) <= full_complete(n, i);

        view all_complete(number: u64);
        all_complete(n) <= complete_count(n, k), if k == replica.partitions();
        complete(n) <= new all_complete(n);
        complete_parts(n, _) <- complete(n);
    }
}
