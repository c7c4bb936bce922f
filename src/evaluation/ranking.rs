//! Full ranking of one relevant item, and the metrics of a rank.

/// The 1-based rank of `target` among all `scores` except those of `excluded` items.
///
/// Ties count against the target: every other candidate that does not score strictly below it is
/// ahead. So does NaN: a candidate without a score is ahead, a target without one is last.
/// `excluded` may hold duplicates, indices past the end, and the target, which is never excluded.
///
/// # Panics
/// Where `target` is not below `scores.len()`.
pub fn rank(scores: &[f32], target: usize, excluded: &[u32]) -> u32 {
    let own = scores[target];
    // A comparison with NaN is false, so "not strictly below" puts every NaN ahead.
    let is_ahead = |score: f32| !matches!(score.partial_cmp(&own), Some(std::cmp::Ordering::Less));
    let ahead = scores.iter().filter(|&&score| is_ahead(score)).count();

    let mut excluded = excluded.to_vec();
    excluded.sort_unstable();
    excluded.dedup();
    let excluded_ahead = excluded
        .iter()
        .map(|&item| item as usize)
        .filter(|&item| item != target)
        .filter_map(|item| scores.get(item))
        .filter(|&&score| is_ahead(score))
        .count();
    // The target is not strictly below itself, so it is in `ahead`: that makes the rank 1-based.
    (ahead - excluded_ahead) as u32
}

/// Whether a rank is among the first `k`: 1 or 0.
pub fn hit(rank: u32, k: u32) -> f64 {
    if (1..=k).contains(&rank) { 1.0 } else { 0.0 }
}

/// Normalised discounted cumulative gain at `k` with one relevant item: 1 / log₂(1 + rank) among
/// the first `k`, else 0.
pub fn ndcg(rank: u32, k: u32) -> f64 {
    if (1..=k).contains(&rank) { 1.0 / (1.0 + f64::from(rank)).log2() } else { 0.0 }
}

/// 1 / rank.
pub fn reciprocal_rank(rank: u32) -> f64 {
    if rank == 0 { 0.0 } else { 1.0 / f64::from(rank) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn ranks_of_hand_worked_scores() {
        let scores = [0.1, 0.9, 0.5, 0.7, 0.3];
        assert_eq!(rank(&scores, 1, &[]), 1);
        assert_eq!(rank(&scores, 3, &[]), 2);
        assert_eq!(rank(&scores, 2, &[]), 3);
        assert_eq!(rank(&scores, 4, &[]), 4);
        assert_eq!(rank(&scores, 0, &[]), 5);
    }

    #[test]
    fn ties_count_against_the_target() {
        assert_eq!(rank(&[0.5, 0.5, 0.5, 0.1], 0, &[]), 3);
        assert_eq!(rank(&[0.0; 100], 7, &[]), 100);
        // Negative and positive zero are equal.
        assert_eq!(rank(&[0.0, -0.0], 0, &[]), 2);
    }

    #[test]
    fn nan_counts_against_the_target() {
        assert_eq!(rank(&[0.9, NAN, 0.1], 0, &[]), 2);
        assert_eq!(rank(&[0.9, NAN, 0.1, NAN], 1, &[]), 4);
        assert_eq!(rank(&[NAN, f32::NEG_INFINITY], 0, &[]), 2);
    }

    #[test]
    fn excluded_items_do_not_compete_but_the_target_always_does() {
        let scores = [0.9, 0.8, 0.7, 0.6];
        assert_eq!(rank(&scores, 3, &[0, 1]), 2);
        assert_eq!(rank(&scores, 3, &[0, 0, 0, 1, 99]), 2);
        assert_eq!(rank(&scores, 1, &[1, 3]), 2);
        assert_eq!(rank(&[NAN, 0.2], 1, &[0]), 1);
        assert_eq!(rank(&[0.2, NAN], 1, &[1]), 2);
    }

    #[test]
    fn metrics_of_a_rank() {
        assert_eq!([hit(1, 10), hit(10, 10), hit(11, 10)], [1.0, 1.0, 0.0]);
        assert_eq!(ndcg(1, 10), 1.0);
        assert_eq!(ndcg(3, 10), 0.5);
        assert_eq!(ndcg(7, 10), 1.0 / 3.0);
        assert_eq!(ndcg(11, 10), 0.0);
        assert_eq!(reciprocal_rank(4), 0.25);
    }
}
