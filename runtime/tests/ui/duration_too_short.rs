anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        table t(key: u64 => value: String);
        t(k, v) <+ put(_, k, v);
        reply put(req, true) <~ put(req, ..);
        timer tick every 500us;
        t(1, String::new()) <+ tick();
    }
}

fn main() {}
