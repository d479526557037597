//! Reading scripts: lines, words, arguments between commas.

/// A line of a script that stays.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A comment or empty line.
    Keep(&'a str),
    /// A step, without its `>`.
    Step(&'a str),
}

/// The lines that stay, numbered from 1. Recorded lines, below steps, are left out.
pub(super) fn split(script: &str) -> impl Iterator<Item = (usize, Line<'_>)> {
    script.lines().enumerate().filter_map(|(i, line)| {
        let kept = match line.strip_prefix('>') {
            Some(step) => Line::Step(step.trim()),
            None if line.starts_with('#') || line.trim().is_empty() => Line::Keep(line),
            None => return None,
        };
        Some((i + 1, kept))
    })
}

/// A name and the arguments in parentheses behind it, and what follows.
pub(super) fn call(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = text.find('(')?;
    let inside = &text[open..];
    let close = end_of_group(inside)?;
    Some((text[..open].trim(), commas(&inside[1..close]), inside[close + 1..].trim()))
}

/// The position of the bracket that closes the first one.
fn end_of_group(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// Parts between commas outside of brackets and quotes.
fn commas(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut from) = (0_i32, false, 0);
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    let last = text[from..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let got = call(r#"put("a, (b", (1, 2), Some([3])) at store.0"#).unwrap();
        assert_eq!(got, ("put", vec![r#""a, (b""#, "(1, 2)", "Some([3])"], "at store.0"));
        assert_eq!(call("get()"), Some(("get", vec![], "")));
        assert_eq!(call("get(1"), None);
    }

    #[test]
    fn recorded_lines_are_left_out() {
        let lines: Vec<_> = split("# a\n> deploy\nnode\n  m1\n\n> pending\n").map(|l| l.1).collect();
        assert_eq!(lines, [Line::Keep("# a"), Line::Step("deploy"), Line::Keep(""), Line::Step("pending")]);
    }
}
