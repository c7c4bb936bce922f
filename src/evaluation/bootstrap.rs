//! Intervals of measures that have no formula for one: the bootstrap.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The percentile bootstrap's 95 % interval (Efron 1979) of a measure of `n` cases. `measure` is
/// given `resamples` lists of `n` indices drawn with replacement; those of which there is none,
/// such as an AUROC without positives, are left out. `None` where more than one in forty has none: they
/// could be the whole of one tail.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    seed: u64,
    mut measure: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<[f64; 2]> {
    if n < 2 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![0; n];
    let mut values: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            drawn.iter_mut().for_each(|index| *index = rng.random_range(0..n));
            measure(&drawn).filter(|value| value.is_finite())
        })
        .collect();
    if values.is_empty() || values.len() * 40 < resamples * 39 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Some([at(0.025), at(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_near_the_normal_one() {
        // 400 cases, a quarter of them 1: a standard error of 0.0217.
        let values: Vec<f64> = (0..400).map(|case| f64::from(u8::from(case % 4 == 0))).collect();
        let mean = |drawn: &[usize]| Some(drawn.iter().map(|&i| values[i]).sum::<f64>() / 400.0);
        let [low, high] = bootstrap(400, 2000, 1, mean).unwrap();
        assert!((low - (0.25 - 0.0424)).abs() < 0.008, "{low}");
        assert!((high - (0.25 + 0.0424)).abs() < 0.008, "{high}");
    }

    #[test]
    fn there_is_none_of_one_case_or_of_a_measure_that_is_often_absent() {
        assert_eq!(bootstrap(1, 100, 1, |_| Some(1.0)), None);
        assert_eq!(bootstrap(10, 100, 1, |_| None), None);
        let mut asked = 0;
        let mut all_but = |left_out: usize| {
            asked = 0;
            bootstrap(10, 100, 1, |_| {
                asked += 1;
                (asked > left_out).then_some(1.0)
            })
        };
        assert_eq!((all_but(2), all_but(3)), (Some([1.0, 1.0]), None));
    }
}
