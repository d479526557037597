//! `anabranch check`: diagnostics with all the places that are involved.

use crate::args::{Check, Format};
use crate::exit::{Exit, Result};
use crate::source;
use anabranch_dsl::diag::{Diagnostic, Severity};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use proc_macro2::Span;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;

/// Runs the command.
pub fn run(args: &Check) -> Result {
    let (mut errors, mut warnings, mut protocols) = (0, 0, 0);
    for file in &args.files {
        let text = source::read(file)?;
        let found = diagnose(&text);
        protocols += found.protocols;
        for report in &found.reports {
            match report.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            match args.format {
                Format::Text => {
                    eprintln!("{}\n", render(file, &text, report, std::io::stderr().is_terminal()))
                }
                Format::Json => println!("{}", to_json(file, &text, report)),
            }
        }
        if found.protocols == 0 && found.reports.is_empty() && args.format == Format::Text {
            eprintln!("warning: {} holds no `protocol!` block\n", file.display());
        }
    }
    if args.format == Format::Text {
        eprintln!(
            "{}, {}, {}",
            count(protocols, "protocol"),
            count(errors, "error"),
            count(warnings, "warning")
        );
    }
    Ok(if errors > 0 { Exit::Violation } else { Exit::Ok })
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What is to be said about one file.
pub(crate) struct Found {
    pub protocols: usize,
    pub reports: Vec<Report>,
}

/// A diagnostic with places in bytes, since spans do not outlive their file.
pub(crate) struct Report {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub places: Vec<(Range<usize>, String)>,
    pub help: Option<String>,
}

/// Checks all protocols of a file's text.
pub(crate) fn diagnose(text: &str) -> Found {
    let outcomes = source::protocols(text);
    let reports = outcomes.iter().flat_map(|o| &o.diagnostics).map(|d| report(text, d)).collect();
    Found { protocols: outcomes.len(), reports }
}

fn report(text: &str, diagnostic: &Diagnostic) -> Report {
    let places = std::iter::once(&diagnostic.primary).chain(&diagnostic.labels);
    Report {
        severity: diagnostic.severity,
        code: diagnostic.code,
        message: diagnostic.message.clone(),
        places: places.map(|(span, label)| (bytes(text, *span), label.clone())).collect(),
        help: diagnostic.help.clone(),
    }
}

/// A span in bytes of the text. `proc_macro2` counts characters in a range, so that lines and columns are
/// what to start from.
fn bytes(text: &str, span: Span) -> Range<usize> {
    let offset = |line: usize, column: usize| {
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = &text[start..];
        start + rest.char_indices().nth(column).map_or(rest.len(), |(i, _)| i)
    };
    let (start, end) = (span.start(), span.end());
    let from = offset(start.line, start.column);
    from..offset(end.line, end.column).max(from)
}

/// A diagnostic as rustc would print it; `text` is what its places are in.
pub(crate) fn render_diagnostic(file: &Path, text: &str, diagnostic: &Diagnostic, styled: bool) -> String {
    render(file, text, &report(text, diagnostic), styled)
}

/// A diagnostic as JSON.
pub(crate) fn diagnostic_json(file: &Path, text: &str, diagnostic: &Diagnostic) -> Value {
    to_json(file, text, &report(text, diagnostic))
}

/// Whether messages may have colours.
pub(crate) fn styled() -> bool {
    std::io::stderr().is_terminal()
}

/// A report as rustc would print it.
fn render(file: &Path, text: &str, report: &Report, styled: bool) -> String {
    let path = file.display().to_string();
    let level = match report.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let annotations = report.places.iter().enumerate().map(|(i, (range, label))| {
        let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(range.clone());
        if label.is_empty() { annotation } else { annotation.label(label.as_str()) }
    });
    let snippet = Snippet::source(text).path(path.as_str()).annotations(annotations);
    let mut group: Group<'_> = level.primary_title(report.message.as_str()).id(report.code).element(snippet);
    if let Some(help) = &report.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

fn to_json(file: &Path, text: &str, report: &Report) -> Value {
    let place = |(range, label): &(Range<usize>, String)| {
        let position = |at: usize| {
            let before = &text[..at];
            let line = before.matches('\n').count() + 1;
            let column = before[before.rfind('\n').map_or(0, |i| i + 1)..].chars().count() + 1;
            json!({ "line": line, "column": column, "byte": at })
        };
        json!({ "start": position(range.start), "end": position(range.end), "label": label })
    };
    json!({
        "file": file.display().to_string(),
        "severity": match report.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": report.code,
        "message": report.message,
        "primary": report.places.first().map(place),
        "labels": report.places.iter().skip(1).map(place).collect::<Vec<_>>(),
        "help": report.help,
    })
}
