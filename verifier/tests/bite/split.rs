//! Rewrites done wrong: nodes that were split although a precondition fails.

anabranch::protocol! {
    /// Two things that follow from the same messages, on one node: of each key the first note that it took, twice.
    protocol whole;
    role writer;
    role left;
    request write(k: u64, v: u64) -> (sent: bool) at writer;
    request read(k: u64) -> (a: u64, b: u64) at left;
    message note(k: u64, v: u64) to left;
    at writer {
        note(k, v) @ l <~ write(_, k, v), left(l);
        reply write(req, true) <~ write(req, _, _);
    }
    at left {
        durable table first(k: u64 => v: u64);
        durable table again(k: u64 => v: u64);
        event pick(k, min(v)) <= note(k, v);
        first(k, v) <= pick(k, v), !old first(k, _);
        again(k, v) <= pick(k, v), !old again(k, _);
        reply read(req, a, b) <~ read(req, k), first(k, a), again(k, b);
        reply read(req, 0, 0) <~ read(req, k), !first(k, _);
    }
}

anabranch::protocol! {
    /// The same with the second table on a node of its own, which is sent the notes as well: nothing says that
    /// both take them in the same order.
    protocol halves;
    role writer;
    role left;
    role right;
    request write(k: u64, v: u64) -> (sent: bool) at writer;
    request read(k: u64) -> (a: u64, b: u64) at left;
    message note(k: u64, v: u64) to left;
    message copy(k: u64, v: u64) to right;
    message ask(req: Req, k: u64, a: u64) to right;
    at writer {
        note(k, v) @ l <~ write(_, k, v), left(l);
        copy(k, v) @ r <~ write(_, k, v), right(r);
        reply write(req, true) <~ write(req, _, _);
    }
    at left {
        durable table first(k: u64 => v: u64);
        event pick(k, min(v)) <= note(k, v);
        first(k, v) <= pick(k, v), !old first(k, _);
        ask(req, k, a) @ r <~ read(req, k), first(k, a), right(r);
        reply read(req, 0, 0) <~ read(req, k), !first(k, _);
    }
    at right {
        durable table again(k: u64 => v: u64);
        event pick(k, min(v)) <= copy(k, v);
        again(k, v) <= pick(k, v), !old again(k, _);
        reply read(req, a, b) <~ ask(req, k, a), again(k, b);
        reply read(req, 0, 0) <~ ask(req, k, _), !again(k, _);
    }
}

anabranch::protocol! {
    /// A poll whose votes are collected on a node of their own. The collector counts votes of polls that it
    /// was told of, as it should when they were opened where they are counted: votes that overtake the
    /// forwarded fact are dropped, and the poll never ends.
    protocol dropping;
    role opener;
    role collector;
    role voter;
    require collector.len() == 1;
    request poll(question: u64) -> (votes: u64) at opener;
    message vote_please(id: Id, question: u64) to voter;
    message opened(id: Id, req: Req) to collector;
    message vote(id: Id, by: voter) to collector;
    at opener {
        event open(id: Id, req: Req, question: u64);
        open(unique(), req, q) <= poll(req, q);
        on open(id, req, q) {
            vote_please(id, q) @ v <~ voter(v);
            opened(id, req) @ c <~ collector(c);
        }
    }
    at voter {
        vote(id, me) @ c <~ vote_please(id, _), collector(c);
    }
    at collector {
        table polls(id: Id => req: Req);
        table votes(id: Id, by: voter);
        polls(id, req) <= opened(id, req);
        votes(id, v) <= vote(id, v), polls(id, _);    // the mistake: what comes before is dropped
        view tally(id => count(v)) <= votes(id, v);
        view full(id, n) <= tally(id, n), if n == voter.len();
        reply poll(req, n) <~ new full(id, n), polls(id, req);
    }
}

anabranch::protocol! {
    /// As it should be: votes are kept whether or not the poll is known.
    protocol keeping;
    role opener;
    role collector;
    role voter;
    require collector.len() == 1;
    request poll(question: u64) -> (votes: u64) at opener;
    message vote_please(id: Id, question: u64) to voter;
    message opened(id: Id, req: Req) to collector;
    message vote(id: Id, by: voter) to collector;
    at opener {
        event open(id: Id, req: Req, question: u64);
        open(unique(), req, q) <= poll(req, q);
        on open(id, req, q) {
            vote_please(id, q) @ v <~ voter(v);
            opened(id, req) @ c <~ collector(c);
        }
    }
    at voter {
        vote(id, me) @ c <~ vote_please(id, _), collector(c);
    }
    at collector {
        table polls(id: Id => req: Req);
        table votes(id: Id, by: voter);
        polls(id, req) <= opened(id, req);
        votes(id, v) <= vote(id, v);
        view tally(id => count(v)) <= votes(id, v);
        view full(id, n) <= tally(id, n), if n == voter.len();
        reply poll(req, n) <~ new (full(id, n), polls(id, req));
    }
}
