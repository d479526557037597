fn shouted(text: &str) -> String {
    text.to_uppercase()
}

anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    use crate::shouted;
    at server {
        table t(key: u64 => value: String);
        t(k, shouted(&v, 3)) <+ put(_, k, v);
        reply put(req, true) <~ put(req, ..);
    }
}

fn main() {}
