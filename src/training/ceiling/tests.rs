//! The ceiling against the baselines, the oracle, finer grids and a wrong idea of the world.

use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::evaluation::{mean_metric, rank};
use crate::jobs::{Context, Control, detached};
use crate::settings::Config;
use crate::training::Prepared;
use crate::training::evaluate::per_query;

fn prepared(users: usize) -> Prepared {
    let raw = drift(DriftOptions { users, ..DriftOptions::default() }, || Ok(())).unwrap();
    let context: Context<()> = detached(Control::default(), |_, _| ());
    Prepared::from_dataset(&raw, &Config::default(), &context).unwrap()
}

fn ranks_of(prepared: &Prepared, ceiling: &Ceiling<'_>) -> Vec<u32> {
    let data = &prepared.data;
    let judge = |query: &Query, scores: &[f32]| rank(scores, data.item[query.target] as usize, &[]);
    ceiling.each(data, &prepared.split.test, 2, judge, || Ok(())).unwrap()
}

/// HR@10 and NDCG@10.
fn quality(ranks: &[u32]) -> [f64; 2] {
    let metrics = per_query(ranks);
    [mean_metric(&[metrics.hit]).mean, mean_metric(&[metrics.ndcg]).mean]
}

#[test]
fn it_beats_every_baseline_and_comes_up_to_the_oracle() {
    let prepared = prepared(300);
    let truth = prepared.data.truth.clone().unwrap();
    let ceiling = Ceiling::new(&truth);
    let own = quality(&ranks_of(&prepared, &ceiling));
    for (baseline, ranks) in &prepared.baselines {
        let theirs = quality(ranks);
        assert!(own[0] > theirs[0] + 0.05 && own[1] > theirs[1] + 0.03, "{baseline:?} {theirs:?}");
    }
    // After a dozen events there is hardly anything left that the belief does not know.
    let data = &prepared.data;
    let seen: Vec<u32> = prepared
        .split
        .test
        .iter()
        .map(|query| {
            let scores = ceiling.oracle(query).unwrap();
            rank(&scores, data.item[query.target] as usize, &[])
        })
        .collect();
    let oracle = quality(&seen);
    assert!((own[0] - oracle[0]).abs() < 0.005, "{own:?} {oracle:?}");
    assert!((own[1] - oracle[1]).abs() < 0.005, "{own:?} {oracle:?}");
}

#[test]
fn a_finer_grid_changes_nothing() {
    let mut prepared = prepared(300);
    prepared.split.test.truncate(30);
    let truth = prepared.data.truth.clone().unwrap();
    let coarse = ranks_of(&prepared, &Ceiling::new(&truth));
    let fine = ranks_of(&prepared, &Ceiling { spacing: SPACING / 3.0, ..Ceiling::new(&truth) });
    assert_eq!(coarse, fine);
}

#[test]
fn a_wrong_field_costs_it_dearly() {
    let prepared = prepared(300);
    let truth = prepared.data.truth.clone().unwrap();
    let right = quality(&ranks_of(&prepared, &Ceiling::new(&truth)));
    let turned = DriftField { rotation: -truth.field.rotation, ..truth.field.clone() };
    let still = DriftField { rotation: 0.0, decay: 0.0, ..truth.field.clone() };
    for field in [turned, still] {
        let wrong =
            quality(&ranks_of(&prepared, &Ceiling { field: &field, ..Ceiling::new(&truth) }));
        assert!(wrong[0] < right[0] - 0.05 && wrong[1] < right[1] - 0.03, "{wrong:?} {right:?}");
    }
}

#[test]
fn its_probabilities_are_calibrated() {
    // The mean probability of what it ranks first is how often that is right.
    let prepared = prepared(300);
    let truth = prepared.data.truth.clone().unwrap();
    let ceiling = Ceiling::new(&truth);
    let (mut expected, mut right, mut variance) = (0.0, 0.0, 0.0);
    for query in &prepared.split.test {
        let scores = ceiling.scores(&prepared.data, query);
        let total: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");
        // The ten best together, as HR@10 counts them.
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let chance: f64 = order[..10].iter().map(|&item| f64::from(scores[item]).exp()).sum();
        expected += chance;
        variance += chance * (1.0 - chance);
        let target = prepared.data.item[query.target] as usize;
        right += f64::from(u8::from(order[..10].contains(&target)));
    }
    assert!((right - expected).abs() < 4.0 * f64::sqrt(variance), "{right} {expected}");
}

#[test]
fn it_stops_when_it_is_told_to() {
    let prepared = prepared(300);
    let truth = prepared.data.truth.clone().unwrap();
    let stopped = Ceiling::new(&truth).each(
        &prepared.data,
        &prepared.split.test,
        2,
        |_, _| (),
        || Err(Cancelled),
    );
    assert!(stopped.is_err());
}
