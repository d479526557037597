//! Expressions of a program as functions over erased values.
//!
//! The interface is [`anabranch_core::node::Leaves`], with two implementations: thunks in generated code, for
//! arbitrary Rust, and [`Closed`], a small evaluator over a closed subset, of which random programs are made:
//! integers of declared widths, booleans, strings, tuples, options, lists, comparison, arithmetic, ranges,
//! parameters, `me` and the methods of roles. What it does not know is reported as [`Unsupported`] when
//! the program is taken in, never while it runs.
//!
//! **Overflow** wraps, as in release builds: evaluation is then total (but for division by zero), and the
//! order in which an evaluator applies filters cannot be seen.
//!
//! Read [`closed`] first; [`ty`] and [`tree`] are its parser, [`run`] its evaluator.

pub mod closed;
pub mod machine;
pub mod pattern;
pub mod run;
pub mod tree;
pub mod ty;

pub use closed::{Closed, Unsupported};
