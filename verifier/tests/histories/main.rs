//! The history checkers against histories whose verdicts are known, and against brute force.

mod cases;
mod linear;
mod serial;
