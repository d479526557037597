//! MultiPaxos (Lamport: *The part-time parliament*, ACM TOCS 16(2), 1998; van Renesse, Altinbuken: *Paxos made
//! moderately complex*, ACM Computing Surveys 47(3), 2015) with leader election, executing replicas,
//! truncation and catch-up.
//!
//! Slots below `floor` are executed durably by a majority of replicas: acceptors drop them, and whoever lacks
//! them asks a replica.
//!
//! One replica answers a slot. Where its answer is lost (it crashes, or takes an image from beyond the slot), the
//! client's repeat is chosen again at another slot, whose replica answers from the record of the first execution.

pub mod multi_paxos_scaled;

/// The k-th largest of the values, counting from 1; 0 if there are fewer. The values are sorted upwards, as
/// `collect` gives them.
pub fn nth_largest(sorted: &[u64], k: u64) -> u64 {
    usize::try_from(k).ok().and_then(|k| sorted.len().checked_sub(k)).map_or(0, |i| sorted[i])
}

anabranch::protocol! {
    /// MultiPaxos with leader election, executing replicas, truncation and catch-up.
    protocol multi_paxos;
    use crate::kv::{Command, Outcome, KvStore};
    use crate::multi_paxos::nth_largest;            // fn(&[u64], u64) -> u64; 0 if too short

    role proposer;
    role acceptor;
    role replica;
    param keep: u64 = 10_000;                       // slots a replica keeps for laggards
    type Ballot = (u64, proposer);                  // round 0 is nobody's
    type Value = Option<(Req, Command)>;            // None fills a hole

    request submit(command: Command) -> (outcome: Outcome) at proposer, resend;
    message phase1a(ballot: Ballot) to acceptor;
    message phase1b(ballot: Ballot, by: acceptor, floor: u64, votes: u64) to proposer;
    message old_vote(ballot: Ballot, by: acceptor, slot: u64, voted: Ballot, value: Value) to proposer;
    message adopt(ballot: Ballot) to acceptor;
    message phase2a(ballot: Ballot, slot: u64, value: Value) to acceptor;
    message phase2b(ballot: Ballot, slot: u64, by: acceptor) to proposer;
    message stale(ballot: Ballot, slot: u64) to proposer;
    message outbid(ballot: Ballot) to proposer;
    message heartbeat(ballot: Ballot, beat: u64) to proposer;
    message chosen(slot: u64, value: Value) to replica;
    message executed(by: replica, upto: u64) to acceptor;
    message progress(by: replica, upto: u64) to replica;
    message fetch(by: replica, from: u64) to replica;
    message relearn(slot: u64) to proposer;
    message image(upto: u64, state: Bytes) to replica;

    at acceptor {
        durable var promised(ballot: Max<Ballot>);
        durable var floor(slot: Max<u64>);           // below: executed durably by a majority of replicas
        durable table voted(slot: u64 => ballot: Ballot, value: Value);
        durable table marks(by: replica, upto: Max<u64>); // durable: a crash takes nothing from an acceptor

        // Phase 2 compares with the promise and never raises it: slots then have nothing in common.
        promised(b) <= phase1a(b);
        promised(b) <= adopt(b);                     // for those whom phase 1 missed
        event bid(b) <= phase1a(b);
        bid(b) <= adopt(b);
        outbid(top) @ b.1 <~ bid(b), promised(top), if b < top;

        // Each vote travels by itself; the count tells the proposer when it has them all.
        event report(b, slot, vb, v) <= phase1a(b), promised(b), voted(slot, vb, v);
        event reports(b => count(slot)) <= report(b, slot, _, _);
        old_vote(b, me, slot, vb, v) @ b.1 <~ report(b, slot, vb, v);
        phase1b(b, me, low, reports[b].unwrap_or(0)) @ b.1 <~ phase1a(b), promised(b), floor(low);

        on phase2a(b, slot, v), promised(b), floor(low) {
            voted(slot, b, v) <+ if slot >= low;
            phase2b(b, slot, me) @ b.1 <~;
        }
        on phase2a(b, slot, _), promised(top), if b < top {
            stale(b, slot) @ b.1 <~;
            outbid(top) @ b.1 <~;
        }

        marks(r, n) <= executed(r, n);
        view all_marks(collect(n)) <= marks(_, n);
        floor(nth_largest(&ns, replica.majority())) <= new all_marks(ns);
        // Late or never is harmless: whoever leads proposes nothing below the floor that it is told.
        forget voted(slot, ..) <- new floor(hi), old floor(lo), for slot in lo..hi;
    }

    at proposer {
        durable var top(ballot: Max<Ballot>);        // highest ballot heard of; never reuse one of ours
        var mine(ballot: Ballot) = Ballot::default(); // ours in this incarnation
        var heard(beat: Max<(Ballot, u64)>);
        var beats(n: u64) = 0;
        timer election(beat: (Ballot, u64)) every 300ms..3s jitter 300ms while heard(beat);
        timer pulse(b: Ballot) every 50ms while leading(b);
        timer enlist(b: Ballot) every 500ms while leading(b);
        view running(b) <= mine(b), top(b), if b.1 == me && b.0 > 0;

        // Leader election. A leader hears its own heartbeat, so its election timer rests.
        heard((b, n)) <= heartbeat(b, n);
        top(b) <= heartbeat(b, _);
        top(b) <= outbid(b);
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
        adopt(b) @ a <~ enlist(b), acceptor(a);

        // Phase 1: a promise is whole when all the votes that it announced are here.
        table promise(ballot: Ballot, by: acceptor => floor: u64, votes: u64);
        table past(ballot: Ballot, by: acceptor, slot: u64 => voted: Ballot, value: Value);
        promise(b, a, low, n) <= phase1b(b, a, low, n), running(b);
        past(b, a, slot, vb, v) <= old_vote(b, a, slot, vb, v), running(b);
        view arrived(b, a => count(slot)) <= past(b, a, slot, _, _);
        view whole(b, a, low) <= promise(b, a, low, n), if arrived[b, a].unwrap_or(0) == n;
        view quorum(b => count(a), max(low)) <= whole(b, a, low);
        view leading(b) <= running(b), quorum(b, n, _), if n >= acceptor.majority();
        view latest(b, slot => max(vb => v)) <= past(b, _, slot, vb, v);
        view last(b => max(slot)) <= past(b, _, slot, _, _);

        // Take over: propose again what may have been chosen, no-ops in the holes.
        event propose(b: Ballot, slot: u64, v: Value);
        var next(ballot: Ballot, slot: u64) = (Ballot::default(), 0);
        on new leading(b), quorum(b, _, low), let high = last[b].map_or(low, |s| low.max(s + 1)) {
            propose(b, slot, latest[b, slot].flatten()) <= for slot in low..high;
            next(b, high) <+;
        }

        // New commands, numbered within the tick. Those that come before phase 1 is over wait for it.
        table waiting(req: Req => command: Command);
        event taken(req, c) <= submit(req, c), running(_);
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

        // Phase 2: each proposal lives by itself, under its ballot and slot, until it is chosen or stale.
        table open(ballot: Ballot, slot: u64 => value: Value);
        table accepts(ballot: Ballot, slot: u64, by: acceptor);
        timer push(b: Ballot, slot: u64) every 200ms..2s while open(b, slot, _);
        on propose(b, slot, v) {
            open(b, slot, v) <=;
            phase2a(b, slot, v) @ a <~ acceptor(a);
        }
        phase2a(b, slot, v) @ a <~ push(b, slot), open(b, slot, v), acceptor(a);
        accepts(b, slot, a) <= phase2b(b, slot, a), open(b, slot, _);
        view backing(b, slot => count(a)) <= accepts(b, slot, a);
        view won(b, slot) <= backing(b, slot, n), if n >= acceptor.majority();
        on new won(b, slot), open(b, slot, v) {
            chosen(slot, v) @ r <~ replica(r);
            open(b, slot, _) <-;
            accepts(b, slot, _) <-;
        }
        on stale(b, slot) {                          // a higher ballot's phase 1 finds what was accepted
            open(b, slot, _) <-;
            accepts(b, slot, _) <-;
        }

        on new top(b) {
            forget promise(o, ..) <- promise(o, ..), if o < b;
            forget past(o, ..) <- past(o, ..), if o < b;
        }
    }

    at replica {
        durable machine kv(slot: u64, value: Value) -> (done: Option<(Req, Outcome)>) = Sessions<KvStore>;
        durable table log(slot: u64 => value: Value);   // two values for one slot stop the node
        timer gossip every 100ms;

        on chosen(slot, v), old kv.next(n), if slot >= n {
            log(slot, v) <=;
            kv(slot, v) <=;
        }
        // A repeat has a slot of its own; `Sessions` answers it from its record.
        reply submit(req, out) <~ kv.done(slot, Some((req, out))), if replica.of(slot) == me;
        log(old, _) <- kv.done(slot, _), let Some(old) = slot.checked_sub(keep);

        executed(me, n) @ a <~ gossip(), kv.next(n), acceptor(a);
        progress(me, n) @ r <~ gossip(), kv.next(n), replica(r), if r != me;

        // Stuck: ask one that is ahead; it sends slots, or its state where those are gone. If nobody
        // is, the announcement was lost in crashes, and a new phase 1 finds the value.
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

    never disagree(slot) <= log(slot, v) at _, log(slot, w) at _, if v != w;
}
