anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        table t(key: u64 => value: String);
        t(k, v) <+ put(_, k, v);
        table pairs(a: u64, b: u64);
        pairs(k, k) <= put(_, k, _);
        reply put(req, pairs[1].is_some()) <~ put(req, ..);
    }
}

fn main() {}
