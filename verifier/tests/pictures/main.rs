//! Diagrams and accounts of runs. `PICTURES=folder cargo test -p anabranch-verifier --test pictures` writes them there.

mod diagram;
mod runs;
mod simulated;
mod told;
