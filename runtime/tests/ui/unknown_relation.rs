anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        table t(key: u64 => value: String);
        t(k, v) <+ put(_, k, v);
        reply put(req, true) <~ putt(req, ..);
    }
}

fn main() {}
