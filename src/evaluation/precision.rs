//! How precise a mean is: its variance in parts, and what follows from them.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// One contribution to the variance of a mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub variance: f64,
    pub df: f64,
}

impl Part {
    /// The variance of a mean of `count` values from their summed squared deviations; 0 where
    /// there is only one.
    pub fn of_mean(squares: f64, count: usize) -> Self {
        let df = count as f64 - 1.0;
        let variance = if count > 1 { squares / df / count as f64 } else { 0.0 };
        Self { variance, df }
    }
}

/// Standard error and degrees of freedom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    pub se: f64,
    pub df: f64,
}

impl Precision {
    /// `variance` with Satterthwaite's degrees of freedom over `parts`.
    pub fn of(variance: f64, parts: &[Part]) -> Self {
        let weight: f64 = parts
            .iter()
            .filter(|part| part.df > 0.0)
            .map(|part| part.variance.powi(2) / part.df)
            .sum();
        let most: f64 = parts.iter().map(|part| part.df).sum();
        let df = if weight > 0.0 { (variance.powi(2) / weight).min(most) } else { most };
        Self { se: variance.sqrt(), df: df.max(1.0) }
    }

    /// Two-way clustered precision of the mean of a balanced table with at least two queries.
    pub fn clustered(values: &[Vec<f64>], mean: f64) -> Self {
        let (seeds, queries) = (values.len(), values[0].len());
        let of_seed: Vec<f64> =
            values.iter().map(|seed| seed.iter().sum::<f64>() / queries as f64).collect();
        let of_query: Vec<f64> = (0..queries)
            .map(|query| values.iter().map(|seed| seed[query]).sum::<f64>() / seeds as f64)
            .collect();
        let spread =
            |means: &[f64]| -> f64 { means.iter().map(|value| (value - mean).powi(2)).sum() };
        let query = Part::of_mean(spread(&of_query), queries);
        if seeds == 1 {
            return Self::of(query.variance, &[query]);
        }
        let seed = Part::of_mean(spread(&of_seed), seeds);
        let squares: f64 = values
            .iter()
            .zip(&of_seed)
            .flat_map(|(row, of_seed)| row.iter().zip(&of_query).map(move |(v, q)| (v, q, of_seed)))
            .map(|(value, of_query, of_seed)| (value - of_query - of_seed + mean).powi(2))
            .sum();
        let residual = squares / (query.df * seed.df) / (seeds * queries) as f64;
        let variance =
            (query.variance + seed.variance - residual).max(query.variance).max(seed.variance);
        Self::of(variance, &[query, seed])
    }

    /// The 95 % interval around `mean`; `None` where it is not finite.
    pub fn interval(self, mean: f64) -> Option<[f64; 2]> {
        let half = t_975(self.df)? * self.se;
        (mean.is_finite() && half.is_finite()).then_some([mean - half, mean + half])
    }

    /// Two-sided p-value of a mean over `n` queries being 0.
    pub fn test(self, mean: f64, n: usize) -> Option<f64> {
        if mean == 0.0 && self.se == 0.0 {
            return Some(1.0);
        }
        // Every difference is the same, up to rounding, and t is not defined: the sign test is.
        if self.se <= 1e-12 * mean.abs() {
            return Some((2.0 * 0.5_f64.powf(n as f64)).min(1.0));
        }
        let t = StudentsT::new(0.0, 1.0, self.df).ok()?;
        let p = 2.0 * t.cdf(-(mean / self.se).abs());
        p.is_finite().then(|| p.min(1.0))
    }
}

/// How many standard errors a mean is within, 95 times of 100: Student's t of `df` degrees of freedom; `None`
/// where they are not above 0.
pub fn t_975(df: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, df).ok()?.inverse_cdf(0.975))
}
