//! Clients: requests from outside, with an outcome that is never a guess.
//!
//! A client has a *session*: a random number, under which it connects to every node that takes or answers
//! its requests, since answers may come from any of them. A broken connection is resumed without loss as
//! long as the node lives. If the node is gone, or no answer has come for a second, requests declared `resend` go to
//! another instance under the same number; if the node is gone, all others end as [`CallError::Unknown`], since they
//! may or may not have been done.
//!
//! [`Client`] is for programs: asynchronous, on the caller's tokio runtime. [`LoadClient`] is for load
//! generators: one thread, one event loop, thousands of logical clients.

pub(crate) mod core;
mod load;
mod session;

pub use load::{Completion, LoadClient, LoadOptions};
pub use session::Client;

use crate::transport::hello::Refusal;
use std::fmt;

/// How a call ended, if not with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The protocol refused: it was not done and will not be.
    Refused(E),
    /// It never left this client: it was not done.
    NotSent(String),
    /// It was sent, and then no answer came: it may have been done, or may yet be.
    Unknown(String),
}

impl<E> CallError<E> {
    /// Converts the protocol's error.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            CallError::Refused(error) => CallError::Refused(f(error)),
            CallError::NotSent(why) => CallError::NotSent(why),
            CallError::Unknown(why) => CallError::Unknown(why),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Refused(error) => write!(f, "refused: {error:?}"),
            CallError::NotSent(why) => write!(f, "not done: {why}"),
            CallError::Unknown(why) => write!(f, "unknown whether it was done: {why}"),
        }
    }
}
impl<E: fmt::Debug> std::error::Error for CallError<E> {}

/// Why a client could not connect.
#[derive(Debug)]
pub enum ConnectError {
    /// The deployment does not say where its nodes are: it does not run, or was not launched from here.
    NoAddresses,
    /// A node refuses to talk to this client.
    Refused {
        /// The node.
        node: String,
        /// Its reason.
        refusal: Refusal,
    },
    /// No node of a role could be reached in time.
    Unreachable {
        /// The node that was tried.
        node: String,
        /// What the last attempt gave.
        reason: String,
    },
    /// The operating system failed.
    Io(std::io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::NoAddresses => {
                f.write_str("the deployment gives no addresses: is it running? (`anabranch deploy` writes them beside the file)")
            }
            ConnectError::Refused { node, refusal } => write!(f, "{node} refuses: {refusal}"),
            ConnectError::Unreachable { node, reason } => write!(f, "{node} cannot be reached: {reason}"),
            ConnectError::Io(error) => write!(f, "{error}"),
        }
    }
}
impl std::error::Error for ConnectError {}

impl From<std::io::Error> for ConnectError {
    fn from(error: std::io::Error) -> ConnectError {
        ConnectError::Io(error)
    }
}
