//! `multi_paxos_scaled`: multi_paxos, scaled. Written by `anabranch rewrite`; change the plan, not this file.
//!
//! Derivation:
//!
//! 1. echo: split proxy off proposer
//!    - heads: every local head has its rules on one side
//!    - stream: no stream has heads on both sides
//!    - event-driven: every rule that does something has an event
//!    - ends: no macro-step is seen to run for ever
//!    - start: no rule reads `start`
//!    - clock: `now_ms()` is read on one side at most
//!    - draws: no drawn value is shared across the cut
//!    - independent: what stays reads nothing of the part
//!    - event: `propose` crosses, and nothing else
//!    - key: every rule of the part is about one (b, slot)
//!    - echo: the part hears of phase2b, stale, which answer it
//!    - pure: nothing is drawn
//!    - answers: no other rule answers otherwise what the part answers
//!    - same-facts: what is sent at once tells the keys apart, or nobody minds repeats
//!    - durable: `mine` is lost in a crash, so the parts share fate
//!
//! 2. partial with sealing: partition acceptor, phase2a by slot
//!    - independent: the sequencer has `phase1a`, `adopt`, `executed`, `promised`, `floor`, `marks`, `bid`,
//!      `all_marks`, and reads nothing that lies in partitions
//!    - replicated: partitions read `promised`, `floor`, which only grows, and change nothing of it
//!    - outputs: on `phase1a` each partition does what belongs to its keys; nothing of it is durable but
//!      forgetting
//!    - fate: what waits, is frozen or copied is volatile: sequencer and partitions share fate
//!    - aggregate: `reports` put together from the parts of all partitions before anything is sent
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `phase2a` by slot
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: every table is durable: partitions may restart apart
//!
//! 3. cohash: partition proxy, phase2b by slot, stale by slot, propose_to_proxy by slot
//!    - agree: all atoms of a rule that must meet are routed alike
//!    - head: local heads are routed like their bodies
//!    - group: groups of aggregates determine the key
//!    - needs: senders route by columns that they send: `phase2b` by slot, `stale` by slot, `propose_to_proxy`
//!      by slot
//!    - machine: there is no machine, `start` or clock
//!    - ordered: streams keep their order for every key
//!    - fate: `open` is lost in a crash: the partitions of an instance restart together, behind a barrier
//!
//! Taken on trust:
//!
//! - `propose` has one row for each (b, slot), ever: what the part does for it begins once, at any instance and
//!   in any incarnation

anabranch::protocol! {
    /// MultiPaxos with leader election, executing replicas, truncation and catch-up.
    protocol multi_paxos_scaled;
    use crate::kv::{Command, Outcome, KvStore};
    use crate::multi_paxos::nth_largest;

    role proposer, shares fate;
    role acceptor, partitioned, shares fate;
    role replica;
    role proxy of proposer, partitioned, shares fate;
    /// Holds what all partitions of `acceptor` share, and takes what changes it in order.
    role arbiter of acceptor, shares fate;

    param keep: u64 = 10_000;

    type Ballot = (u64, proposer);
    type Value = Option<(Req, Command)>;

    request submit(command: Command) -> (outcome: Outcome) at proposer, resend;
    message phase1a(ballot: Ballot) to arbiter;
    message phase1b(ballot: Ballot, by: acceptor, floor: u64, votes: u64) to proposer;
    message old_vote(ballot: Ballot, by: acceptor, slot: u64, voted: Ballot, value: Value) to proposer;
    message adopt(ballot: Ballot) to arbiter;
    message phase2a(ballot: Ballot, slot: u64, value: Value) to acceptor routed by slot;
    message phase2b(ballot: Ballot, slot: u64, by: acceptor) to proxy routed by slot;
    message stale(ballot: Ballot, slot: u64) to proxy routed by slot;
    message outbid(ballot: Ballot) to proposer;
    message heartbeat(ballot: Ballot, beat: u64) to proposer;
    message chosen(slot: u64, value: Value) to replica;
    message executed(by: replica, upto: u64) to arbiter;
    message progress(by: replica, upto: u64) to replica;
    message fetch(by: replica, from: u64) to replica;
    message relearn(slot: u64) to proposer;
    message image(upto: u64, state: Bytes) to replica;
    message propose_to_proxy(b: Ballot, slot: u64, v: Value) to proxy routed by slot;
    /// A step is to be decided: keep what comes.
    message arbiter_freeze(number: u64) to acceptor routed to all;
    message arbiter_frozen(number: u64, by: u64) to arbiter;
    message arbiter_thaw(number: u64, by: u64) to acceptor routed to by;
    message arbiter_promised(step_number: u64, ballot: Ballot) to acceptor routed to all;
    message arbiter_floor(step_number: u64, slot: u64) to acceptor routed to all;
    message arbiter_phase1a(step_number: u64, ballot: Ballot) to acceptor routed to all;
    /// A step was decided; so many rows of each kind come with it.
    message arbiter_apply(number: u64, c0: u64, c1: u64, c2: u64) to acceptor routed to all;
    message arbiter_reports(number: u64, part_of: u64, b: Ballot, count: u64) to arbiter;
    /// A partition has applied a step; so many parts of each kind come with it.
    message arbiter_done(number: u64, by: u64, c0: u64) to arbiter;

    at proposer {
        durable var top(ballot: Max<Ballot>);
        var mine(ballot: Ballot) = Ballot::default();
        view running(b) <= mine(b), top(b), if b.1 == me && b.0 > 0;

        var heard(beat: Max<(Ballot, u64)>);
        heard((b, n)) <= heartbeat(b, n);
        top(b) <= heartbeat(b, _);
        top(b) <= outbid(b);

        var beats(n: u64) = 0;
        timer election(beat: (Ballot, u64)) every 300ms..3s jitter 300ms while heard(beat);
        timer pulse(b: Ballot) every 50ms while leading(b);
        on pulse(b), beats(n) {
            heartbeat(b, n) @ p <~ proposer(p);
            beats(n + 1) <+;
        }

        event campaign((t.0 + 1, me)) <= election(_), old top(t);
        campaign((t.0 + 1, me)) <= relearn(_), old leading(_), old top(t);
        on campaign(b) {
            top(b) <=;
            mine(b) <+;
            phase1a(b) @ a <~ acceptor(a);
        }

        timer enlist(b: Ballot) every 500ms while leading(b);
        adopt(b) @ a <~ enlist(b), acceptor(a);

        table promise(ballot: Ballot, by: acceptor => floor: u64, votes: u64);
        promise(b, a, low, n) <= phase1b(b, a, low, n), running(b);

        table past(ballot: Ballot, by: acceptor, slot: u64 => voted: Ballot, value: Value);
        past(b, a, slot, vb, v) <= old_vote(b, a, slot, vb, v), running(b);
        view arrived(b, a => count(slot)) <= past(b, a, slot, ..);
        view whole(b, a, low) <= promise(b, a, low, n), if arrived[b, a].unwrap_or(0) == n;
        view quorum(b => count(a), max(low)) <= whole(b, a, low);
        view leading(b) <= running(b), quorum(b, n, _), if n >= acceptor.majority();
        view latest(b, slot => max(vb => v)) <= past(b, _, slot, vb, v);
        view last(b => max(slot)) <= past(b, _, slot, ..);

        event propose(b: Ballot, slot: u64, v: Value);
        var next(ballot: Ballot, slot: u64) = (Ballot::default(), 0);
        on new leading(b), quorum(b, _, low), let high = last[b].map_or(low, |s| low.max(s + 1)) {
            propose(b, slot, latest[b, slot].flatten()) <= for slot in low..high;
            next(b, high) <+;
        }

        event taken(req, c) <= submit(req, c), running(_);

        table waiting(req: Req => command: Command);
        waiting(req, c) <= taken(req, c), running(b), !next(b, _);
        redirect submit(req, b.1) <~ submit(req, _), !running(_), top(b);
        on new top(b), if b.1 != me, waiting(req, _) {
            redirect submit(req, b.1) <~;
            waiting(req, _) <-;
        }

        event ready(b, req, c) <= taken(req, c), running(b), next(b, _);
        on new (waiting(req, c), leading(b), next(b, _)) {
            ready(b, req, c) <=;
            waiting(req, _) <-;
        }

        event assign(b, index(req), req, c) <= ready(b, req, c);
        on assign(b, i, req, c), next(b, n) {
            propose(b, n + i, Some((req, c))) <=;
            next(b, n + count(req)) <+;
        }

        on new top(b) {
            forget promise(o, ..) <- promise(o, ..), if o < b;
            forget past(o, ..) <- past(o, ..), if o < b;
        }

        propose_to_proxy(b, slot, v) @ me <~ propose(b, slot, v);
    }

    at acceptor {
        durable table voted(slot: u64 => ballot: Ballot, value: Value) routed by slot;
        event applied_step(number: u64);
        var promised(ballot: Max<Ballot>);
        var floor(slot: Max<u64>);
        event phase1a_seen(ballot: Ballot);
        event report(b, slot, vb, v) <= phase1a_seen(b), promised(b), voted(slot, vb, v);
        event reports(b => count(slot)) <= report(b, slot, ..);
        old_vote(b, me, slot, vb, v) @ b.1 <~ report(b, slot, vb, v);

        event phase2a_now(ballot: Ballot, slot: u64, value: Value);
        on phase2a_now(b, slot, v), promised(b), floor(low) {
            voted(slot, b, v) <+ if slot >= low;
            phase2b(b, slot, me) @ b.1 <~;
        }

        on phase2a_now(b, slot, _), promised(top), if b < top {
            stale(b, slot) @ b.1 <~;
            outbid(top) @ b.1 <~;
        }

        forget voted(slot, ..) <- new floor(hi), old floor(lo), for slot in lo..hi, applied_step(step_number),
            if step_number > 0;

        var frozen_at(number: Max<u64>);
        frozen_at(n) <= arbiter_freeze(n);
        arbiter_frozen(n, partition) @ me <~ arbiter_freeze(n);
        arbiter_thaw(n, partition) @ me <~ applied_step(n);

        var thawed_to(number: Max<u64>);
        thawed_to(n + 1) <= arbiter_thaw(n, _);

        table promised_in(step_number: u64, ballot: Ballot);
        promised_in(n, x0) <= arbiter_promised(n, x0);

        view promised_here(step_number: u64 => rows: u64);
        promised_here(n, count()) <= promised_in(n, x0);
        promised(x0) <= applied_step(n), promised_in(n, x0);
        promised_in(n, _) <- applied_step(n);

        table floor_in(step_number: u64, slot: u64);
        floor_in(n, x0) <= arbiter_floor(n, x0);

        view floor_here(step_number: u64 => rows: u64);
        floor_here(n, count()) <= floor_in(n, x0);
        floor(x0) <= applied_step(n), floor_in(n, x0);
        floor_in(n, _) <- applied_step(n);
        phase2a_now(x0, x1, x2) <= phase2a(x0, x1, x2), old frozen_at(f), old thawed_to(t), if t > f;

        table phase2a_late(ballot: Ballot, slot: u64, value: Value);
        phase2a_late(x0, x1, x2) <= phase2a(x0, x1, x2), old frozen_at(f), old thawed_to(t), if t <= f;
        on arbiter_thaw(f, _), frozen_at(f), phase2a_late(x0, x1, x2) {
            phase2a_now(x0, x1, x2) <+;
            phase2a_late(x0, x1, x2) <-;
        }

        table phase1a_in(step_number: u64, ballot: Ballot);
        phase1a_in(n, x0) <= arbiter_phase1a(n, x0);

        view phase1a_here(step_number: u64 => rows: u64);
        phase1a_here(n, count()) <= phase1a_in(n, x0);
        phase1a_seen(x0) <= applied_step(n), phase1a_in(n, x0);
        phase1a_in(n, _) <- applied_step(n);

        table applied_step_rows(number: u64, c0: u64, c1: u64, c2: u64);
        applied_step_rows(n, c0, c1, c2) <= arbiter_apply(n, c0, c1, c2);

        view whole_applied_step(number: u64);
        whole_applied_step(n) <= applied_step_rows(n, c0, c1, c2),
            if promised_here[n].unwrap_or(0) == c0 && floor_here[n].unwrap_or(0) == c1
            && phase1a_here[n].unwrap_or(0) == c2;
        applied_step(n) <= new whole_applied_step(n);
        applied_step_rows(n, ..) <- applied_step(n);
        arbiter_reports(n, partition, x0, x1) @ me <~ applied_step(n), reports(x0, x1);

        event reports_sent(number: u64 => rows: u64);
        reports_sent(n, count()) <= applied_step(n), reports(x0, x1);
        arbiter_done(n, partition, reports_sent[n].unwrap_or(0)) @ me <~ applied_step(n);
    }

    at replica {
        durable machine kv(slot: u64, value: Value) -> (done: Option<(Req, Outcome)>) = Sessions<KvStore>;
        durable table log(slot: u64 => value: Value);
        on chosen(slot, v), old kv.next(n), if slot >= n {
            log(slot, v) <=;
            kv(slot, v) <=;
        }

        reply submit(req, out) <~ kv.done(slot, Some((req, out))), if replica.of(slot) == me;
        log(old, _) <- kv.done(slot, _), let Some(old) = slot.checked_sub(keep);

        timer gossip every 100ms;
        executed(me, n) @ a <~ gossip(), kv.next(n), acceptor(a);
        progress(me, n) @ r <~ gossip(), kv.next(n), replica(r), if r != me;

        table others(by: replica, upto: Max<u64>);
        others(r, n) <= progress(r, n);
        view behind(here) <= kv.next(here), others(_, n), if n > here;
        view newest(max(slot)) <= log(slot, _);
        behind(here) <= kv.next(here), newest(s), if s > here;

        timer stuck(here: u64) every 200ms..5s while behind(here);
        event ask(here, choose(r)) <= stuck(here), others(r, n), if n > here;
        fetch(me, here) @ r <~ ask(here, r);
        relearn(here) @ p <~ stuck(here), !ask(here, _), proposer(p);
        on fetch(r, from), kv.next(n), if from < n {
            chosen(slot, v) @ r <~ for slot in from..n.min(from + 20_000), log(slot, v);
            kv.save(r) <= !log(from, _);
        }

        image(n, state) @ r <~ kv.saved(r, n, state);
        on image(n, state) {
            kv.load(n, state) <=;
            log(slot, _) <- log(slot, _), if slot < n;
        }
    }

    at proxy {
        table open(ballot: Ballot, slot: u64 => value: Value);
        on propose_to_proxy(b, slot, v) {
            open(b, slot, v) <=;
            phase2a(b, slot, v) @ a <~ acceptor(a);
        }

        table accepts(ballot: Ballot, slot: u64, by: acceptor);
        timer push(b: Ballot, slot: u64) every 200ms..2s while open(b, slot, _);
        phase2a(b, slot, v) @ a <~ push(b, slot), open(b, slot, v), acceptor(a);
        accepts(b, slot, a) <= phase2b(b, slot, a), open(b, slot, _);
        view backing(b, slot => count(a)) <= accepts(b, slot, a);
        view won(b, slot) <= backing(b, slot, n), if n >= acceptor.majority();
        on new won(b, slot), open(b, slot, v) {
            chosen(slot, v) @ r <~ replica(r);
            open(b, slot, _) <-;
            accepts(b, slot, _) <-;
        }

        on stale(b, slot) {
            open(b, slot, _) <-;
            accepts(b, slot, _) <-;
        }
    }

    at arbiter {
        durable var promised(ballot: Max<Ballot>);
        durable var floor(slot: Max<u64>);
        durable table marks(by: replica, upto: Max<u64>);
        event decide(number: u64);
        event complete(number: u64);
        event phase1a_now(ballot: Ballot);
        promised(b) <= phase1a_now(b);

        event adopt_now(ballot: Ballot);
        promised(b) <= adopt_now(b);
        event bid(b) <= phase1a_now(b);
        bid(b) <= adopt_now(b);
        outbid(top) @ b.1 <~ bid(b), promised(top), if b < top;

        event executed_now(by: replica, upto: u64);
        view reports_total(number: u64, b: Ballot => count: u64);
        table due_1(number: u64, kept_0: Ballot, kept_1: Ballot, kept_2: u64);
        phase1b(b, me, low, reports_total[step_number, b].unwrap_or(0)) @ b.1 <~ complete(step_number),
            due_1(step_number, b, b, low);
        marks(r, n) <= executed_now(r, n);
        view all_marks(collect(n)) <= marks(_, n);
        floor(nth_largest(&ns, replica.majority())) <= new all_marks(ns);
        due_1(step_number, b, b, low) <= decide(step_number), phase1a_now(b), promised(b), floor(low);
        due_1(step_number, ..) <- complete(step_number);

        var step(number: u64) = 0;
        table asked(number: u64);
        table cold(number: u64, by: u64);
        cold(n, i) <= arbiter_frozen(n, i), asked(n);

        view cold_count(number: u64 => partitions: u64);
        cold_count(n, count(i)) <= cold(n, i);

        view all_cold(number: u64);
        all_cold(n) <= cold_count(n, k), if k == acceptor.partitions();

        view call_step(number: u64);
        on new call_step(n) {
            step(n + 1) <+;
            asked(n + 1) <+;
            arbiter_freeze(n + 1) @ me <~;
        }

        decide(n) <= new all_cold(n);
        cold(n, _) <- decide(n);
        asked(0) <= start(_);
        asked(n) <- complete(n);

        event promised_out(step_number: u64, ballot: Ballot);
        promised_out(n, x0) <= decide(n), new promised(x0);
        promised_out(0, x0) <= start(_), promised(x0);

        event promised_sent(step_number: u64 => rows: u64);
        promised_sent(n, count()) <= promised_out(n, x0);
        arbiter_promised(n, x0) @ me <~ promised_out(n, x0);

        event floor_out(step_number: u64, slot: u64);
        floor_out(n, x0) <= decide(n), new floor(x0);
        floor_out(0, x0) <= start(_), floor(x0);

        event floor_sent(step_number: u64 => rows: u64);
        floor_sent(n, count()) <= floor_out(n, x0);
        arbiter_floor(n, x0) @ me <~ floor_out(n, x0);

        table phase1a_waits(ballot: Ballot);
        phase1a_waits(x0) <= phase1a(x0);
        call_step(n) <= phase1a_waits(_), step(n), !asked(_);
        on decide(_), phase1a_waits(x0) {
            phase1a_now(x0) <=;
            phase1a_waits(x0) <-;
        }

        table adopt_waits(ballot: Ballot);
        adopt_waits(x0) <= adopt(x0);
        call_step(n) <= adopt_waits(_), step(n), !asked(_);
        on decide(_), adopt_waits(x0) {
            adopt_now(x0) <=;
            adopt_waits(x0) <-;
        }

        table executed_waits(by: replica, upto: u64);
        executed_waits(x0, x1) <= executed(x0, x1);
        call_step(n) <= executed_waits(..), step(n), !asked(_);
        on decide(_), executed_waits(x0, x1) {
            executed_now(x0, x1) <=;
            executed_waits(x0, x1) <-;
        }

        event phase1a_out(step_number: u64, ballot: Ballot);
        phase1a_out(n, x0) <= decide(n), phase1a_now(x0);

        event phase1a_sent(step_number: u64 => rows: u64);
        phase1a_sent(n, count()) <= phase1a_out(n, x0);
        arbiter_phase1a(n, x0) @ me <~ phase1a_out(n, x0);
        arbiter_apply(n, promised_sent[n].unwrap_or(0), floor_sent[n].unwrap_or(0),
                phase1a_sent[n].unwrap_or(0)) @ me <~ decide(n);
        arbiter_apply(0, promised_sent[0].unwrap_or(0), floor_sent[0].unwrap_or(0),
                phase1a_sent[0].unwrap_or(0)) @ me <~ start(_);

        table reports_parts(number: u64, part_of: u64, b: Ballot, count: u64);
        reports_parts(n, i, x0, x1) <= arbiter_reports(n, i, x0, x1);
        reports_parts(n, ..) <- complete(n);

        view reports_here(number: u64, part_of: u64 => rows: u64);
        reports_here(n, i, count()) <= reports_parts(n, i, x0, x1);
        reports_total(n, x0, sum(x1)) <= reports_parts(n, _, x0, x1);

        table complete_parts(number: u64, by: u64, c0: u64);
        complete_parts(n, i, c0) <= arbiter_done(n, i, c0);

        view full_complete(number: u64, by: u64);
        full_complete(n, i) <= complete_parts(n, i, c0), if reports_here[n, i].unwrap_or(0) == c0;

        view complete_count(number: u64 => partitions: u64);
        complete_count(n, count(i)) <= full_complete(n, i);

        view all_complete(number: u64);
        all_complete(n) <= complete_count(n, k), if k == acceptor.partitions();
        complete(n) <= new all_complete(n);
        complete_parts(n, ..) <- complete(n);
    }

    never disagree(slot) <= log(slot, v) at _, log(slot, w) at _, if v != w;
}
