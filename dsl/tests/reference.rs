//! Every block of the language reference compiles without complaint, but for unused relations, which short
//! examples are full of, or gives the error or warning that is named above it.

use anabranch_dsl::{ir::RoleId, parse_str, plan::lower};

/// Blocks of code with the line they begin on and the error code they expect, if any.
fn blocks(page: &str) -> Vec<(usize, Option<String>, String)> {
    let (mut found, mut expected, mut open) = (Vec::new(), None, None::<(usize, String)>);
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line.starts_with("<!-- gives: ") => {
                let code = line.trim_start_matches("<!-- gives: ").trim_end_matches(" -->");
                expected = Some(code.to_string());
            }
            None if line == "```rust" => open = Some((number + 2, String::new())),
            None => {}
            Some((begin, text)) if line == "```" => {
                found.push((*begin, expected.take(), std::mem::take(text)));
                open = None;
            }
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

#[test]
fn every_block_is_right_or_wrong_as_it_says() {
    let blocks = blocks(include_str!("../../docs/language.md"));
    assert!(blocks.len() > 10, "found only {} blocks", blocks.len());
    let mut problems = Vec::new();
    for (line, expected, text) in blocks {
        let outcome = parse_str(&text);
        let mut seen = false;
        for d in outcome.diagnostics.iter().filter(|d| d.code != "unused") {
            if expected.as_deref() == Some(d.code) {
                seen = true;
                continue;
            }
            let at = d.primary.0.start().line + line - 1;
            problems.push(format!("docs/language.md:{at}: {:?} {}: {}", d.severity, d.code, d.message));
        }
        if expected.is_some() && !seen {
            problems.push(format!("docs/language.md:{line}: this does not give {expected:?}"));
        }
        if let Some(protocol) = outcome.protocol {
            for role in 0..protocol.roles.len() {
                lower(&protocol, RoleId(role as u32));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
