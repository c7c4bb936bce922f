//! The best of many scores without sorting them all.

use std::cmp::Ordering;

/// Indices of the `count` best scores, best first; ties by index. Excluded candidates (−∞) and NaN
/// are never among them, so there may be fewer.
///
/// One pass over `scores` with a buffer of twice `count`: whenever it is full, selection keeps its
/// better half, and only scores above the worst of those go in from then on.
pub fn top(scores: &[f32], count: usize) -> Vec<u32> {
    if count == 0 {
        return Vec::new();
    }
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(2 * count.min(scores.len()));
    let mut floor = f32::NEG_INFINITY;
    for (index, &score) in scores.iter().enumerate() {
        if score > floor {
            best.push((score, index as u32));
            if best.len() == 2 * count {
                best.select_nth_unstable_by(count - 1, better);
                best.truncate(count);
                // A later score equal to the floor loses its tie by index.
                floor = best[count - 1].0;
            }
        }
    }
    best.sort_unstable_by(better);
    best.truncate(count);
    best.into_iter().map(|(_, index)| index).collect()
}

fn better(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    // No NaN comes here. Adding 0 makes −0 and 0 one.
    (b.0 + 0.0).total_cmp(&(a.0 + 0.0)).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn best_first_and_ties_by_index() {
        assert_eq!(top(&[0.1, 0.9, 0.5, 0.9], 3), [1, 3, 2]);
        assert_eq!(top(&[0.0, -0.0, 0.0], 2), [0, 1]);
        assert_eq!(top(&[1.0], 0), Vec::<u32>::new());
        assert_eq!(top(&[], 5), Vec::<u32>::new());
    }

    #[test]
    fn what_has_no_score_is_left_out() {
        let scores = [f32::NEG_INFINITY, f32::NAN, -3.0, f32::INFINITY];
        assert_eq!(top(&scores, 10), [3, 2]);
    }

    proptest! {
        #[test]
        fn as_a_full_sort_has_it(scores in prop::collection::vec(-20i8..20, 0..500), count in 0usize..60) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let mut sorted: Vec<u32> = (0..scores.len() as u32).collect();
            sorted.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
            sorted.truncate(count);
            prop_assert_eq!(top(&scores, count), sorted);
        }
    }
}
