//! The protocol! macro of Anabranch.
