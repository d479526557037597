//! A layered layout from left to right (Sugiyama's method), for graphs of some hundred nodes.
//!
//! Edges that would close a cycle are turned around; nodes get layers; long edges get a corridor through
//! the layers between, shared by all that leave one node; each layer is sorted to reduce crossings; then
//! heights are chosen near the neighbours'. Everything is deterministic.

use std::collections::BTreeMap;

/// Between boxes of one layer.
const GAP: f64 = 9.0;
/// Height of a corridor.
const CORRIDOR: f64 = 4.0;

/// Where everything goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Upper left corner of each box.
    pub at: Vec<(f64, f64)>,
    /// For each link the points that it passes, from its beginning to its end.
    pub paths: Vec<Vec<(f64, f64)>>,
    /// Width and height of all.
    pub size: (f64, f64),
}

/// A link between boxes; weak ones are turned around first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
    pub weak: bool,
}

/// A box or a place in a corridor.
#[derive(Clone, Copy, Debug)]
struct Spot {
    layer: usize,
    size: (f64, f64),
    y: f64,
}

/// Lays out boxes of these sizes.
pub(super) fn layout(sizes: &[(f64, f64)], links: &[Link]) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let forward = orient(sizes.len(), links);
    let pairs: Vec<(usize, usize)> =
        links.iter().zip(&forward).map(|(l, f)| if *f { (l.from, l.to) } else { (l.to, l.from) }).collect();
    let layer = layers(sizes.len(), &pairs);
    let mut spots: Vec<Spot> =
        (0..sizes.len()).map(|i| Spot { layer: layer[i], size: sizes[i], y: 0.0 }).collect();
    let mut corridors: BTreeMap<(usize, bool, usize), usize> = BTreeMap::new();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut routes: Vec<Vec<usize>> = Vec::new();
    for ((a, b), forward) in pairs.iter().zip(&forward) {
        let mut route = vec![*a];
        for between in layer[*a] + 1..layer[*b].max(layer[*a] + 1) {
            let spot = *corridors.entry((*a, *forward, between)).or_insert_with(|| {
                spots.push(Spot { layer: between, size: (0.0, CORRIDOR), y: 0.0 });
                spots.len() - 1
            });
            route.push(spot);
        }
        route.push(*b);
        edges.extend(route.windows(2).map(|w| (w[0], w[1])));
        routes.push(route);
    }
    edges.retain(|(a, b)| a != b);
    edges.sort();
    edges.dedup();

    let neighbours = Neighbours::new(spots.len(), &edges);
    let mut rows = order(&spots, &neighbours, &edges);
    heights(&mut spots, &mut rows, &neighbours);
    place(sizes.len(), &spots, &rows, &edges, &routes, &forward)
}

/// For each link whether it keeps its direction: those that would close a cycle do not.
fn orient(n: usize, links: &[Link]) -> Vec<bool> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); n];
    let reaches = |next: &[Vec<usize>], from: usize, to: usize| {
        let mut seen = vec![false; n];
        let mut stack = vec![from];
        while let Some(at) = stack.pop() {
            if at == to {
                return true;
            }
            if !std::mem::replace(&mut seen[at], true) {
                stack.extend(&next[at]);
            }
        }
        false
    };
    let mut forward = vec![true; links.len()];
    for weak in [false, true] {
        for (i, link) in links.iter().enumerate().filter(|(_, l)| l.weak == weak && l.from != l.to) {
            let (a, b) = (link.from, link.to);
            if reaches(&next, b, a) {
                forward[i] = false;
                next[b].push(a);
            } else {
                next[a].push(b);
            }
        }
    }
    forward
}

/// Longest paths, then each node moved to where its edges are shortest.
fn layers(n: usize, pairs: &[(usize, usize)]) -> Vec<usize> {
    let mut before = vec![Vec::new(); n];
    let mut after = vec![Vec::new(); n];
    for (a, b) in pairs.iter().filter(|(a, b)| a != b) {
        after[*a].push(*b);
        before[*b].push(*a);
    }
    let mut open: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut layer = vec![0; n];
    let mut ready: Vec<usize> = (0..n).filter(|i| open[*i] == 0).collect();
    let mut sorted = Vec::new();
    while let Some(i) = ready.pop() {
        sorted.push(i);
        for j in &after[i] {
            layer[*j] = layer[*j].max(layer[i] + 1);
            open[*j] -= 1;
            if open[*j] == 0 {
                ready.push(*j);
            }
        }
    }
    for _ in 0..8 {
        for i in sorted.iter().rev() {
            let low = before[*i].iter().map(|j| layer[*j] + 1).max();
            let high = after[*i].iter().map(|j| layer[*j] - 1).min();
            layer[*i] = match (low, high) {
                (_, Some(high)) if after[*i].len() >= before[*i].len() => high,
                (Some(low), _) => low,
                _ => layer[*i],
            };
        }
    }
    let least = layer.iter().copied().min().unwrap_or(0);
    layer.iter_mut().for_each(|l| *l -= least);
    layer
}

struct Neighbours {
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
}

impl Neighbours {
    fn new(n: usize, edges: &[(usize, usize)]) -> Neighbours {
        let mut found = Neighbours { left: vec![Vec::new(); n], right: vec![Vec::new(); n] };
        for (a, b) in edges {
            found.right[*a].push(*b);
            found.left[*b].push(*a);
        }
        found
    }
}

/// The spots of each layer, sorted by the means of their neighbours until crossings get no fewer.
fn order(spots: &[Spot], neighbours: &Neighbours, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let n = spots.iter().map(|s| s.layer).max().unwrap_or(0) + 1;
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); n];
    // Start from a walk along the edges, so that what belongs together begins together.
    let mut seen = vec![false; spots.len()];
    for start in 0..spots.len() {
        let mut stack = vec![start];
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                rows[spots[at].layer].push(at);
                stack.extend(neighbours.left[at].iter().chain(&neighbours.right[at]).filter(|j| !seen[**j]));
            }
        }
    }
    let mut position = vec![0.0; spots.len()];
    let number = |rows: &[Vec<usize>], position: &mut [f64]| {
        for row in rows {
            for (i, spot) in row.iter().enumerate() {
                position[*spot] = i as f64;
            }
        }
    };
    number(&rows, &mut position);
    let mut best = (crossings(&rows, edges, spots, &position), rows.clone());
    for round in 0..40 {
        let leftwards = round % 2 == 1;
        let sweep: Vec<usize> = if leftwards { (0..n).rev().collect() } else { (0..n).collect() };
        for layer in sweep {
            let side = if leftwards { &neighbours.right } else { &neighbours.left };
            let mean = |spot: usize| {
                let near = &side[spot];
                if near.is_empty() {
                    position[spot]
                } else {
                    near.iter().map(|j| position[*j]).sum::<f64>() / near.len() as f64
                }
            };
            let mut keyed: Vec<(f64, usize)> = rows[layer].iter().map(|s| (mean(*s), *s)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[layer] = keyed.into_iter().map(|(_, s)| s).collect();
            for (i, spot) in rows[layer].iter().enumerate() {
                position[*spot] = i as f64;
            }
        }
        transpose(&mut rows, neighbours, &mut position);
        let count = crossings(&rows, edges, spots, &position);
        if count < best.0 {
            best = (count, rows.clone());
        }
    }
    best.1
}

/// Exchanges neighbours in a row where that leaves fewer crossings.
fn transpose(rows: &mut [Vec<usize>], neighbours: &Neighbours, position: &mut [f64]) {
    let crossed = |a: &[usize], b: &[usize], position: &[f64]| {
        a.iter().map(|x| b.iter().filter(|y| position[**y] < position[*x]).count()).sum::<usize>()
    };
    for row in rows {
        for i in 1..row.len() {
            let (a, b) = (row[i - 1], row[i]);
            let sides = [&neighbours.left, &neighbours.right];
            let now: usize = sides.iter().map(|s| crossed(&s[a], &s[b], position)).sum();
            let then: usize = sides.iter().map(|s| crossed(&s[b], &s[a], position)).sum();
            if then < now {
                row.swap(i - 1, i);
                position.swap(a, b);
            }
        }
    }
}

fn crossings(rows: &[Vec<usize>], edges: &[(usize, usize)], spots: &[Spot], position: &[f64]) -> usize {
    let mut by_layer: Vec<Vec<(f64, f64)>> = vec![Vec::new(); rows.len()];
    for (a, b) in edges {
        by_layer[spots[*a].layer].push((position[*a], position[*b]));
    }
    let cross = |list: &Vec<(f64, f64)>| {
        let pairs = list.iter().enumerate().flat_map(|(i, x)| list[..i].iter().map(move |y| (x, y)));
        pairs.filter(|(x, y)| (x.0 - y.0) * (x.1 - y.1) < 0.0).count()
    };
    by_layer.iter().map(cross).sum()
}

/// Heights: every layer as near as possible to the neighbours' middle, without overlaps.
fn heights(spots: &mut [Spot], rows: &mut [Vec<usize>], neighbours: &Neighbours) {
    for row in rows.iter() {
        let mut y = 0.0;
        for spot in row {
            spots[*spot].y = y;
            y += spots[*spot].size.1 + GAP;
        }
    }
    for round in 0..24 {
        let sweep: Vec<usize> =
            if round % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for layer in sweep {
            let row = &rows[layer];
            let middle = |spot: usize| {
                let near = neighbours.left[spot].iter().chain(&neighbours.right[spot]);
                let mut near: Vec<f64> = near.map(|j| spots[*j].y + spots[*j].size.1 / 2.0).collect();
                near.sort_by(f64::total_cmp);
                let own = spots[spot].y;
                let height = spots[spot].size.1 / 2.0;
                if near.is_empty() {
                    own
                } else {
                    (near[(near.len() - 1) / 2] + near[near.len() / 2]) / 2.0 - height
                }
            };
            let wanted: Vec<f64> = row.iter().map(|s| middle(*s)).collect();
            let sizes: Vec<f64> = row.iter().map(|s| spots[*s].size.1 + GAP).collect();
            for (spot, y) in row.iter().zip(spread(&wanted, &sizes)) {
                spots[*spot].y = y;
            }
        }
    }
}

/// Positions in this order, each followed by its size, with the least sum of squared distances from those
/// wanted: pools of neighbours that touch share their mean.
fn spread(wanted: &[f64], sizes: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut pools: Vec<(f64, usize)> = Vec::new();
    let mut offsets = Vec::new();
    for (want, size) in wanted.iter().zip(sizes) {
        offsets.push(offset);
        pools.push((want - offset, 1));
        offset += size;
        while pools.len() > 1 {
            let (b, m) = pools[pools.len() - 1];
            let (a, n) = pools[pools.len() - 2];
            if a <= b {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push(((a * n as f64 + b * m as f64) / (n + m) as f64, n + m));
        }
    }
    let values = pools.iter().flat_map(|(value, n)| std::iter::repeat_n(*value, *n));
    values.zip(offsets).map(|(value, offset)| value + offset).collect()
}

fn place(
    boxes: usize,
    spots: &[Spot],
    rows: &[Vec<usize>],
    edges: &[(usize, usize)],
    routes: &[Vec<usize>],
    forward: &[bool],
) -> Layout {
    let top = spots.iter().map(|s| s.y).fold(f64::INFINITY, f64::min);
    let mut left = Vec::new();
    let mut width = Vec::new();
    let mut x = 0.0;
    for (layer, row) in rows.iter().enumerate() {
        let wide = row.iter().map(|s| spots[*s].size.0).fold(0.0, f64::max);
        left.push(x);
        width.push(wide);
        // Steep edges need room to bend.
        let steep = edges.iter().filter(|(a, _)| spots[*a].layer == layer);
        let climb = steep.map(|(a, b)| (spots[*a].y - spots[*b].y).abs()).fold(0.0, f64::max);
        x += wide + 26.0 + (climb / 9.0).min(44.0);
    }
    let size = |spot: &Spot| spot.y - top + spot.size.1;
    let corner = |i: usize| {
        let spot = &spots[i];
        (left[spot.layer] + (width[spot.layer] - spot.size.0) / 2.0, spot.y - top)
    };
    let at: Vec<(f64, f64)> = (0..boxes).map(corner).collect();
    let mut paths = Vec::new();
    for (route, forward) in routes.iter().zip(forward) {
        let (first, last) = (route[0], route[route.len() - 1]);
        let middle = |i: usize| spots[i].y - top + spots[i].size.1 / 2.0;
        let mut path = vec![(at[first].0 + spots[first].size.0, middle(first))];
        for spot in &route[1..route.len() - 1] {
            let layer = spots[*spot].layer;
            path.extend([(left[layer], middle(*spot)), (left[layer] + width[layer], middle(*spot))]);
        }
        path.push((at[last].0, middle(last)));
        if !forward {
            path.reverse();
        }
        paths.push(path);
    }
    let right = left.last().zip(width.last()).map_or(0.0, |(x, w)| x + w);
    Layout { at, paths, size: (right, spots.iter().map(size).fold(0.0, f64::max)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: usize, to: usize) -> Link {
        Link { from, to, weak: false }
    }

    #[test]
    fn layers_follow_edges_and_cycles_are_turned() {
        let sizes = vec![(10.0, 10.0); 4];
        let links = [link(0, 1), link(1, 2), link(0, 2), Link { from: 2, to: 0, weak: true }, link(2, 3)];
        let l = layout(&sizes, &links);
        assert!(l.at[0].0 < l.at[1].0 && l.at[1].0 < l.at[2].0 && l.at[2].0 < l.at[3].0);
        assert_eq!(l.paths[3][0].0, l.at[2].0, "a turned edge leaves on the left");
        assert_eq!(l.paths[2].len(), 4, "a long edge has a corridor");
    }

    #[test]
    fn boxes_do_not_overlap() {
        let n = 40;
        let sizes: Vec<(f64, f64)> = (0..n).map(|i| (20.0 + i as f64, 10.0 + (i % 3) as f64)).collect();
        let links: Vec<Link> =
            (0..n).flat_map(|i| [link(i, (i * 7 + 3) % n), link(i, (i * 5 + 1) % n)]).collect();
        let l = layout(&sizes, &links);
        for i in 0..n {
            for j in 0..i {
                let apart = |a: f64, w: f64, b: f64, v: f64| a + w <= b + 1e-6 || b + v <= a + 1e-6;
                assert!(
                    apart(l.at[i].0, sizes[i].0, l.at[j].0, sizes[j].0)
                        || apart(l.at[i].1, sizes[i].1, l.at[j].1, sizes[j].1),
                    "{i} and {j} overlap"
                );
            }
        }
    }

    #[test]
    fn spread_keeps_order_and_distance() {
        let got = spread(&[5.0, 0.0, 20.0], &[4.0, 4.0, 4.0]);
        assert_eq!(got, [0.5, 4.5, 20.0]);
    }
}
