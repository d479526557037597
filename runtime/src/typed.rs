//! What generated typed clients call.

use crate::client::CallError;
use anabranch_core::data::{Bytes, Data};
use anabranch_core::wire::{Reader, WireError};

/// Decodes an answer or a refusal.
pub fn answer<T, E: Data>(
    outcome: Result<Bytes, CallError<Bytes>>,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
) -> Result<T, CallError<E>> {
    let malformed = |error: WireError| CallError::Unknown(format!("the answer is malformed: {error}"));
    match outcome {
        Ok(bytes) => decode(&mut Reader::shared(&bytes)).map_err(malformed),
        Err(CallError::Refused(bytes)) => match E::decode(&mut Reader::shared(&bytes)) {
            Ok(error) => Err(CallError::Refused(error)),
            Err(error) => Err(malformed(error)),
        },
        Err(CallError::NotSent(why)) => Err(CallError::NotSent(why)),
        Err(CallError::Unknown(why)) => Err(CallError::Unknown(why)),
    }
}
