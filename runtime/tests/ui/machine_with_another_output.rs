use anabranch::core::prelude::Bytes;
use anabranch::core::machine::Machine;

#[derive(Clone, Default)]
struct Sum(u64);

impl Machine for Sum {
    type Command = u64;
    type Output = String;
    fn apply(&mut self, _: u64, command: &u64) -> String {
        self.0 += command;
        self.0.to_string()
    }
    fn save(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }
    fn load(image: &[u8]) -> Option<Sum> {
        Some(Sum(u64::from_le_bytes(image.try_into().ok()?)))
    }
}

anabranch::protocol! {
    protocol p;
    role server;
    request add(n: u64) -> (sum: u64) at server;
    at server {
        durable machine sum(slot: u64, n: u64) -> (sum: u64) = crate::Sum;
        sum(slot, n) <= add(_, n), old sum.next(slot);
        reply add(req, s) <~ add(req, _), sum.done(_, s);
    }
}

fn main() {}
