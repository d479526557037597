//! Random programs, compiled in a batch: what the plan executor cannot test is the way from plan to tokens.
//!
//! `ANABRANCH_BATCH=200 ANABRANCH_BATCH_SEED=1000 cargo test -p anabranch-batch` compiles and compares 200
//! programs; without the variables it is a handful.
#![allow(missing_docs, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/programs.rs"));
