//! `voting_scaled`: voting, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. functional: split broadcaster off leader
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - independent: what stays reads nothing of the part
//!    - one-atom: each rule of the cone reads one fact
//!    - pure: and computes from it alone
//!    - head: into an event, a message or an answer
//!    - ordered: that is no part of a stream
//!    - same-facts: and tells different facts of a tick apart, or nobody minds repeats
//!    - answers: no other rule answers otherwise what the part answers
//!    - durable: `votes` is lost in a crash, so the parts share fate
//!
//! 2. independent: split collector off leader
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - nothing-crosses: neither half reads what the other derives
//!    - own-inputs: no input is read by both
//!    - durable: `votes` is lost in a crash, so the parts share fate
//!
//! 3. cohash: partition collector, vote by ballot
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `vote` by ballot
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: `votes` is lost in a crash: the partitions of an instance restart together, behind a barrier
//!
//! 4. cohash: partition broadcaster, begin_to_broadcaster by ballot
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `begin_to_broadcaster` by ballot
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart
//!
//! 5. cohash: partition leader, propose by req
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `propose` by req
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart
//!
//! 6. cohash: partition participant, ask by ballot
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `ask` by ballot
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart

anabranch::protocol! {
    /// A leader asks every participant for its vote.
    protocol voting_scaled;

    role leader, partitioned, shares fate;
    role participant, partitioned;
    role broadcaster of leader, partitioned, shares fate;
    role collector of leader, partitioned, shares fate;

    request propose(payload: Bytes) -> () at leader routed by req;
    message ask(from: leader, ballot: Id, req: Req, payload: Bytes) to participant routed by ballot;
    message vote(ballot: Id, req: Req, by: participant) to collector routed by ballot;
    message begin_to_broadcaster(ballot: Id, req: Req, payload: Bytes) to broadcaster routed by ballot;

    at leader {
        event begin(ballot: Id, req: Req, payload: Bytes);
        begin(unique(), req, payload) <= propose(req, payload);
        begin_to_broadcaster(ballot, req, payload) @ me <~ begin(ballot, req, payload);
    }

    at participant {
        vote(ballot, req, me) @ from <~ ask(from, ballot, req, _);
    }

    at broadcaster {
        ask(me, ballot, req, payload) @ p <~ begin_to_broadcaster(ballot, req, payload), participant(p);
    }

    at collector {
        table votes(ballot: Id, req: Req, by: participant);
        votes(ballot, req, by) <= vote(ballot, req, by);
        view tally(ballot, req => count(by)) <= votes(ballot, req, by);
        view unanimous(ballot, req) <= tally(ballot, req, n), if n == participant.len();
        on new unanimous(ballot, req) {
            reply propose(req) <~;
            votes(ballot, req, _) <-;
        }
    }
}
