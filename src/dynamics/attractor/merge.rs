//! States that have come together are followed as one.

/// For each of the `[R, H]` rows of `states` the first row that it is within `reach` of, itself
/// if there is none: its leader. Leaders lead themselves, and are more than `reach` apart.
///
/// Rows are looked at in order, so a row of lower index is preferred as a leader. Neighbours are
/// sought along one direction, and compared along a second one before anything else: rows that
/// differ by more than `reach` along either cannot be near.
pub(super) fn leaders(states: &[f32], dim: usize, reach: f32) -> Vec<usize> {
    let rows = states.len() / dim.max(1);
    let row = |index: usize| &states[index * dim..][..dim];
    let (first, second) = (places(states, dim, 1.618_034), places(states, dim, 2.414_214));
    // Leaders so far, by their place along the first direction.
    let mut sorted: Vec<(f32, usize)> = Vec::new();
    let mut leader = Vec::with_capacity(rows);
    for index in 0..rows {
        let place = first[index];
        // Room for rounding in sums of H terms.
        let window = reach + 1e-5 * place.abs();
        let other_window = reach + 1e-5 * second[index].abs();
        let start = sorted.partition_point(|&(other, _)| other < place - window);
        let near = sorted[start..]
            .iter()
            .take_while(|&&(other, _)| other <= place + window)
            .map(|&(_, other)| other)
            .filter(|&other| (second[other] - second[index]).abs() <= other_window)
            .filter(|&other| within(row(index), row(other), reach))
            .min();
        // What is not a number has no place in an order, and none is near to it.
        if near.is_none() && !place.is_nan() {
            let at = sorted.partition_point(|&(other, _)| other < place);
            sorted.insert(at, (place, index));
        }
        leader.push(near.unwrap_or(index));
    }
    leader
}

/// Places of all rows along a direction that no symmetry of the data is likely to share.
fn places(states: &[f32], dim: usize, frequency: f32) -> Vec<f32> {
    let direction: Vec<f32> = (0..dim).map(|j| ((j as f32 + 1.0) * frequency).sin()).collect();
    let length = direction.iter().map(|d| d * d).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let along = |z: &[f32]| z.iter().zip(&direction).map(|(z, d)| z * d).sum::<f32>() / length;
    states.chunks_exact(dim.max(1)).map(along).collect()
}

/// Whether two states are within `reach`; one that is not finite is near to none.
fn within(a: &[f32], b: &[f32], reach: f32) -> bool {
    let mut left = reach * reach;
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        left -= a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        if left < 0.0 {
            return false;
        }
    }
    left >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;

    #[test]
    fn it_is_the_same_as_looking_at_every_pair() {
        let (rows, dim, reach) = (300, 3, 0.35);
        let states: Vec<f32> =
            random_states(rows, dim, 8).into_iter().map(|value| value as f32).collect();
        let row = |i: usize| &states[i * dim..][..dim];
        let mut plain: Vec<usize> = Vec::new();
        for i in 0..rows {
            let near = |&j: &usize| plain[j] == j && within(row(i), row(j), reach);
            let leader = (0..i).find(near).unwrap_or(i);
            plain.push(leader);
        }
        let ours = leaders(&states, dim, reach);
        assert_eq!(ours, plain);
        assert!(ours.iter().enumerate().filter(|(i, leader)| i == *leader).count() < rows);
    }

    #[test]
    fn not_a_number_stands_alone() {
        assert_eq!(leaders(&[f32::NAN, 1.0, f32::NAN, 1.0], 1, 0.5), [0, 1, 2, 1]);
    }
}
