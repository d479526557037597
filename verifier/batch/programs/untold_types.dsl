// Types that no column tells but the shape of expressions: of hidden columns and of aggregates' arguments.
protocol random;
role node;
role peer;
message put(k: u64, v: u64) to node;
message ask(k: u64) to node;
message out(k: u64, v: u64) to peer;
at node {
    table t(k: u64, v: u64);
    t(k, v) <= put(k, v);
    t(k, _) <- ask(k);
    view far(k => max(v + 1), count((v % 2, k))) <= t(k, v);
    view text(k => collect(s)) <= t(k, v), let s = v.to_string(), let o = v.checked_sub(1), if o != Some(4);
    out(k, sum(w)) @ p <~ ask(k), t(k, v), let w = v * 2 + 1, peer(p);
    out(k, min(o.unwrap_or(3))) @ p <~ put(k, v), let o = v.checked_sub(1), peer(p);
    on put(k, v), let pair = (v % 2, k), let id = unique() {
        out(k, count(pair)) @ p <~ peer(p), if pair.0 < 2;
        out(pair.1, 1) @ p <~ peer(p), t(k, _);
    }
    out(a.0, b) @ p <~ new (t(k, v), let a = (v % 3, k), let b = 1 + a.1, if b < 3), peer(p);
    out(x, n) @ p <~ far(x, n, _), new text(x, _), peer(p);
}
