anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    param limit: u64 = "ten";
    at server {
        table t(key: u64 => value: String);
        t(k, v) <+ put(_, k, v);
        reply put(req, true) <~ put(req, k, _), if k < limit;
    }
}

fn main() {}
