use std::sync::Mutex;

use super::dpo::{Pair, align, loss, pairs};
use super::imperfect::{Stream, example, join, prompt};
use super::judge::judge;
use super::*;
use crate::jobs::{Cancelled, Context, Control, detached};
use crate::language::answer::Answer;
use crate::language::files;
use crate::language::transformer::Transformer;
use crate::language::vocabulary::{END, encode};

/// Small enough for a test, in every respect.
fn small() -> AlignmentSettings {
    AlignmentSettings {
        width: 32,
        layers: 1,
        sft_steps: 30,
        sft_batch: 16,
        sft_rate: 5e-3,
        pair_prompts: 20,
        pair_samples: 6,
        dpo_steps: 4,
        dpo_batch: 6,
        held_out: 60,
        ..AlignmentSettings::default()
    }
}

fn quiet() -> Context<AlignmentEvent> {
    detached(Control::default(), |_, _| {})
}

#[test]
fn the_loss_and_its_slope_are_what_the_hand_works_out() {
    // −ln σ(m): ln 2 at 0; ln(1 + e⁻²) at 2; ln(1 + e²) at −2. Its slope is −σ(−m).
    for (margin, value, slope) in [
        (0.0, std::f64::consts::LN_2, -0.5),
        (2.0, 0.126_928_011_0, -0.119_202_922_0),
        (-2.0, 2.126_928_011_0, -0.880_797_078_0),
    ] {
        let (actual, actual_slope) = loss(margin);
        assert!((actual - value).abs() < 1e-9 && (actual_slope - slope).abs() < 1e-9, "{margin}");
    }
    assert_eq!(loss(1e4).0, 0.0);
    assert_eq!(loss(-1e4), (1e4, -1.0));
}

/// Two pairs: the right answer against no JSON.
fn two_pairs(settings: &AlignmentSettings) -> Vec<Pair> {
    let one = |place| {
        let (request, _) = prompt(settings, Stream::Pairs, place);
        let text = Answer::right(&request).text();
        let answer =
            |text: &str| join(request.tokens(), encode(text).unwrap().into_iter().chain([END]));
        Pair { chosen: answer(&text), rejected: answer(&text.replace('}', "]")) }
    };
    vec![one(0), one(1)]
}

#[test]
fn dpo_begins_at_the_reference_and_then_prefers_the_chosen() {
    let settings = AlignmentSettings { dpo_steps: 40, dpo_rate: 1e-3, beta: 0.5, ..small() };
    let model = Transformer::new(settings.shape(), 3);
    let mut curve = Vec::new();
    align(&settings, model, two_pairs(&settings), |point| {
        curve.push(point);
        Ok(())
    })
    .unwrap();
    let (first, last) = (curve[0], curve[39]);
    // Before the first step the model is its own reference: margin 0, loss ln 2, no preference.
    assert_eq!((first.margin, first.accuracy), (0.0, 0.5));
    assert!((first.loss - std::f64::consts::LN_2).abs() < 1e-9);
    assert!(last.accuracy == 1.0 && last.margin > 0.5 && last.loss < first.loss, "{last:?}");
    // The margin is what the definition says of the log-probabilities that are reported.
    let gained = (last.chosen - first.chosen) - (last.rejected - first.rejected);
    assert!((last.margin - settings.beta * gained).abs() < 1e-3, "{last:?} {gained}");
}

#[test]
fn pairs_are_the_models_own_answers_good_against_bad() {
    let settings = small();
    let model = Transformer::new(settings.shape(), 3);
    let (none, drawn) = pairs(&settings, &model, || Ok(())).unwrap();
    // A model that nobody trained says nothing good: nothing can be chosen.
    assert_eq!((none.len(), drawn.pairs, drawn.good), (0, 0, 0));
    assert_eq!((drawn.without_good, drawn.answers), (20, 120));
}

#[test]
fn an_untrained_model_scores_badly() {
    let settings = small();
    let model = Transformer::new(settings.shape(), 3);
    let row = judge(&settings, Contender::Sft, &model, || Ok(())).unwrap();
    assert!(row.json_errors.rate > 0.95 && row.good.count == 0, "{row:?}");
    assert_eq!(row.json_errors.n, 60);
    let held = judge(&settings, Contender::SftGrammar, &model, || Ok(())).unwrap();
    assert_eq!(held.json_errors.count, 0, "the grammar always parses");
    assert!(held.good.rate < 0.2 && held.override_failures.rate > 0.5, "{held:?}");
}

#[test]
fn fine_tuning_learns_and_is_the_same_every_time() {
    let train = || {
        let mut curve = Vec::new();
        let model = super::sft::train(&small(), |point| {
            curve.push(point.loss);
            Ok(())
        });
        (model.unwrap(), curve)
    };
    let ((first, curve), (second, _)) = (train(), train());
    assert_eq!(first.weights(), second.weights());
    assert!(curve[29] < 0.95 * curve[0], "{curve:?}");
}

/// Settings with which even the small model gives some good answers: all prompts are alike easy.
fn learnable() -> AlignmentSettings {
    AlignmentSettings { overrides: 0.3, sft_steps: 250, sft_batch: 32, temperature: 0.8, ..small() }
}

#[test]
fn a_stopped_experiment_goes_on_and_ends_as_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let settings = learnable();
    // Stop at the first step of DPO.
    let control = Control::default();
    let stop = control.clone();
    let context = detached(control, move |_, mut events| {
        if Iterator::any(&mut events, |event| matches!(event, AlignmentEvent::Dpo(_))) {
            stop.cancel();
        }
    });
    let stopped = run(&settings, dir.path(), &context);
    assert!(matches!(stopped, Err(AlignmentError::Cancelled(Cancelled))), "{stopped:?}");
    let resumed = run(&settings, dir.path(), &quiet()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let whole = run(&settings, other.path(), &quiet()).unwrap();
    assert!(resumed.resumed && !whole.resumed);
    let alike = |one: &Alignment| (one.rows.clone(), one.dpo.clone(), one.sft.clone(), one.drawn);
    assert_eq!(alike(&resumed), alike(&whole));
    let load = |dir: &std::path::Path| files::load(dir, files::ALIGNED).unwrap().0;
    assert_eq!(load(dir.path()).weights(), load(other.path()).weights());

    // Other settings do not take what is not theirs; nothing of this is read as a result.
    let mut changed = settings.clone();
    changed.seed += 1;
    assert!(!run(&changed, dir.path(), &quiet()).unwrap().resumed);

    let published = tempfile::tempdir().unwrap();
    publish(other.path(), published.path()).unwrap();
    assert_eq!(load(published.path()).weights(), load(other.path()).weights());
    let json = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Alignment>(&json).unwrap(), whole);
}

#[test]
fn events_tell_every_step_and_every_row() {
    let dir = tempfile::tempdir().unwrap();
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let context = detached(Control::default(), move |_, events| {
        kept.lock().unwrap().extend(events);
    });
    let result = run(&learnable(), dir.path(), &context).unwrap();
    let seen = seen.lock().unwrap();
    let count = |of: fn(&AlignmentEvent) -> bool| seen.iter().filter(|event| of(event)).count();
    assert_eq!(count(|event| matches!(event, AlignmentEvent::Sft(_))), 250);
    assert_eq!(count(|event| matches!(event, AlignmentEvent::Dpo(_))), 4);
    assert_eq!(count(|event| matches!(event, AlignmentEvent::MoreSft(_))), 4);
    assert_eq!(count(|event| matches!(event, AlignmentEvent::Row(_))), Contender::ALL.len());
    assert!(seen.contains(&AlignmentEvent::Drawn(result.drawn)));
    assert!(result.row(Contender::DpoGrammar).unwrap().json_errors.count == 0);
}

#[test]
fn settings_that_cannot_be_are_named() {
    let fault = |settings: AlignmentSettings| settings.fault().unwrap_or_default();
    assert_eq!(fault(AlignmentSettings::default()), "");
    assert!(fault(AlignmentSettings { width: 100, ..small() }).contains("width 100"));
    assert!(fault(AlignmentSettings { beta: f64::NAN, ..small() }).contains("beta"));
    assert!(fault(AlignmentSettings { held_out: 0, ..small() }).contains("held_out"));
    let flaws = Flaws { json: 0.9, ignored: 0.9, ..Flaws::default() };
    assert!(fault(AlignmentSettings { flaws, ..small() }).contains("together"));
    let dir = tempfile::tempdir().unwrap();
    let refused = run(&AlignmentSettings { layers: 0, ..small() }, dir.path(), &quiet());
    assert!(matches!(refused, Err(AlignmentError::Settings(_))));
}

#[test]
fn training_never_sees_a_held_out_template() {
    let settings = AlignmentSettings::default();
    for place in 0..2000 {
        for stream in [Stream::Sft, Stream::MoreSft, Stream::Pairs] {
            assert!(!prompt(&settings, stream, place).0.template.is_held_out());
        }
        assert!(prompt(&settings, Stream::HeldOut, place).0.template.is_held_out());
    }
    assert_ne!(example(&settings, Stream::Sft, 0), example(&settings, Stream::MoreSft, 0));
}

#[test]
#[ignore = "trains for minutes with the defaults and prints the table"]
fn the_defaults_reach_what_they_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let result = run(&AlignmentSettings::default(), dir.path(), &quiet()).unwrap();
    println!("{} parameters, {:?}, {:?}", result.parameters, result.seconds, result.drawn);
    for row in &result.rows {
        println!("{}", row.contender.title());
        for (name, share) in [
            ("JSON errors", row.json_errors),
            ("schema errors", row.schema_errors),
            ("override failures", row.override_failures),
            ("invented items", row.invented),
            ("all good", row.good),
            ("taste first", row.fits),
        ] {
            let Share { count, n, rate, low, high } = share;
            let [rate, low, high] = [rate, low, high].map(|share| 100.0 * share);
            println!("  {name:<18} {count:>4} of {n:>4}  {rate:6.2} % [{low:.2}, {high:.2}]");
        }
    }
    for point in result.dpo.iter().step_by(result.dpo.len().div_ceil(8)) {
        println!("{point:?}");
    }
    let of = |contender| result.row(contender).unwrap();
    let (sft, dpo) = (of(Contender::Sft), of(Contender::Dpo));
    assert!(sft.json_errors.rate >= 0.1 && sft.override_failures.rate >= 0.1, "{sft:?}");
    assert!(dpo.json_errors.high < sft.json_errors.low, "{dpo:?}");
    assert!(dpo.override_failures.high < sft.override_failures.low, "{dpo:?}");
}
