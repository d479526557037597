//! A counter whose values are held by a majority of replicas before anybody hears of them.
//!
//! `cargo run -p replicated_counter -- deploy examples/replicated_counter/deployment.toml` starts it,
//! `… call examples/replicated_counter/deployment.toml increment` draws a value.

anabranch::protocol! {
    /// Every increment draws another value; a value is answered once a majority of replicas holds it.
    protocol replicated_counter;

    role leader;
    role replica;
    require leader.len() == 1;

    request increment() -> (value: u64) at leader;
    request read() -> (value: u64) at leader;
    message store(from: leader, value: u64) to replica;
    message stored(value: u64, by: replica) to leader;

    at leader {
        durable var next(value: u64) = 1;           // durable: no value is drawn twice
        durable var confirmed(value: Max<u64>);     // the highest that was answered
        table open(value: u64 => req: Req);         // lost in a crash: its clients hear "unknown"
        table copies(value: u64, by: replica);
        timer again(value: u64) every 200ms..2s while open(value, _);

        // Increments that arrive in one tick are numbered within it.
        event draw(index(), req) <= increment(req);
        on draw(i, req), next(n) {
            open(n + i, req) <=;
            store(me, n + i) @ r <~ replica(r);
            next(n + count(req)) <+;
        }
        store(me, value) @ r <~ again(value), replica(r), !copies(value, r);

        copies(value, r) <= stored(value, r), open(value, _);
        view copied(value => count(r)) <= copies(value, r);
        view safe(value) <= copied(value, n), if n >= replica.majority();
        on new safe(value), open(value, req) {
            confirmed(value) <=;
            reply increment(req, value) <~;
            open(value, _) <-;
            copies(value, _) <-;
        }
        reply read(req, value) <~ read(req), confirmed(value);
    }

    at replica {
        durable var held(value: Max<u64>);
        held(value) <= store(_, value);
        stored(value, me) @ l <~ store(l, value);   // also when it is held already: the answer may be lost
    }

    /// No replica holds a value that the leader may draw again.
    never ahead(value) <= held(value) at _, next(n) at _, if value >= n;
}
