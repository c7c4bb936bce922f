use super::together::Together;
use super::{begin, factors};
use crate::data::Dataset;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::parameters::{self, Matrix};
use crate::jobs::{Cancelled, Context, Control, detached};
use crate::settings::Config;
use crate::training::Prepared;

/// Two circles of items; users stay within theirs.
fn circles() -> Vec<Vec<u32>> {
    let history = |user: u32| {
        let circle = 10 * (user % 2);
        (0..6).map(|place| circle + (user / 2 * 3 + place * place) % 10).collect()
    };
    (0..60).map(history).collect()
}

fn together(items: usize) -> Together {
    let histories = circles();
    Together::new(items, histories.iter().map(Vec::as_slice))
}

#[test]
fn information_is_worked_out_by_hand() {
    // Users of two items and of three; 1/log₂(2 + 2) = ½ a pair, 1/log₂(2 + 3) otherwise.
    let histories: [&[u32]; 3] = [&[0, 1], &[0, 1], &[0, 2, 1]];
    let together = Together::new(4, histories.into_iter());
    let third = 1.0 / 5f64.log2();
    let counts = [(0, 1, 1.0 + third), (0, 2, third), (1, 2, third)];
    let total = |item: u32| -> f64 {
        counts.iter().filter(|c| c.0 == item || c.1 == item).map(|c| c.2).sum()
    };
    let all: f64 = (0..3).map(|item| total(item).powf(0.75)).sum();
    for (one, other, count) in counts {
        let way = |a, b| (count * all / (total(a) * total(b).powf(0.75))).ln().max(0.0);
        let exact = 0.5 * (way(one, other) + way(other, one)) * count / (count + 1.0);
        for (item, other) in [(one, other), (other, one)] {
            let found = together.of(item as usize).iter().find(|entry| entry.0 == other);
            let found = found.map_or(0.0, |entry| f64::from(entry.1));
            assert!((found - exact).abs() < 1e-6, "{item} {other}: {found} {exact}");
        }
    }
    assert!(together.of(3).is_empty());
}

#[test]
fn with_room_for_all_the_factors_give_the_matrix_back_but_for_signs() {
    let (items, width) = (21, 24);
    let matrix = together(items);
    let factors = factors::of(&matrix, width, 1, || Ok(())).unwrap();
    let dense = |one: usize, other: usize| {
        let found = matrix.of(one).iter().find(|entry| entry.0 as usize == other);
        found.map_or(0.0, |entry| entry.1)
    };
    // E·Eᵀ = |M|, and so (E·Eᵀ)² = M².
    let row = |item: usize| &factors[item * width..][..width];
    let size = |one: usize, other: usize| -> f32 {
        row(one).iter().zip(row(other)).map(|(a, b)| a * b).sum()
    };
    for one in 0..items {
        for other in 0..items {
            let found: f32 = (0..items).map(|by| size(one, by) * size(by, other)).sum();
            let exact: f32 = (0..items).map(|by| dense(one, by) * dense(by, other)).sum();
            assert!((found - exact).abs() < 1e-2, "{one} {other}: {found} {exact}");
        }
    }
    assert!(row(20).iter().all(|&value| value == 0.0), "nobody chose it");
}

#[test]
fn items_that_share_users_are_near_and_a_seed_gives_the_same_again() {
    let (items, width) = (20, 4);
    let matrix = together(items);
    let factors = factors::of(&matrix, width, 1, || Ok(())).unwrap();
    let row = |item: usize| &factors[item * width..][..width];
    let cosine = |one: usize, other: usize| {
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        dot(row(one), row(other)) / (dot(row(one), row(one)) * dot(row(other), row(other))).sqrt()
    };
    let mean =
        |circle: usize| -> f32 { (1..10).map(|item| cosine(0, circle + item)).sum::<f32>() / 9.0 };
    assert!(mean(0) > mean(10) + 0.3, "{} {}", mean(0), mean(10));
    assert_eq!(factors, factors::of(&matrix, width, 1, || Ok(())).unwrap());
    assert_ne!(factors, factors::of(&matrix, width, 2, || Ok(())).unwrap());
}

fn config() -> Config {
    let mut config = Config::default();
    for setting in
        ["model.hidden=8", "evaluation.protocol=leave-one-out", "training.embedding=factors"]
    {
        config.set_text(setting).unwrap();
    }
    config
}

/// The parameters that a training on `raw` begins with.
fn begun(raw: &Dataset, config: &Config, control: Control) -> Result<Vec<Matrix>, Cancelled> {
    let context: Context<()> = detached(Control::default(), |_, _| ());
    let prepared = Prepared::from_dataset(raw, config, &context).unwrap();
    let mut parameters = parameters::initial(&config.model, prepared.data.items(), 1);
    let context: Context<()> = detached(control, |_, _| ());
    begin(&mut parameters, &prepared, &config.training, &context)?;
    Ok(parameters)
}

#[test]
fn a_training_begins_there_and_sees_no_target_of_test_or_validation() {
    let options = DriftOptions { users: 80, items: 30, ..DriftOptions::default() };
    let raw = drift(options, || Ok(())).unwrap();
    let (config, go) = (config(), Control::default);
    let with_factors = begun(&raw, &config, go()).unwrap();
    let mut other = config.clone();
    other.set_text("training.embedding=random").unwrap();
    let random = begun(&raw, &other, go()).unwrap();
    assert_ne!(with_factors[0], random[0]);
    assert_eq!(with_factors[1..], random[1..]);
    let rows = |all: &[Matrix]| all[0].values[8..].to_vec();
    assert_eq!(with_factors[0].values[..8], random[0].values[..8], "the padding");
    let size = |values: Vec<f32>| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let (ours, theirs) = (size(rows(&with_factors)), size(rows(&random)));
    assert!((ours - theirs).abs() < 1e-3 * theirs, "{ours} {theirs}");

    // Users exchange what only validation and test ask for.
    let exchanged = |back: usize| {
        let mut raw = raw.clone();
        let places: Vec<usize> = raw.offsets[1..].iter().map(|end| end - back).collect();
        let mut items: Vec<u32> = places.iter().map(|&place| raw.item[place]).collect();
        items.rotate_left(1);
        places.iter().zip(items).for_each(|(&place, item)| raw.item[place] = item);
        begun(&raw, &config, go()).unwrap()
    };
    assert_eq!(exchanged(1), with_factors);
    assert_eq!(exchanged(2), with_factors);
    assert_ne!(exchanged(3), with_factors);

    let stopped = go();
    stopped.cancel();
    assert!(begun(&raw, &config, stopped).is_err());
}
