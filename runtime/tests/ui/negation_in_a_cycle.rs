anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        table t(key: u64 => value: String);
        event e(k) <= put(_, k, _), !e(k);
        t(k, v) <+ put(_, k, v), e(k);
        reply put(req, true) <~ put(req, ..);
    }
}

fn main() {}
