#[derive(Clone, Default)]
struct Counter;

anabranch::protocol! {
    protocol p;
    role server;
    request add(n: u64) -> (sum: u64) at server;
    at server {
        machine sum(slot: u64, n: u64) -> (sum: u64) = crate::Counter;
        sum(slot, n) <= add(_, n), old sum.next(slot);
        reply add(req, s) <~ add(req, _), sum.done(_, s);
    }
}

fn main() {}
