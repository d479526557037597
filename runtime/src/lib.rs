//! Distributed protocols as dataflow rules: the protocol! macro and its TCP runtime.
