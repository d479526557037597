//! Machines that random programs and tests may use, under the names that the closed subset knows.

use anabranch_core::machine::ErasedMachine;
use anabranch_core::value::Value;
use bytes::Bytes;

/// The erased machine under a name; `None` for others. `Tally` adds up its commands (`u64`), mixing in the
/// slots, and answers with the sum: any command that is lost, doubled or out of order shows in all later
/// answers.
pub fn named(name: &str) -> Option<Box<dyn ErasedMachine>> {
    match name {
        "Tally" => Some(Box::new(Tally(0))),
        _ => None,
    }
}

/// See [`named`].
#[derive(Clone, Default, Debug)]
struct Tally(u64);

impl ErasedMachine for Tally {
    fn apply(&mut self, slot: u64, command: &Value) -> Option<Value> {
        let Value::Int(n) = command else { return None };
        self.0 = (self.0 * 3 + slot + *n as u64) % 1009;
        Some(Value::Int(i128::from(self.0)))
    }
    fn save(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }
    fn load(&mut self, image: &[u8]) -> bool {
        let Ok(image) = <[u8; 8]>::try_from(image) else { return false };
        self.0 = u64::from_le_bytes(image);
        true
    }
    fn fork(&self) -> Box<dyn ErasedMachine> {
        Box::new(self.clone())
    }
}
