//! Single-decree Paxos (Lamport: *Paxos made simple*, ACM SIGACT News 32(4), 2001), right and with mistakes.

anabranch::protocol! {
    /// As it should be.
    protocol paxos;
    role proposer;
    role acceptor;
    type Ballot = (u64, proposer);                   // round 0 is nobody's
    request propose(value: Bytes) -> (chosen: Bytes) at proposer;
    message prepare(ballot: Ballot) to acceptor;
    message promise(ballot: Ballot, by: acceptor, vote: Option<(Ballot, Bytes)>) to proposer;
    message accept(ballot: Ballot, value: Bytes) to acceptor;
    message accepted(ballot: Ballot, by: acceptor) to proposer;
    message outbid(ballot: Ballot) to proposer;
    at acceptor {
        durable var promised(ballot: Max<Ballot>);
        durable var voted(vote: Option<(Ballot, Bytes)>) = None;
        promised(b) <= prepare(b);
        promised(b) <= accept(b, _);
        on prepare(b), promised(b), voted(v) {
            promise(b, me, v) @ b.1 <~;
        }
        outbid(top) @ b.1 <~ prepare(b), promised(top), if b < top;
        outbid(top) @ b.1 <~ accept(b, _), promised(top), if b < top;
        on accept(b, v), promised(b) {
            voted(Some((b, v))) <+;
            accepted(b, me) @ b.1 <~;
        }
    }
    at proposer {
        durable var round(n: Max<u64>);              // no ballot is used twice, none below what was heard of
        round(b.0) <= outbid(b);
        var mine(ballot: Ballot) = Ballot::default();
        table pending(req: Req => value: Bytes);
        timer retry(req: Req) every 40ms..800ms jitter 60ms while pending(req, _);
        pending(req, v) <= propose(req, v);
        event bid(n: u64);
        bid(n + 1) <= propose(_, _), round(n);
        bid(n + 1) <= retry(_), round(n);
        on bid(n) {
            round(n) <+;
            mine((n, me)) <+;
            prepare((n, me)) @ a <~ acceptor(a);
        }
        table promises(ballot: Ballot, by: acceptor => vote: Option<(Ballot, Bytes)>);
        promises(b, a, v) <= promise(b, a, v), mine(b);
        view backers(b => count(a), max(v)) <= promises(b, a, v);
        view ready(b, v) <= backers(b, n, v), if n >= acceptor.majority();
        table started(ballot: Ballot);
        event lead(b: Ballot, v: Option<(Ballot, Bytes)>);
        lead(b, v) <= new ready(b, v), !old started(b);
        event propose_at(b: Ballot, v: Bytes);
        propose_at(b, v.1) <= lead(b, Some(v));
        event fresh(b, choose(own)) <= lead(b, None), pending(_, own);
        propose_at(b, v) <= fresh(b, v);
        table proposed(ballot: Ballot => value: Bytes);
        on propose_at(b, v) {
            started(b) <=;
            proposed(b, v) <=;
            accept(b, v) @ a <~ acceptor(a);
        }
        table accepts(ballot: Ballot, by: acceptor);
        accepts(b, a) <= accepted(b, a), mine(b);
        view support(b => count(a)) <= accepts(b, a);
        view chosen(b, v) <= support(b, n), proposed(b, v), if n >= acceptor.majority();
        on new chosen(b, v), mine(b), pending(req, _) {
            reply propose(req, v) <~;
            pending(req, ..) <-;
        }
        ghost table decided(value: Bytes);
        decided(v) <= new chosen(_, v);
    }
    never disagree(v, w) <= decided(v) at _, decided(w) at _, if v != w;
    sometimes some(v) <= decided(v) at _;
}

anabranch::protocol! {
    /// A quorum is f acceptors, not f + 1.
    protocol paxos_f;
    role proposer;
    role acceptor;
    type Ballot = (u64, proposer);                   // round 0 is nobody's
    request propose(value: Bytes) -> (chosen: Bytes) at proposer;
    message prepare(ballot: Ballot) to acceptor;
    message promise(ballot: Ballot, by: acceptor, vote: Option<(Ballot, Bytes)>) to proposer;
    message accept(ballot: Ballot, value: Bytes) to acceptor;
    message accepted(ballot: Ballot, by: acceptor) to proposer;
    message outbid(ballot: Ballot) to proposer;
    at acceptor {
        durable var promised(ballot: Max<Ballot>);
        durable var voted(vote: Option<(Ballot, Bytes)>) = None;
        promised(b) <= prepare(b);
        promised(b) <= accept(b, _);
        on prepare(b), promised(b), voted(v) {
            promise(b, me, v) @ b.1 <~;
        }
        outbid(top) @ b.1 <~ prepare(b), promised(top), if b < top;
        outbid(top) @ b.1 <~ accept(b, _), promised(top), if b < top;
        on accept(b, v), promised(b) {
            voted(Some((b, v))) <+;
            accepted(b, me) @ b.1 <~;
        }
    }
    at proposer {
        durable var round(n: Max<u64>);              // no ballot is used twice, none below what was heard of
        round(b.0) <= outbid(b);
        var mine(ballot: Ballot) = Ballot::default();
        table pending(req: Req => value: Bytes);
        timer retry(req: Req) every 40ms..800ms jitter 60ms while pending(req, _);
        pending(req, v) <= propose(req, v);
        event bid(n: u64);
        bid(n + 1) <= propose(_, _), round(n);
        bid(n + 1) <= retry(_), round(n);
        on bid(n) {
            round(n) <+;
            mine((n, me)) <+;
            prepare((n, me)) @ a <~ acceptor(a);
        }
        table promises(ballot: Ballot, by: acceptor => vote: Option<(Ballot, Bytes)>);
        promises(b, a, v) <= promise(b, a, v), mine(b);
        view backers(b => count(a), max(v)) <= promises(b, a, v);
        view ready(b, v) <= backers(b, n, v), if n >= acceptor.len() / 2;
        table started(ballot: Ballot);
        event lead(b: Ballot, v: Option<(Ballot, Bytes)>);
        lead(b, v) <= new ready(b, v), !old started(b);
        event propose_at(b: Ballot, v: Bytes);
        propose_at(b, v.1) <= lead(b, Some(v));
        event fresh(b, choose(own)) <= lead(b, None), pending(_, own);
        propose_at(b, v) <= fresh(b, v);
        table proposed(ballot: Ballot => value: Bytes);
        on propose_at(b, v) {
            started(b) <=;
            proposed(b, v) <=;
            accept(b, v) @ a <~ acceptor(a);
        }
        table accepts(ballot: Ballot, by: acceptor);
        accepts(b, a) <= accepted(b, a), mine(b);
        view support(b => count(a)) <= accepts(b, a);
        view chosen(b, v) <= support(b, n), proposed(b, v), if n >= acceptor.len() / 2;
        on new chosen(b, v), mine(b), pending(req, _) {
            reply propose(req, v) <~;
            pending(req, ..) <-;
        }
        ghost table decided(value: Bytes);
        decided(v) <= new chosen(_, v);
    }
    never disagree(v, w) <= decided(v) at _, decided(w) at _, if v != w;
    sometimes some(v) <= decided(v) at _;
}

anabranch::protocol! {
    /// A crash takes an acceptor its promise.
    protocol paxos_unpromised;
    role proposer;
    role acceptor;
    type Ballot = (u64, proposer);                   // round 0 is nobody's
    request propose(value: Bytes) -> (chosen: Bytes) at proposer;
    message prepare(ballot: Ballot) to acceptor;
    message promise(ballot: Ballot, by: acceptor, vote: Option<(Ballot, Bytes)>) to proposer;
    message accept(ballot: Ballot, value: Bytes) to acceptor;
    message accepted(ballot: Ballot, by: acceptor) to proposer;
    message outbid(ballot: Ballot) to proposer;
    at acceptor {
        var promised(ballot: Max<Ballot>);
        durable var voted(vote: Option<(Ballot, Bytes)>) = None;
        promised(b) <= prepare(b);
        promised(b) <= accept(b, _);
        on prepare(b), promised(b), voted(v) {
            promise(b, me, v) @ b.1 <~;
        }
        outbid(top) @ b.1 <~ prepare(b), promised(top), if b < top;
        outbid(top) @ b.1 <~ accept(b, _), promised(top), if b < top;
        on accept(b, v), promised(b) {
            voted(Some((b, v))) <+;
            accepted(b, me) @ b.1 <~;
        }
    }
    at proposer {
        durable var round(n: Max<u64>);              // no ballot is used twice, none below what was heard of
        round(b.0) <= outbid(b);
        var mine(ballot: Ballot) = Ballot::default();
        table pending(req: Req => value: Bytes);
        timer retry(req: Req) every 500ms..800ms jitter 60ms while pending(req, _);
        pending(req, v) <= propose(req, v);
        event bid(n: u64);
        bid(n + 1) <= propose(_, _), round(n);
        bid(n + 1) <= retry(_), round(n);
        on bid(n) {
            round(n) <+;
            mine((n, me)) <+;
            prepare((n, me)) @ a <~ acceptor(a);
        }
        table promises(ballot: Ballot, by: acceptor => vote: Option<(Ballot, Bytes)>);
        promises(b, a, v) <= promise(b, a, v), mine(b);
        view backers(b => count(a), max(v)) <= promises(b, a, v);
        view ready(b, v) <= backers(b, n, v), if n >= acceptor.majority();
        table started(ballot: Ballot);
        event lead(b: Ballot, v: Option<(Ballot, Bytes)>);
        lead(b, v) <= new ready(b, v), !old started(b);
        event propose_at(b: Ballot, v: Bytes);
        propose_at(b, v.1) <= lead(b, Some(v));
        event fresh(b, choose(own)) <= lead(b, None), pending(_, own);
        propose_at(b, v) <= fresh(b, v);
        table proposed(ballot: Ballot => value: Bytes);
        on propose_at(b, v) {
            started(b) <=;
            proposed(b, v) <=;
            accept(b, v) @ a <~ acceptor(a);
        }
        table accepts(ballot: Ballot, by: acceptor);
        accepts(b, a) <= accepted(b, a), mine(b);
        view support(b => count(a)) <= accepts(b, a);
        view chosen(b, v) <= support(b, n), proposed(b, v), if n >= acceptor.majority();
        on new chosen(b, v), mine(b), pending(req, _) {
            reply propose(req, v) <~;
            pending(req, ..) <-;
        }
        ghost table decided(value: Bytes);
        decided(v) <= new chosen(_, v);
    }
    never disagree(v, w) <= decided(v) at _, decided(w) at _, if v != w;
    sometimes some(v) <= decided(v) at _;
}

anabranch::protocol! {
    /// A crash takes an acceptor its promise and its vote.
    protocol paxos_amnesia;
    role proposer;
    role acceptor;
    type Ballot = (u64, proposer);                   // round 0 is nobody's
    request propose(value: Bytes) -> (chosen: Bytes) at proposer;
    message prepare(ballot: Ballot) to acceptor;
    message promise(ballot: Ballot, by: acceptor, vote: Option<(Ballot, Bytes)>) to proposer;
    message accept(ballot: Ballot, value: Bytes) to acceptor;
    message accepted(ballot: Ballot, by: acceptor) to proposer;
    message outbid(ballot: Ballot) to proposer;
    at acceptor {
        var promised(ballot: Max<Ballot>);
        var voted(vote: Option<(Ballot, Bytes)>) = None;
        promised(b) <= prepare(b);
        promised(b) <= accept(b, _);
        on prepare(b), promised(b), voted(v) {
            promise(b, me, v) @ b.1 <~;
        }
        outbid(top) @ b.1 <~ prepare(b), promised(top), if b < top;
        outbid(top) @ b.1 <~ accept(b, _), promised(top), if b < top;
        on accept(b, v), promised(b) {
            voted(Some((b, v))) <+;
            accepted(b, me) @ b.1 <~;
        }
    }
    at proposer {
        durable var round(n: Max<u64>);              // no ballot is used twice, none below what was heard of
        round(b.0) <= outbid(b);
        var mine(ballot: Ballot) = Ballot::default();
        table pending(req: Req => value: Bytes);
        timer retry(req: Req) every 40ms..800ms jitter 60ms while pending(req, _);
        pending(req, v) <= propose(req, v);
        event bid(n: u64);
        bid(n + 1) <= propose(_, _), round(n);
        bid(n + 1) <= retry(_), round(n);
        on bid(n) {
            round(n) <+;
            mine((n, me)) <+;
            prepare((n, me)) @ a <~ acceptor(a);
        }
        table promises(ballot: Ballot, by: acceptor => vote: Option<(Ballot, Bytes)>);
        promises(b, a, v) <= promise(b, a, v), mine(b);
        view backers(b => count(a), max(v)) <= promises(b, a, v);
        view ready(b, v) <= backers(b, n, v), if n >= acceptor.majority();
        table started(ballot: Ballot);
        event lead(b: Ballot, v: Option<(Ballot, Bytes)>);
        lead(b, v) <= new ready(b, v), !old started(b);
        event propose_at(b: Ballot, v: Bytes);
        propose_at(b, v.1) <= lead(b, Some(v));
        event fresh(b, choose(own)) <= lead(b, None), pending(_, own);
        propose_at(b, v) <= fresh(b, v);
        table proposed(ballot: Ballot => value: Bytes);
        on propose_at(b, v) {
            started(b) <=;
            proposed(b, v) <=;
            accept(b, v) @ a <~ acceptor(a);
        }
        table accepts(ballot: Ballot, by: acceptor);
        accepts(b, a) <= accepted(b, a), mine(b);
        view support(b => count(a)) <= accepts(b, a);
        view chosen(b, v) <= support(b, n), proposed(b, v), if n >= acceptor.majority();
        on new chosen(b, v), mine(b), pending(req, _) {
            reply propose(req, v) <~;
            pending(req, ..) <-;
        }
        ghost table decided(value: Bytes);
        decided(v) <= new chosen(_, v);
    }
    never disagree(v, w) <= decided(v) at _, decided(w) at _, if v != w;
    sometimes some(v) <= decided(v) at _;
}
