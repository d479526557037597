//! Transcripts
