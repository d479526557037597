//! Reference interpreter, plan executor and random campaigns for Anabranch.

pub mod campaign;
pub mod draw;
pub mod engine;
pub mod eval;
pub mod exec;
pub mod interp;
pub mod random;
