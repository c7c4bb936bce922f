//! How many trials are trained for how long.

use serde::{Deserialize, Serialize};

use super::TuneError;
use crate::settings::{TuningMethod, TuningSettings};

/// A level of a search: so many trials are trained until so many epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    pub epochs: usize,
    pub trials: usize,
}

/// The rungs of a search over `trials` trials of at most `most` epochs.
///
/// Halving is one bracket of Li et al. (2018): s = ⌊log_η(R / r)⌋ times the trials are thinned, and
/// rung i reaches ⌊R η^(i−s)⌋ epochs, so that the last one reaches R. Of n trials the best ⌈n / η⌉
/// go on (Jamieson & Talwalkar 2016). Random search has the last rung only.
///
/// # Errors
/// [`TuneError::Budget`] where the least epochs are above `most`.
pub fn rungs(
    settings: &TuningSettings,
    trials: usize,
    most: usize,
) -> Result<Vec<Rung>, TuneError> {
    let (least, reduction) = (settings.least_epochs, settings.reduction.max(2));
    let mut divisors = vec![1];
    if settings.method == TuningMethod::Halving {
        if least > most {
            return Err(TuneError::Budget { least, most });
        }
        let mut divisor = reduction;
        while least * divisor <= most {
            divisors.push(divisor);
            divisor *= reduction;
        }
    }
    let mut left = trials;
    let rungs = divisors.iter().rev().map(|divisor| {
        let rung = Rung { epochs: most / divisor, trials: left };
        left = kept(left, reduction);
        rung
    });
    Ok(rungs.collect())
}

/// How many of `trials` go on: ⌈n / η⌉.
pub fn kept(trials: usize, reduction: usize) -> usize {
    trials.div_ceil(reduction)
}

/// Epochs that all trials train together, where none stops early.
pub fn epochs_in_all(rungs: &[Rung]) -> usize {
    let before = std::iter::once(0).chain(rungs.iter().map(|rung| rung.epochs));
    rungs.iter().zip(before).map(|(rung, before)| rung.trials * (rung.epochs - before)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halving(trials: usize, reduction: usize, least: usize, most: usize) -> Vec<[usize; 2]> {
        let settings =
            TuningSettings { reduction, least_epochs: least, ..TuningSettings::default() };
        let rungs = rungs(&settings, trials, most).unwrap();
        rungs.iter().map(|rung| [rung.trials, rung.epochs]).collect()
    }

    #[test]
    fn budgets_are_those_of_the_paper() {
        // Li et al. 2018, table 1: R = 81, η = 3, bracket s = 4.
        assert_eq!(halving(81, 3, 1, 81), [[81, 1], [27, 3], [9, 9], [3, 27], [1, 81]]);
        // The same table, bracket s = 2, which begins with 9 epochs.
        assert_eq!(halving(9, 3, 9, 81), [[9, 9], [3, 27], [1, 81]]);
    }

    #[test]
    fn what_does_not_divide_is_rounded_in_favour_of_trials_and_the_last_rung_is_whole() {
        assert_eq!(halving(10, 3, 1, 15), [[10, 1], [4, 5], [2, 15]]);
        assert_eq!(halving(5, 2, 2, 10), [[5, 2], [3, 5], [2, 10]]);
        assert_eq!(halving(4, 3, 5, 7), [[4, 7]]);
    }

    #[test]
    fn random_search_trains_all_to_the_end() {
        let settings = TuningSettings {
            method: TuningMethod::Random,
            least_epochs: 99,
            ..TuningSettings::default()
        };
        assert_eq!(rungs(&settings, 6, 10).unwrap(), [Rung { epochs: 10, trials: 6 }]);
    }

    #[test]
    fn a_least_budget_above_the_most_is_refused() {
        let settings = TuningSettings { least_epochs: 9, ..TuningSettings::default() };
        let error = rungs(&settings, 6, 8).unwrap_err().to_string();
        assert!(error.contains("tuning.least_epochs (9)"), "{error}");
    }

    #[test]
    fn epochs_are_counted_once_though_trials_go_on() {
        let settings = TuningSettings::default();
        let rungs = rungs(&settings, 9, 9).unwrap();
        // 9 × 1 + 3 × 2 + 1 × 6.
        assert_eq!(epochs_in_all(&rungs), 21);
    }
}
