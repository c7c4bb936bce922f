//! How well a score finds the cases that matter: areas under the ROC and the precision–recall curve.

use std::cmp::Ordering;

/// Area under the ROC curve: the chance that a random positive scores above a random negative, a
/// tie counting half (Hanley & McNeil 1982). `None` where one of the two is absent.
///
/// A NaN scores above everything.
///
/// # Panics
/// Where there is not one label for each score.
pub fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut wins = 0.0;
    let mut negatives_above = positive.iter().filter(|label| !**label).count() as f64;
    let positives = positive.len() as f64 - negatives_above;
    let pairs = positives * negatives_above;
    for group in ties(scores, positive) {
        negatives_above -= group.negatives;
        wins += group.positives * (negatives_above + group.negatives / 2.0);
    }
    (pairs > 0.0).then(|| wins / pairs)
}

/// Average precision, Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds: the area under the precision–recall
/// curve as steps, which does not interpolate (Davis & Goadrich 2006). Random scores give the share
/// of positives. `None` without positives.
///
/// # Panics
/// Where there is not one label for each score.
pub fn auprc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let total = positive.iter().filter(|label| **label).count() as f64;
    let (mut found, mut taken, mut area) = (0.0, 0.0, 0.0);
    for group in ties(scores, positive) {
        found += group.positives;
        taken += group.positives + group.negatives;
        area += group.positives * found / taken;
    }
    (total > 0.0).then(|| area / total)
}

/// The threshold at which `score >= threshold` says most often what the label says, and how often
/// that is. Of equally good ones the highest; infinity, which never says yes, is one of them.
///
/// # Panics
/// Where there is not one label for each score.
pub fn best_threshold(scores: &[f64], positive: &[bool]) -> (f64, f64) {
    let n = scores.len().max(1) as f64;
    let mut right = positive.iter().filter(|label| !**label).count() as f64;
    let mut best = (f64::INFINITY, right);
    for group in ties(scores, positive) {
        right += group.positives - group.negatives;
        if right > best.1 {
            best = (group.score, right);
        }
    }
    (best.0, best.1 / n)
}

/// Cases of one score.
struct Tie {
    score: f64,
    positives: f64,
    negatives: f64,
}

/// Cases by score, the highest first.
fn ties(scores: &[f64], positive: &[bool]) -> Vec<Tie> {
    assert_eq!(scores.len(), positive.len(), "one label for each score");
    let score = |index: usize| if scores[index].is_nan() { f64::INFINITY } else { scores[index] };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal));
    order
        .chunk_by(|&a, &b| score(a) == score(b))
        .map(|tied| {
            let positives = tied.iter().filter(|&&index| positive[index]).count() as f64;
            Tie { score: score(tied[0]), positives, negatives: tied.len() as f64 - positives }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 5] = [true, false, true, false, false];

    #[test]
    fn auroc_of_a_hand_worked_case() {
        // Positives 0.9 and 0.4 against 0.8, 0.4 and 0.1: 3 wins and 1.5 of 3.
        let scores = [0.9, 0.8, 0.4, 0.4, 0.1];
        assert!((auroc(&scores, &LABELS).unwrap() - 4.5 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn auprc_of_a_hand_worked_case() {
        // The positives are found 1st and 3rd: (1/1 + 2/3) / 2.
        let scores = [0.9, 0.8, 0.7, 0.4, 0.1];
        assert!((auprc(&scores, &LABELS).unwrap() - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn perfect_reversed_and_constant_scores_have_the_known_areas() {
        let perfect = [2.0, 0.0, 2.0, 0.0, 0.0];
        assert_eq!(auroc(&perfect, &LABELS), Some(1.0));
        assert_eq!(auprc(&perfect, &LABELS), Some(1.0));
        assert_eq!(auroc(&perfect.map(|score| -score), &LABELS), Some(0.0));
        assert_eq!(auroc(&[1.0; 5], &LABELS), Some(0.5));
        // Everything at once: precision is the share of positives.
        assert_eq!(auprc(&[1.0; 5], &LABELS), Some(0.4));
    }

    #[test]
    fn one_class_alone_has_no_area() {
        assert_eq!(auroc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(auroc(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(auprc(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(auroc(&[], &[]), None);
    }

    #[test]
    fn the_best_threshold_may_be_never() {
        // At or above 0.8: one of two right, and three below: 4 of 5 with 0.9, as with none wrong.
        let scores = [0.9, 0.8, 0.4, 0.4, 0.1];
        assert_eq!(best_threshold(&scores, &LABELS), (0.9, 0.8));
        assert_eq!(best_threshold(&[0.1, 0.9], &[true, false]), (f64::INFINITY, 0.5));
    }
}
