//! Meeting the other side: the same incarnation as last time, or another.

use super::hello::Refusal;
use super::stream::Stream;

/// Connects a stream with the incarnation that the other side is. `boot` is the incarnation that the stream
/// was with, `theirs` the one that it is; `knows_us` says whether their account is of our incarnation, and
/// `received` how much of our stream they have. False if the two accounts contradict each other: then the
/// connection must be closed.
#[must_use]
pub fn attach(
    boot: &mut Option<u64>,
    stream: &mut Stream,
    theirs: u64,
    knows_us: bool,
    received: u64,
) -> bool {
    if *boot == Some(theirs) {
        if knows_us {
            return stream.resume(received);
        }
        // It never got our side of the handshake, so it has had nothing; or it forgot us.
        if stream.untouched() {
            return stream.resume(0);
        }
    }
    stream.restart();
    *boot = Some(theirs);
    stream.resume(if knows_us { received } else { 0 })
}

/// Whether a receiver was given up: see the [module](super).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fate {
    /// Something was dropped, and nobody has been told.
    dropped: bool,
    /// The incarnation that was told.
    refused: Option<u64>,
}

impl Fate {
    /// Gives a receiver up and drops what waits for it. `connected` is its incarnation, if it is connected
    /// (and can be told at once).
    pub fn give_up(&mut self, stream: &mut Stream, connected: Option<u64>) {
        stream.drop_outgoing();
        self.dropped = connected.is_none();
        self.refused = connected.or(self.refused);
    }

    /// Decides on an incarnation that wants to connect.
    pub fn admit(&mut self, theirs: u64) -> Result<(), Refusal> {
        if std::mem::take(&mut self.dropped) {
            self.refused = Some(theirs);
        }
        if self.refused == Some(theirs) { Err(Refusal::GivenUp) } else { Ok(()) }
    }
}
