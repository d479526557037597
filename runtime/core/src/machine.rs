//! Machines: deterministic state machines fed with commands in slot order.

use crate::data::{Bytes, Data};
use crate::value::Value;

/// A deterministic state machine. Slots start at 0, come once each and in order: the runner sees to it.
pub trait Machine: Clone + Default + Send + 'static {
    /// A command.
    type Command: Data;
    /// What a command gives.
    type Output: Data;
    /// Applies a command.
    fn apply(&mut self, slot: u64, command: &Self::Command) -> Self::Output;
    /// The whole state.
    fn save(&self) -> Bytes;
    /// The inverse of `save`; `None` if the bytes are not an image.
    fn load(image: &[u8]) -> Option<Self>;
}

/// A [`Machine`] over erased values.
pub trait ErasedMachine: Send {
    /// Applies a command; `None` if the value has another type.
    fn apply(&mut self, slot: u64, command: &Value) -> Option<Value>;
    /// The whole state.
    fn save(&self) -> Bytes;
    /// Replaces the state; false if the bytes are not an image.
    fn load(&mut self, image: &[u8]) -> bool;
    /// A copy.
    fn fork(&self) -> Box<dyn ErasedMachine>;
}

/// Erases a machine.
pub struct Erased<M>(pub M);

impl<M: Machine> ErasedMachine for Erased<M> {
    fn apply(&mut self, slot: u64, command: &Value) -> Option<Value> {
        Some(self.0.apply(slot, &M::Command::from_value(command)?).to_value())
    }
    fn save(&self) -> Bytes {
        self.0.save()
    }
    fn load(&mut self, image: &[u8]) -> bool {
        M::load(image).map(|m| self.0 = m).is_some()
    }
    fn fork(&self) -> Box<dyn ErasedMachine> {
        Box::new(Erased(self.0.clone()))
    }
}
