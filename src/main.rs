//! The `anabranch` command with the protocols of the library.

anabranch_cli::main!();
