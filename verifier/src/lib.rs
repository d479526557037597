//! Reference interpreter, plan executor and random campaigns for Anabranch.
//!
//! [`engine`] is the interface under which they are compared, [`interp`] the reference, [`exec`] the plan
//! executor, [`eval`] evaluates expressions for both without rustc, [`routing`] says which partitions
//! take a message, [`random`] makes programs and [`campaign`] runs
//! them, shrinks what fails, and plants faults.

// Syntax trees hold spans, which stay on their thread; so do engines. `Arc` spares them a lifetime.
#![allow(clippy::arc_with_non_send_sync)]

pub mod campaign;
pub mod check;
pub mod compiled;
pub mod diagram;
pub mod draw;
pub mod engine;
pub mod equivalence;
pub mod eval;
pub mod exec;
pub mod explore;
pub mod history;
pub mod interp;
pub mod property;
pub mod random;
pub mod routing;
pub mod sim;
pub mod soundness;
pub mod trace;
pub mod world;
