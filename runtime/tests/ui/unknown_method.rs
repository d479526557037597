anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        table t(key: u64 => value: String);
        t(k, v.shouted()) <+ put(_, k, v);
        reply put(req, true) <~ put(req, ..);
    }
}

fn main() {}
