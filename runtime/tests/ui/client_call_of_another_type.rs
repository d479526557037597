anabranch::protocol! {
    protocol p;
    role server;
    request put(key: u64, value: String) -> (ok: bool) at server;
    at server {
        reply put(req, v.is_empty()) <~ put(req, _, v);
    }
}

async fn call(client: &p::Client) {
    let _ = client.put("one", String::new()).await;
}

fn main() {}
