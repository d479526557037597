//! Texts that fit.

use crate::trace::Fact;
use std::fmt::Write;

/// For XML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // Other control characters are not allowed at all.
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escaped, and cut to a width in pixels, at so many per character.
pub(super) fn fit(text: &str, width: f64, per_char: f64) -> String {
    let room = (width / per_char).max(1.0) as usize;
    if text.chars().count() <= room {
        return escape(text);
    }
    let cut: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", escape(cut.trim_end()))
}

/// A fact with addresses as short as the lanes' names, and long ids cut.
pub(super) fn brief(fact: &Fact, roles: &[(String, String)]) -> String {
    let row: Vec<String> = fact.row.iter().map(|v| brief_value(v, roles)).collect();
    format!("{}({})", fact.relation, row.join(", "))
}

fn brief_value(value: &str, roles: &[(String, String)]) -> String {
    let mut text = value.to_owned();
    for (role, short) in roles {
        text = text.replace(&format!("{role}."), short);
    }
    // Hexadecimal digits of ids and sessions: the last four tell them apart, be they hashed or counted.
    let mut out = String::new();
    let mut run = String::new();
    let end = |run: &mut String, out: &mut String| {
        let id = run.len() > 6 && run.chars().any(|c| c.is_ascii_digit());
        let _ = if id { write!(out, "…{}", &run[run.len() - 4..]) } else { write!(out, "{run}") };
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            run.push(c);
        } else {
            end(&mut run, &mut out);
            out.push(c);
        }
    }
    end(&mut run, &mut out);
    out
}

/// `1.234 ms`.
pub(super) fn time(us: u64) -> String {
    if us >= 10_000_000 {
        format!("{}.{:02} s", us / 1_000_000, us / 10_000 % 100)
    } else {
        format!("{}.{:03} ms", us / 1000, us % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_brief() {
        let roles = [("coordinator".to_owned(), "c".to_owned()), ("participant".to_owned(), "p".to_owned())];
        let check = |row: &[&str], expected: &str| {
            assert_eq!(brief(&Fact::new("f", row.iter().copied()), &roles), expected);
        };
        check(&["participant.2", "#1.8f3a77c10042", "true"], "f(p2, #1.…0042, true)");
        check(&["req 8f3a77c1.3", "defaced"], "f(req …77c1.3, defaced)");
        check(&["(coordinator.0, 12)", "\"pay\""], "f((c0, 12), \"pay\")");
    }

    #[test]
    fn texts_fit() {
        assert_eq!(fit("short", 50.0, 5.0), "short");
        assert_eq!(fit("rather <long>", 40.0, 5.0), "rather…");
        assert_eq!(time(1_234), "1.234 ms");
        assert_eq!(time(12_345_678), "12.34 s");
    }
}
