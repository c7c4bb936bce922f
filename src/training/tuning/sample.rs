//! Points of a space, drawn by a seed.

use std::collections::BTreeMap;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::settings::{Range, Space, Value};

/// A value for each setting of a space, by key.
pub type Point = BTreeMap<String, Value>;

/// Draws for one trial before a repeated point is accepted.
const TRIES: usize = 1000;

/// `trials` points of `space`, none of them twice. A trial's point depends on the seed and the
/// trials before it, not on how many follow. A space with fewer points is listed whole.
pub fn points(space: &Space, trials: usize, seed: u64) -> Vec<Point> {
    if space.points_below(trials + 1).is_some() {
        return every(space);
    }
    let mut points: Vec<Point> = Vec::with_capacity(trials);
    for trial in 0..trials {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(trial as u64);
        let mut drawn = point(space, &mut rng);
        for _ in 0..TRIES {
            if !points.contains(&drawn) {
                break;
            }
            drawn = point(space, &mut rng);
        }
        points.push(drawn);
    }
    points
}

fn point(space: &Space, rng: &mut impl Rng) -> Point {
    let value = |range: &Range, rng: &mut _| draw(range, rng);
    space.axes.iter().map(|axis| (axis.setting.key.to_owned(), value(&axis.range, rng))).collect()
}

fn draw(range: &Range, rng: &mut impl Rng) -> Value {
    match range {
        Range::Choices(values) => values[rng.random_range(0..values.len())].clone(),
        &Range::Integer { low, high, log: false } => Value::Integer(rng.random_range(low..=high)),
        &Range::Integer { low, high, log: true } => {
            // Each whole number as likely as the stretch of the logarithm up to the next one.
            let (from, to) = ((low as f64).ln(), ((high + 1) as f64).ln());
            let drawn = (from + (to - from) * rng.random::<f64>()).exp() as i64;
            Value::Integer(drawn.clamp(low, high))
        }
        &Range::Number { low, high, log } => {
            let share: f64 = rng.random();
            let drawn = if log {
                (low.ln() + (high.ln() - low.ln()) * share).exp()
            } else {
                low + (high - low) * share
            };
            Value::Number(readable(drawn).clamp(low, high))
        }
    }
}

/// To three significant figures: a preset is read by people, and no metric tells the rest apart.
fn readable(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Every point of a space of choices and whole numbers, the last axis fastest.
fn every(space: &Space) -> Vec<Point> {
    let mut points = vec![Point::new()];
    for axis in &space.axes {
        let values: Vec<Value> = match &axis.range {
            Range::Choices(values) => values.clone(),
            &Range::Integer { low, high, .. } => (low..=high).map(Value::Integer).collect(),
            // Has no end: such a space is drawn from.
            Range::Number { low, .. } => vec![Value::Number(*low)],
        };
        let with = |point: &Point, value: &Value| {
            let mut point = point.clone();
            point.insert(axis.setting.key.to_owned(), value.clone());
            point
        };
        points = points
            .iter()
            .flat_map(|point| values.iter().map(move |value| with(point, value)))
            .collect();
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Space {
        Space::parse(text).unwrap()
    }

    const TEXT: &str = "model.hidden=16|32, model.dropout=0.1..0.6, \
                        training.learning_rate=1e-4..1e-2 log, model.max_substeps=2..9, \
                        training.batch_size=8..512 log";

    #[test]
    fn every_value_lies_in_the_space() {
        for point in points(&space(TEXT), 500, 3) {
            assert!(matches!(point["model.hidden"], Value::Integer(16 | 32)));
            assert!(matches!(point["model.max_substeps"], Value::Integer(2..=9)));
            assert!(matches!(point["training.batch_size"], Value::Integer(8..=512)));
            let number = |key: &str| match point[key] {
                Value::Number(value) => value,
                ref other => panic!("{other:?}"),
            };
            assert!((0.1..=0.6).contains(&number("model.dropout")));
            assert!((1e-4..=1e-2).contains(&number("training.learning_rate")));
        }
    }

    #[test]
    fn a_logarithmic_range_is_even_in_the_logarithm_and_a_plain_one_in_the_value() {
        let points = points(&space(TEXT), 2000, 5);
        let below = |key: &str, middle: f64| {
            let small = points.iter().filter(|point| match point[key] {
                Value::Number(value) => value < middle,
                Value::Integer(value) => (value as f64) < middle,
                ref other => panic!("{other:?}"),
            });
            small.count() as f64 / points.len() as f64
        };
        // 2000 draws: one standard error of a half is 0.011.
        for (key, middle) in [
            ("training.learning_rate", 1e-3),
            ("model.dropout", 0.35),
            ("training.batch_size", 64.0),
        ] {
            let share = below(key, middle);
            assert!((share - 0.5).abs() < 0.05, "{key}: {share}");
        }
    }

    #[test]
    fn the_seed_decides_and_more_trials_change_none_of_those_before() {
        let space = space(TEXT);
        let few = points(&space, 5, 7);
        assert_eq!(few, points(&space, 9, 7)[..5]);
        assert_ne!(few, points(&space, 5, 8));
    }

    #[test]
    fn no_point_comes_twice_and_a_small_space_is_listed_whole() {
        let small = space("model.hidden=16|32, model.query_gap=on|off, model.max_substeps=1..3");
        let listed = points(&small, 50, 1);
        assert_eq!(listed.len(), 12);
        let drawn = points(&small, 11, 1);
        assert_eq!(drawn.len(), 11);
        for points in [listed, drawn] {
            for (place, point) in points.iter().enumerate() {
                assert!(!points[..place].contains(point), "{point:?}");
            }
        }
    }

    #[test]
    fn drawn_numbers_are_short() {
        for point in points(&space("model.dropout=0..0.5"), 50, 1) {
            assert!(point["model.dropout"].to_string().len() <= 8, "{point:?}");
        }
    }
}
