//! Random programs, compiled in a batch: what the plan executor cannot test is the way from plan to tokens.
//!
//! `ANABRANCH_BATCH=200 ANABRANCH_BATCH_SEED=1000 cargo test -p anabranch-batch` compiles and compares 200
//! programs; without the variables it is a handful. `ANABRANCH_BATCH_FAULTS=12` plants every kind of fault that there
//! is in the code of programs, without it some.
#![allow(missing_docs, unused_comparisons, clippy::all)]

use std::cell::Cell;

thread_local! {
    /// The fault that is there, and how often it was asked for.
    static PLANTED: Cell<(Option<u32>, u64)> = const { Cell::new((None, 0)) };
}

/// Questions in a run after which a tick with a fault is taken for endless.
const ENDLESS: u64 = 3_000_000;

/// Chooses the fault of the programs that this thread runs.
pub fn choose(number: Option<u32>) {
    PLANTED.set((number, 0));
}

/// Asked by faulty code: whether its fault of this number is there.
pub fn planted(number: u32) -> bool {
    let (chosen, asked) = PLANTED.get();
    assert!(asked < ENDLESS, "the faulty program does not end");
    PLANTED.set((chosen, asked + 1));
    chosen == Some(number)
}

include!(concat!(env!("OUT_DIR"), "/programs.rs"));
