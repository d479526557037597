use anabranch::core::prelude::Bytes;
use anabranch::core::machine::Machine;

#[derive(Clone, Default)]
struct Names(u64);

impl Machine for Names {
    type Command = String;
    type Output = u64;
    fn apply(&mut self, _: u64, command: &String) -> u64 {
        self.0 += command.len() as u64;
        self.0
    }
    fn save(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }
    fn load(image: &[u8]) -> Option<Names> {
        Some(Names(u64::from_le_bytes(image.try_into().ok()?)))
    }
}

anabranch::protocol! {
    protocol p;
    role server;
    request add(n: u64) -> (sum: u64) at server;
    at server {
        machine sum(slot: u64, n: u64) -> (sum: u64) = crate::Names;
        sum(slot, n) <= add(_, n), old sum.next(slot);
        reply add(req, s) <~ add(req, _), sum.done(_, s);
    }
}

fn main() {}
