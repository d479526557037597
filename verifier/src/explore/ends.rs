//! Where runs end: sets of states that no run leaves any more by what it must do.
//!
//! A complete run does sooner or later all that it must: it delivers what is not at risk and goes on firing
//! timers. So it ends in a strongly connected set of states without a way out over such moves (found with Tarjan's
//! algorithm), and goes through all of its states again and again. As a history only grows, all states of such
//! a set have one.

use super::Found;
use super::search::Search;

/// Complete histories, and `eventually` properties that fail.
pub(super) fn conclude(search: &mut Search<'_>) {
    let sets = bottoms(&search.edges);
    let wanted = (1u64 << search.liveness.len()) - 1;
    let mut failed = 0u64;
    let mut fails = Vec::new();
    for set in &sets {
        let holds = set.iter().fold(0, |bits, s| bits | search.live[*s as usize]);
        let missing = wanted & !holds & !failed;
        for i in (0..search.liveness.len()).filter(|i| missing >> i & 1 == 1) {
            fails.push((i, set[0]));
        }
        failed |= missing;
        if search.world.scope.histories {
            let history = search.world.history(search.histories[set[0] as usize]).clone();
            if search.options.goal.as_ref() == Some(&history) && search.report.way.is_none() {
                search.report.way = Some(search.way(set[0]));
            }
            search.report.complete.insert(history);
        }
    }
    for (i, state) in fails {
        let name = search.properties.of(search.liveness[i]).0.to_string();
        let moves = search.way(state);
        let message = format!("`{name}` does not come about, however long this run goes on");
        search.report.not_reached.push(Found { name, message, moves });
    }
}

/// The strongly connected sets without a way out.
fn bottoms(edges: &[Vec<u32>]) -> Vec<Vec<u32>> {
    const NONE: u32 = u32::MAX;
    let n = edges.len();
    let (mut index, mut low) = (vec![NONE; n], vec![0u32; n]);
    let mut component = vec![NONE; n];
    let (mut next, mut components) = (0u32, Vec::<Vec<u32>>::new());
    let mut stack = Vec::new();
    let mut calls: Vec<(u32, usize)> = Vec::new();
    for root in 0..n as u32 {
        if index[root as usize] != NONE {
            continue;
        }
        calls.push((root, 0));
        while let Some((v, i)) = calls.pop() {
            let here = v as usize;
            if i == 0 {
                index[here] = next;
                low[here] = next;
                next += 1;
                stack.push(v);
            }
            if let Some(w) = edges[here].get(i) {
                calls.push((v, i + 1));
                let there = *w as usize;
                if index[there] == NONE {
                    calls.push((*w, 0));
                } else if component[there] == NONE {
                    low[here] = low[here].min(index[there]);
                }
                continue;
            }
            if low[here] == index[here] {
                let mut set = Vec::new();
                while let Some(w) = stack.pop() {
                    component[w as usize] = components.len() as u32;
                    set.push(w);
                    if w == v {
                        break;
                    }
                }
                components.push(set);
            }
            if let Some((parent, _)) = calls.last() {
                let parent = *parent as usize;
                low[parent] = low[parent].min(low[here]);
            }
        }
    }
    let leaves = |set: &Vec<u32>| {
        let own = component[set[0] as usize];
        set.iter().any(|s| edges[*s as usize].iter().any(|t| component[*t as usize] != own))
    };
    components.into_iter().filter(|set| !leaves(set)).collect()
}

#[cfg(test)]
mod tests {
    use super::bottoms;

    #[test]
    fn ends_are_what_cannot_be_left() {
        // 0 → 1 ⇄ 2 → 3, 3 → 3; 0 → 4.
        let edges = vec![vec![1, 4], vec![2], vec![1, 3], vec![3], vec![]];
        let mut found = bottoms(&edges);
        found.sort();
        assert_eq!(found, [vec![3], vec![4]]);
        let mut ring = bottoms(&[vec![1], vec![2], vec![0]]);
        ring[0].sort_unstable();
        assert_eq!(ring, [vec![0, 1, 2]]);
    }
}
