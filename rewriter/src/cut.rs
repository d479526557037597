//! Which rules of a role move into a part of their own.

use std::fmt;
use std::str::FromStr;

/// What a decoupling is asked to do: the rules with these heads leave the role for a new part.
///
/// The rules of a head that is local to the role (a table, view, event or machine) move together. Of a message or of
/// the answers to a request, single rules may be picked. What only moved rules read moves with them: timers, messages,
/// requests, relations that nothing writes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cut {
    /// The role that is split; itself perhaps a part.
    pub role: String,
    /// The new part's name.
    pub part: String,
    /// The heads that move.
    pub heads: Vec<Moved>,
    /// Asks for the mechanism alone, without its precondition: the result may be wrong, and the verifier must find it
    /// so. For the campaigns on soundness.
    #[doc(hidden)]
    pub force: bool,
}

/// A head whose rules move: `decide` (all of them) or `decide#1` (the second one, in the order of the protocol).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moved {
    /// The relation's name; for the answers to a request, the request's; for all of a machine, the machine's.
    pub head: String,
    /// Which of the role's rules with this head, from 0; `None` for all.
    pub rule: Option<usize>,
}

impl Cut {
    /// A cut, from heads as [`Moved`] writes them.
    ///
    /// # Panics
    /// If a head is not written so: for texts from outside, parse them one by one.
    pub fn new(role: &str, part: &str, heads: &[&str]) -> Cut {
        let heads = heads.iter().map(|h| h.parse().expect("a head is a name, perhaps with `#` and a number"));
        Cut { role: role.into(), part: part.into(), heads: heads.collect(), force: false }
    }
    /// The same without its precondition.
    #[doc(hidden)]
    pub fn forced(mut self) -> Cut {
        self.force = true;
        self
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(n) => write!(f, "{}#{n}", self.head),
            None => f.write_str(&self.head),
        }
    }
}

/// A text that names no head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadHead(
    /// The text.
    pub String,
);

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no head: write a relation's name, or `name#1` for its second rule", self.0)
    }
}
impl std::error::Error for BadHead {}

impl FromStr for Moved {
    type Err = BadHead;
    fn from_str(text: &str) -> Result<Moved, BadHead> {
        let (head, rule) = match text.split_once('#') {
            None => (text, None),
            Some((head, n)) => (head, Some(n.trim().parse().map_err(|_| BadHead(text.into()))?)),
        };
        let head = head.trim();
        if head.is_empty() || head.contains(char::is_whitespace) {
            return Err(BadHead(text.into()));
        }
        Ok(Moved { head: head.into(), rule })
    }
}
