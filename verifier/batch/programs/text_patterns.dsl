// Texts as patterns are compared with columns of type String, as keys of probes too; look-ups of keyed views.
protocol random;
role node;
role peer;
type Name = String;
message put(k: String, v: u64) to node;
message ask(k: String, v: u64) to node;
message out(k: String, v: u64) to peer;
at node {
    table t(k: String, v: u64);
    table named(k: Name => v: u64);
    view one(k: String => v: u64);
    one(k, 1) <= t(k, _);
    t(k, v) <= put(k, v);
    t("a", v) <- ask("bc", v);
    named(k, max(v)) <+ ask(k, v);
    view v(v) <= t("bc", v), !t("a", v);
    out(String::from("x"), v) @ p <~ ask("a", v), named("bc", v), peer(p);
    out(k, n) @ p <~ ask(k, _), let n = one[k].unwrap_or(7), peer(p);
    out(k, v) @ p <~ new v(v), !t("", v), old t(k, v), peer(p);
}
