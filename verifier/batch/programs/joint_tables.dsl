// Tables that one rule reaches by one key share a map: every kind of them, with timers whose rows they carry.
protocol random;
role node;
role peer;
message put(k: u64, v: u64) to node;
message vote(k: u64, by: peer, yes: bool) to node;
message ack(k: u64, by: peer) to node;
message out(k: u64, v: u64) to peer;
message told(k: u64, ok: bool) to peer;
at node {
    table act(k: u64 => v: u64);
    table yes(k: u64, by: peer);
    table got(k: u64, n: u64);
    durable table owed(k: u64, to: peer);
    durable table prep(k: u64 => v: u64, w: u64);
    table top(k: u64 => m: Max<u64>);
    table soon(k: u64 => v: u64);
    event least(k => min(v)) <= put(k, v);
    event end(k: u64, ok: bool);
    timer overdue(k: u64) after 20ms while act(k, _);
    timer nag(k: u64, to: peer) every 10ms..40ms while owed(k, to);
    timer doubt(v: u64, k: u64) every 10ms..40ms while prep(k, v, _);
    timer late(k: u64, m: u64) after 20ms while top(k, m);
    timer after_all(k: u64) after 20ms while soon(k, _);
    act(k, v) <= put(k, v), !old act(k, _), let n = least[k], if n == Some(v);
    prep(k, v, v) <= put(k, v), !old prep(k, _, _), let n = least[k], if n == Some(v);
    top(k, v) <= put(k, v);
    soon(k, max(v)) <+ put(k, v);
    got(k, n) <= put(k, n), !old act(k, _);
    yes(k, p) <= vote(k, p, true), act(k, _);
    view ballots(k => count(by)) <= yes(k, by);
    view enough(k) <= ballots(k, n), if n == peer.len();
    end(k, true) <= new enough(k);
    end(k, false) <= vote(k, _, false), act(k, _);
    end(k, false) <= overdue(k), !enough(k);
    event decided(k, ok, v) <= end(k, ok), act(k, v);
    on decided(k, ok, v) {
        owed(k, p) <= peer(p), if ok;
        told(k, ok) @ p <~ peer(p);
        out(k, v) @ p <~ peer(p), if ok;
        act(k, _) <-;
        yes(k, _) <-;
        got(k, _) <-;
        soon(k, _) <-;
    }
    owed(k, p) <- ack(k, p);
    prep(k, ..) <- ack(k, _), !act(k, _);
    top(k, _) <- ack(k, _), act(k, _);
    out(k, n) @ p <~ ack(k, p), got(k, n), !owed(k, p);
    out(k, 100) @ p <~ nag(k, p);
    out(k, v) @ p <~ doubt(v, k), peer(p);
    out(k, m) @ p <~ late(k, m), peer(p);
    out(k, 101) @ p <~ after_all(k), peer(p);
}
