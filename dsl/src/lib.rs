//! The Anabranch language: syntax, checks, rule IR, plans and code generation.

pub mod check;
pub mod codegen;
pub mod diag;
pub mod expand;
pub mod fmt;
pub mod graph;
pub mod ir;
pub mod plan;
pub mod print;
pub mod resolve;
pub mod strata;
pub mod syntax;

pub use syntax::{Outcome, parse_file, parse_protocol, parse_str};
