//! Strongly connected components in topological order, without surprises in the order.

/// The components of a graph, each after all that it depends on; members ascending. `needs[v]` are those that v
/// depends on. Where the graph leaves a choice, smaller numbers come first.
pub fn components(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut state = Tarjan {
        needs,
        order: vec![0; needs.len()],
        low: vec![0; needs.len()],
        on_stack: vec![false; needs.len()],
        stack: vec![],
        counter: 0,
        found: vec![],
    };
    for v in 0..needs.len() {
        if state.order[v] == 0 {
            state.visit(v);
        }
    }
    state.found
}

/// Tarjan's algorithm (1972): components come out in reverse topological order of "v → what it depends on",
/// which is the order wanted. Depth is bounded by the number of a role's relations.
struct Tarjan<'a> {
    needs: &'a [Vec<usize>],
    /// Number of the visit, from 1; 0: not visited.
    order: Vec<usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    counter: usize,
    found: Vec<Vec<usize>>,
}

impl Tarjan<'_> {
    fn visit(&mut self, v: usize) {
        self.counter += 1;
        self.order[v] = self.counter;
        self.low[v] = self.counter;
        self.stack.push(v);
        self.on_stack[v] = true;
        let needs = self.needs;
        for &w in &needs[v] {
            if self.order[w] == 0 {
                self.visit(w);
                self.low[v] = self.low[v].min(self.low[w]);
            } else if self.on_stack[w] {
                self.low[v] = self.low[v].min(self.order[w]);
            }
        }
        if self.low[v] == self.order[v] {
            let from = self.stack.iter().position(|w| *w == v).expect("v is on the stack");
            let mut component = self.stack.split_off(from);
            component.sort_unstable();
            for w in &component {
                self.on_stack[*w] = false;
            }
            self.found.push(component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn components_come_after_what_they_need() {
        // 0 ← 1 ⇄ 2, 3 needs 2, 4 needs itself.
        let needs = vec![vec![], vec![0, 2], vec![1], vec![2], vec![4]];
        assert_eq!(components(&needs), vec![vec![0], vec![1, 2], vec![3], vec![4]]);
    }
}
