use super::*;
use crate::dynamics::device::DeviceChoice;
use crate::experiments::{Experiment, perform};
use crate::jobs::Control;

fn inputs(folder: &std::path::Path, words: &str) -> Inputs {
    let mut config = Config::load(ABOUT.preset).unwrap();
    config.model.hidden = 4;
    config.training.epochs = 2;
    config.training.parallel = 1;
    config.training.checkpoint_seconds = 0.0;
    config.ablation.seeds = 2;
    config.study.ingredients = words.to_owned();
    let store = RunStore::open(Some(folder)).unwrap();
    Inputs { store, run: None, config, device: DeviceChoice::Cpu }
}

fn quiet() -> Context<Event> {
    jobs::detached(Control::default(), |_, _| ())
}

/// Findings without what depends on the clock.
fn timeless(mut findings: Findings) -> Findings {
    for row in &mut findings.rows {
        row.cells.remove("train_seconds");
    }
    findings
}

#[test]
fn rows_are_compared_with_the_full_model_and_a_stopped_study_goes_on() {
    let words = "targets,gru,item-dynamics,sasrec";
    let folder = tempfile::tempdir().unwrap();
    let whole = perform(Experiment::Ingredients, &inputs(folder.path(), words), &quiet()).unwrap();
    let findings = timeless(whole.findings);
    let names: Vec<&str> = findings.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names[..2], [TITLE, "GRU instead of the flow"]);
    assert_eq!(names[2..4], ["Last event as only target", "SASRec"]);
    assert!(names[4..].contains(&"Popularity (baseline)") && names.len() == 8, "{names:?}");
    // The loss at one event a user teaches less than that at every event.
    let of = |name: &str, key: &str| findings.row(name).unwrap().value(key);
    let last = of("Last event as only target", "ndcg10").unwrap();
    assert!(last != of(TITLE, "ndcg10").unwrap());
    let change = of("Last event as only target", "change").unwrap();
    assert!((change - (last - of(TITLE, "ndcg10").unwrap())).abs() < 1e-12);
    assert!(of(TITLE, "change").is_none() && of("SASRec", "p").is_some());
    assert!(findings.facts.iter().any(|fact| fact.contains("none of: item-dynamics")));
    // A row for each model but the full one, which is at zero.
    assert_eq!((findings.figure.y_ticks.len(), findings.figure.curves.len()), (3, 4));

    let again = tempfile::tempdir().unwrap();
    let inputs = inputs(again.path(), words);
    let control = Control::default();
    let stop = control.clone();
    let trained = Mutex::new(0);
    // Stopped when the third training is done.
    let context = jobs::detached(control, move |_, events| {
        for event in events {
            if matches!(event, Event::Message(_)) {
                let mut trained = trained.lock().unwrap();
                *trained += 1;
                if *trained == 3 {
                    stop.cancel();
                }
            }
        }
    });
    assert!(perform(Experiment::Ingredients, &inputs, &context).unwrap_err().is_cancelled());
    let kept = || {
        let parts = again.path().join(".experiments/.parts");
        let part = parts.read_dir().unwrap().next().map(|part| part.unwrap().path().join("runs"));
        part.map(|runs| RunStore::open(Some(&runs)).unwrap().list())
    };
    let finished = kept().unwrap();
    assert_eq!(finished.iter().filter(|run| run.summary.is_some()).count(), 3);
    let resumed = perform(Experiment::Ingredients, &inputs, &quiet()).unwrap();
    assert_eq!(timeless(resumed.findings), findings);
    // Nothing is left of the trainings, and none is among the runs.
    assert!(kept().is_none());
    assert!(inputs.store.list().is_empty());
}

#[test]
fn what_does_not_go_together_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), "dropout,sasrec");
    inputs.config.model.heads = 3;
    inputs.config.ablation.seeds = 1;
    let findings = perform(Experiment::Ingredients, &inputs, &quiet()).unwrap().findings;
    assert!(findings.row("Without dropout").is_some() && findings.row("SASRec").is_none());
    let said = |fact: &String| fact.starts_with("SASRec is left out") && fact.contains("heads");
    assert!(findings.facts.iter().any(said), "{:?}", findings.facts);
}

#[test]
fn an_unknown_word_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let error = perform(Experiment::Ingredients, &inputs(folder.path(), "salt"), &quiet());
    assert!(error.unwrap_err().to_string().contains("`salt`"));
}

#[test]
fn the_headline_names_what_costs_most_and_counts_what_cannot_be_told() {
    let judged = |title: &str, kind, hits: usize| Judged {
        title: title.to_owned(),
        kind,
        color: model_color(""),
        hit: Vec::new(),
        ndcg: vec![(0..40).map(|query| f64::from(u8::from(query < hits))).collect()],
        seconds: None,
    };
    let rows = [
        judged(TITLE, Kind::Full, 30),
        judged("Without salt", Kind::Ingredient, 10),
        judged("Without sugar", Kind::Ingredient, 29),
        judged("Bread", Kind::Rival, 0),
    ];
    let compared = beside_the_full(&rows);
    let headline = headline(&rows, &compared);
    assert!(
        headline.starts_with("Costs most: Without salt (NDCG@10 -0.5000, p < 0.001)"),
        "{headline}"
    );
    assert!(headline.ends_with("no change: Without sugar."), "{headline}");
    let facts = facts(&rows, &compared);
    assert_eq!(facts[2], "The full model beats: Bread -0.7500.");
}
