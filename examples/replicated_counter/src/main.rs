//! The verbs of `anabranch` for the replicated counter.

anabranch_cli::main!(replicated_counter::replicated_counter::protocol());
