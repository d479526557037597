//! Machines that random programs and tests may use, under the names that the closed subset knows.

use anabranch_core::data::Bytes;
use anabranch_core::machine::{Erased, ErasedMachine, Machine};

/// The erased machine under a name; `None` for others. `Tally` adds up its commands (`u64`), mixing in the
/// slots, and answers with the sum: any command that is lost, doubled or out of order shows in all later
/// answers.
pub fn named(name: &str) -> Option<Box<dyn ErasedMachine>> {
    match name {
        "Tally" => Some(Box::new(Erased(Tally(0)))),
        _ => None,
    }
}

/// See [`named`].
#[derive(Clone, Default, Debug)]
pub struct Tally(u64);

impl Machine for Tally {
    type Command = u64;
    type Output = u64;

    fn apply(&mut self, slot: u64, command: &u64) -> u64 {
        self.0 = (self.0 * 3 + slot + command) % 1009;
        self.0
    }
    fn save(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }
    fn load(image: &[u8]) -> Option<Tally> {
        Some(Tally(u64::from_le_bytes(image.try_into().ok()?)))
    }
}
