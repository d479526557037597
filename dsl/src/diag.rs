//! Diagnostics: what was written, what was expected, what to do, with every rule involved.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Severity {
    /// The program has no meaning.
    Error,
    /// The program may not mean what was intended.
    Warning,
}

/// A report on one mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable short name of the check, such as `unbound-variable`.
    pub code: &'static str,
    /// One sentence in the user's vocabulary.
    pub message: String,
    /// The place to look first, with what is wrong there.
    pub primary: (Span, String),
    /// Other places involved.
    pub labels: Vec<(Span, String)>,
    /// What would help.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place; `label` says what is wrong there and may be empty.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: (span, String::new()),
            labels: Vec::new(),
            help: None,
        }
    }
    /// A warning at a place.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }
    /// Says what is wrong at the primary place.
    pub fn here(mut self, label: impl Into<String>) -> Diagnostic {
        self.primary.1 = label.into();
        self
    }
    /// Adds another place.
    pub fn label(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.labels.push((span, label.into()));
        self
    }
    /// Adds what would help.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    /// As `compile_error!` at the primary span. A stable macro can point at one place only, so the others
    /// follow in the text as `line:column`.
    pub fn to_compile_error(&self) -> TokenStream {
        let mut text = self.message.clone();
        if !self.primary.1.is_empty() {
            text += &format!("\n  here: {}", self.primary.1);
        }
        for (span, label) in &self.labels {
            let start = span.start();
            text += &format!("\n  note: line {}:{}: {label}", start.line, start.column + 1);
        }
        if let Some(help) = &self.help {
            text += &format!("\n  help: {help}");
        }
        let span = self.primary.0;
        quote_spanned!(span=> ::core::compile_error!(#text);)
    }
}

/// One line per place: `line:column code: message`, then labels and help, indented. For tests and logs; the
/// command line draws the source instead.
impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |span: Span| format!("{}:{}", span.start().line, span.start().column + 1);
        let level = if self.severity == Severity::Warning { "warning " } else { "" };
        write!(f, "{} {level}{}: {}", at(self.primary.0), self.code, self.message)?;
        if !self.primary.1.is_empty() {
            write!(f, "\n  {}", self.primary.1)?;
        }
        for (span, label) in &self.labels {
            write!(f, "\n  {} {label}", at(*span))?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}
