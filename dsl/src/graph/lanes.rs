//! Which message goes from which role to which: roles as lanes, one arrow a row.

use super::Graph;
use super::svg::{Canvas, text_width};

/// Height of a row.
const ROW: f64 = 19.0;

impl Graph {
    /// Draws the lanes at a corner and says how wide and high they are.
    pub(super) fn lanes(&self, canvas: &mut Canvas, x: f64, y: f64) -> (f64, f64) {
        let mut names = vec!["clients".to_string()];
        names.extend((0..self.roles.len()).map(|r| self.role_title(r)));
        let lane = |role: Option<usize>| role.map_or(0, |r| r + 1);
        let labels: Vec<(String, String)> =
            self.wires.iter().map(|w| (w.title.clone(), self.lines(w))).collect();
        // A lane is as far from the next as the longest label between neighbours asks for.
        let widest = self.wires.iter().zip(&labels).map(|(w, (a, b))| {
            let span = lane(w.from).abs_diff(lane(w.to)).max(1) as f64;
            (text_width(a, 11.0) + text_width(b, 9.0) + 34.0) / span
        });
        let step = widest.fold(150.0, f64::max);
        let height = 34.0 + ROW * self.wires.len() as f64 + 8.0;
        for (i, name) in names.iter().enumerate() {
            let at = x + 60.0 + step * i as f64;
            canvas.line((at, y + 22.0), (at, y + height), "lane");
            canvas.text(at, y + 14.0, name, "role middle");
        }
        for (i, (wire, (title, lines))) in self.wires.iter().zip(&labels).enumerate() {
            let at = y + 40.0 + ROW * i as f64;
            let (from, to) =
                (x + 60.0 + step * lane(wire.from) as f64, x + 60.0 + step * lane(wire.to) as f64);
            let class = if wire.client { "wire client" } else { "wire" };
            let left = from.min(to) + if from == to { 30.0 } else { 12.0 };
            if from == to {
                canvas.path(&format!("M{from:.1},{:.1} h22 v9 h-22", at - 4.0), class, "");
            } else {
                canvas.path(&format!("M{from:.1},{at:.1} H{to:.1}"), class, "");
            }
            let label = canvas.halo(left, at - 4.0, title, "label");
            canvas.text(left + label + 6.0, at - 4.0, lines, "place");
        }
        (120.0 + step * (names.len() - 1) as f64 + 80.0, height)
    }

    fn lines(&self, wire: &super::Wire) -> String {
        let list = |lines: &[usize]| lines.iter().map(|l| format!(":{l}")).collect::<Vec<_>>().join(" ");
        match (wire.sent.is_empty(), wire.taken.is_empty()) {
            (false, false) => format!("{} → {}", list(&wire.sent), list(&wire.taken)),
            (false, true) => list(&wire.sent),
            _ => format!("→ {}", list(&wire.taken)),
        }
    }
}
