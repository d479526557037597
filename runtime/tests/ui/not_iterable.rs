fn half(n: u64) -> u64 {
    n / 2
}

anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    use crate::half;
    at server {
        table t(key: u64 => value: String);
        t(n, v.clone()) <+ put(_, k, v), for n in half(k);
        reply put(req, true) <~ put(req, ..);
    }
}

fn main() {}
