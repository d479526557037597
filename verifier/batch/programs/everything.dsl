// Small and busy: nearly every rule fires, and takes back what it did, in a few ticks. For planted faults.
protocol random;
role node;
role peer;
request ask(k: u64) -> (v: u64) at node;
message put(k: u64, v: u64) to node;
message cut(k: u64, v: u64) to node;
message link(a: u64, b: u64) to node;
message unlink(a: u64, b: u64) to node;
message out(k: u64, v: u64) to peer;
at node {
    durable table kept(k: u64 => v: u64);
    durable table rows(k: u64, v: u64);
    table edge(a: u64, b: u64);
    table high(k: u64, v: Max<u64>);
    timer late(k: u64) after 20ms while kept(k, _);
    view reach(a: u64, b: u64);
    view one(k: u64 => v: u64);

    kept(k, v) <= put(k, v), !old kept(k, _);
    kept(k, max(v)) <+ cut(k, v);
    kept(k, v) <- unlink(k, v);
    kept(k, _) <- late(k);
    rows(k, v) <= put(k, v);
    rows(k, v) <- cut(k, v);
    rows(k, k) <+ late(k);
    edge(a, b) <= link(a, b);
    edge(a, b) <- unlink(a, b);
    high(k, v) <= put(k, v);

    reach(a, b) <= edge(a, b);
    reach(a, c) <= reach(a, b), edge(b, c);
    one(k, v) <= rows(k, v), edge(2, 2);
    view size(k => count(v)) <= rows(k, v);
    view top(k => max(v)) <= rows(k, v);
    view lonely(k) <= rows(k, _), !edge(k, _);
    view there(k) <= rows(k, v), edge(v, k);
    event best(k => max(v)) <= put(k, v);

    out(k, v) @ p <~ best(k, v), peer(p);
    out(k, v) @ p <~ cut(_, v), rows(k, v), peer(p);
    out(k, n) @ p <~ new size(k, n), peer(p);
    out(k, 7) @ p <~ new lonely(k), peer(p);
    out(a, b) @ p <~ unlink(a, _), old reach(a, b), peer(p);
    out(k, 8) @ p <~ link(k, _), !old there(k), peer(p);
    out(k, 9) @ p <~ link(k, _), old lonely(k), peer(p);
    reply ask(req, v) <~ ask(req, k), top(k, v);
}
