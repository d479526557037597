anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    role other;
    message tell(x: u64) to other;
    at other {
        table far(x: u64);
        far(x) <= tell(x);
    }
    at server {
        table t(key: u64 => value: String);
        t(k, v) <+ put(_, k, v);
        reply put(req, true) <~ put(req, ..);
        event e(x) <= put(_, x, _), far(x);
        t(x, String::new()) <+ e(x);
    }
}

fn main() {}
