// A deletion that gives more than the key deletes the row with that value only.
protocol random;
role node;
role peer;
message put(k: u64, v: u64) to node;
message drop_value(k: u64, v: u64) to node;
message drop_key(k: u64) to node;
message drop_level(v: u64) to node;
message out(k: u64, v: u64) to peer;
at node {
    table kept(k: u64 => v: u64);
    durable table scheduled(k: u64 => v: u64);
    table high(k: u64, level: Max<u64>);
    durable table lowest(level: Min<u64>);
    kept(k, v) <= put(k, v), !old kept(k, _), let n = least[k], if n == Some(v);
    event least(k => min(v)) <= put(k, v);
    scheduled(k, max(v)) <+ put(k, v);
    high(k, v) <= put(k, v);
    lowest(v) <= put(_, v);
    kept(k, v) <- drop_value(k, v);
    kept(k, _) <- drop_key(k);
    scheduled(k, v) <- drop_value(k, v);
    scheduled(_, v) <- drop_level(v);
    high(k, v) <- drop_value(k, v);
    high(k, _) <- drop_key(k);
    lowest(v) <- drop_level(v);
    out(k, v) @ p <~ new kept(k, v), peer(p);
}
