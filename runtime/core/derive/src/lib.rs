//! derive(Data) for Anabranch.
