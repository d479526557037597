//! The Anabranch language: syntax, checks, rule IR, plans and code generation.

pub mod diag;
pub mod fmt;
pub mod ir;
pub mod plan;
pub mod print;
