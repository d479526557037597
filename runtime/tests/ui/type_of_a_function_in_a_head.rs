fn length(text: &str) -> u64 {
    text.len() as u64
}

anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    use crate::length;
    at server {
        table t(key: u64 => value: String);
        t(k, length(&v)) <+ put(_, k, v);
        reply put(req, true) <~ put(req, ..);
    }
}

fn main() {}
