use crate::experiments::subjects::testing;
use crate::experiments::{Experiment, perform};

#[test]
fn a_model_that_reads_no_times_is_untouched_by_them_and_one_that_does_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = testing::trained(folder.path(), "gru,rk4", 1);
    let result = perform(Experiment::Robustness, &inputs, &testing::quiet()).unwrap();
    let findings = &result.findings;
    let change = |name: &str| findings.row(name).unwrap().value("change").unwrap();
    assert_eq!(change("GRU, gaps jittered by σ 1.5"), 0.0);
    assert_eq!(change("GRU, 100 % of gaps shuffled"), 0.0);
    assert_ne!(change("GRU, 75 % of events lost"), 0.0);
    assert_ne!(change("RK4, 100 % of gaps shuffled"), 0.0);
    assert!(findings.facts.contains(&"GRU: jittering gaps changes nothing.".to_owned()));
    // As it is, a model is what it was when it was trained.
    let summary = inputs
        .store
        .list()
        .into_iter()
        .find_map(|entry| entry.summary.filter(|summary| summary.model == "rk4"));
    let plain = findings.row("RK4, as it is").unwrap().value("ndcg10").unwrap();
    assert_eq!(plain, summary.unwrap().ndcg10.mean);
    assert_eq!(findings.rows.len(), 2 * (1 + 3 * 4));
    assert_eq!(findings.figure.curves.len(), 2 * 3);
    assert!(findings.figure.curves.iter().all(|curve| curve.points[0][0] == 0.0));
    // Asked again, it finds the same.
    let again = perform(Experiment::Robustness, &inputs, &testing::quiet()).unwrap();
    assert_eq!(again.findings, result.findings);
}
