//! Reference interpreter, plan executor and random campaigns for Anabranch.
