//! Reasons against a rewrite, before it is known which rewrite asks.

use crate::verdict::{Item, Refusal};
use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::Place;

/// Why an item of a precondition fails: a place, other places, and what would help.
#[derive(Clone, Debug)]
pub struct Against {
    /// The item's name: `one-atom`.
    pub item: &'static str,
    /// One sentence.
    pub message: String,
    /// The rule or atom that decides.
    pub place: Place,
    /// What is wrong there.
    pub here: String,
    /// Other places involved.
    pub labels: Vec<(Place, String)>,
    /// What would help.
    pub help: Option<String>,
}

impl Against {
    /// A reason at a place.
    pub fn new(item: &'static str, place: Place, message: impl Into<String>) -> Against {
        Against { item, message: message.into(), place, here: String::new(), labels: Vec::new(), help: None }
    }
    /// Says what is wrong at the place.
    pub fn here(mut self, text: impl Into<String>) -> Against {
        self.here = text.into();
        self
    }
    /// Adds another place.
    pub fn label(mut self, place: Place, text: impl Into<String>) -> Against {
        self.labels.push((place, text.into()));
        self
    }
    /// Adds what would help.
    pub fn help(mut self, text: impl Into<String>) -> Against {
        self.help = Some(text.into());
        self
    }
    /// The same reason under another item's name.
    pub fn under(mut self, item: &'static str) -> Against {
        self.item = item;
        self
    }
    /// As the answer of a rewrite.
    pub fn refuse(self, rewrite: &'static str) -> Box<Refusal> {
        let mut diagnostic = Diagnostic::error(self.item, self.place.0, self.message).here(self.here);
        for (place, text) in self.labels {
            diagnostic = diagnostic.label(place.0, text);
        }
        if let Some(help) = self.help {
            diagnostic = diagnostic.help(help);
        }
        Box::new(Refusal { item: Item { rewrite, name: self.item }, diagnostic })
    }
}
