use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn shape() -> Shape {
    Shape { vocabulary: 11, width: 16, layers: 2, heads: 2, feed: 24, context: 20 }
}

/// Weights that are all at work, the head among them.
fn model(seed: u64) -> Transformer {
    let mut model = Transformer::new(shape(), seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for value in &mut model.weights[HEAD] {
        *value = rng.random_range(-0.5..0.5);
    }
    model
}

fn examples() -> Vec<Example> {
    vec![
        Example { tokens: vec![1, 2, 3, 4, 5, 6, 7], answer: 4 },
        Example { tokens: vec![9, 8, 9], answer: 2 },
        Example { tokens: vec![0, 3, 10, 3, 0, 5, 5, 5, 1], answer: 1 },
    ]
}

fn forward(model: &Transformer, examples: &[Example]) -> Pass {
    let mut pass = Pass::default();
    pass.forward(model, examples);
    pass
}

/// The formulas once more, one token at a time in plain f64 loops: log-probabilities of the token
/// after each position.
fn by_the_book(model: &Transformer, tokens: &[u16]) -> Vec<Vec<f64>> {
    let Shape { vocabulary, width, layers, heads, feed, .. } = *model.shape();
    let head = width / heads;
    let times = |x: &[f64], place: usize, cols: usize, range: std::ops::Range<usize>| {
        let at = |row: usize, col: usize| f64::from(model.weights[place][row * cols + col]);
        let product = |col: usize| x.iter().enumerate().map(|(row, x)| x * at(row, col)).sum();
        range.map(product).collect::<Vec<f64>>()
    };
    let norm = |x: &[f64]| {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / width as f64;
        x.iter().map(|x| x / (mean + 1e-6).sqrt()).collect::<Vec<f64>>()
    };
    let turn = |x: &[f64], position: usize| {
        let mut turned = x.to_vec();
        for (place, value) in turned.iter_mut().enumerate() {
            let (first, pair) = (place / head * head, place % head % (head / 2));
            let angle = position as f64 * 10_000f64.powf(-2.0 * pair as f64 / head as f64);
            let (a, b) = (x[first + pair], x[first + pair + head / 2]);
            *value = if place % head < head / 2 {
                a * angle.cos() - b * angle.sin()
            } else {
                a * angle.sin() + b * angle.cos()
            };
        }
        turned
    };
    let embed = |&token: &u16| {
        let row = &model.weights[EMBEDDING][usize::from(token) * width..][..width];
        row.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>()
    };
    let mut xs: Vec<Vec<f64>> = tokens.iter().map(embed).collect();
    for layer in 0..layers {
        let place = |matrix| of_layer(layer, matrix);
        let normed: Vec<Vec<f64>> = xs.iter().map(|x| norm(x)).collect();
        let part = |part: usize| {
            let columns = part * width..(part + 1) * width;
            let all = normed.iter();
            all.map(|x| times(x, place(QUERY_KEY_VALUE), 3 * width, columns.clone()))
                .collect::<Vec<_>>()
        };
        let (q, k, v) = (part(0), part(1), part(2));
        for (position, x) in xs.iter_mut().enumerate() {
            let q = turn(&q[position], position);
            let mut mixed = vec![0.0; width];
            for first in (0..width).step_by(head) {
                let columns = first..first + head;
                let weights: Vec<f64> = (0..=position)
                    .map(|key| {
                        let k = turn(&k[key], key);
                        let score: f64 = columns.clone().map(|column| q[column] * k[column]).sum();
                        (score / (head as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for (weight, v) in weights.iter().zip(&v) {
                    columns.clone().for_each(|column| mixed[column] += weight / total * v[column]);
                }
            }
            let update = times(&mixed, place(MIX), width, 0..width);
            x.iter_mut().zip(update).for_each(|(x, update)| *x += update);
            let hidden = times(&norm(x), place(UP), feed, 0..feed);
            let active: Vec<f64> = hidden.iter().map(|x| x.max(0.0).powi(2)).collect();
            let update = times(&active, place(DOWN), width, 0..width);
            x.iter_mut().zip(update).for_each(|(x, update)| *x += update);
        }
    }
    xs.iter()
        .map(|x| {
            let scores = times(&norm(x), HEAD, vocabulary, 0..vocabulary);
            let total: f64 = scores.iter().map(|score| score.exp()).sum();
            scores.iter().map(|score| score - total.ln()).collect()
        })
        .collect()
}

#[test]
fn the_forward_pass_is_the_formulas() {
    let (model, examples) = (model(1), examples());
    let pass = forward(&model, &examples);
    let mut expected = Vec::new();
    for Example { tokens, answer } in &examples {
        let all = by_the_book(&model, tokens);
        expected.extend((*answer..tokens.len()).map(|at| all[at - 1][usize::from(tokens[at])]));
    }
    assert_eq!(pass.log_probabilities().len(), expected.len());
    for (actual, expected) in pass.log_probabilities().iter().zip(&expected) {
        assert!((f64::from(*actual) - expected).abs() < 1e-4, "{actual} {expected}");
    }
    let sums: Vec<f64> = pass.sums().collect();
    assert!((sums[0] - expected[..3].iter().sum::<f64>()).abs() < 1e-4);
    assert_eq!(pass.answers().collect::<Vec<_>>(), [3, 1, 8]);
}

#[test]
fn the_future_changes_nothing() {
    let model = model(2);
    let tokens = vec![1, 2, 3, 4, 5, 6, 7, 8];
    let whole = forward(&model, &[Example { tokens: tokens.clone(), answer: 1 }]);
    for changed in 2..tokens.len() {
        let mut other = tokens.clone();
        other[changed] = 0;
        let other = forward(&model, &[Example { tokens: other, answer: 1 }]);
        // Token `changed` is predicted at place changed − 1.
        let (before, after) = (&whole.log_probabilities()[..changed - 1], changed - 1);
        assert_eq!(before, &other.log_probabilities()[..changed - 1]);
        assert_ne!(whole.log_probabilities()[after..], other.log_probabilities()[after..]);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (mut model, examples) = (model(3), examples());
    let worth = |rows: usize| (0..rows).map(|row| 0.3 - 0.1 * row as f32).collect::<Vec<f32>>();
    let value = |model: &Transformer| {
        let pass = forward(model, &examples);
        let each = pass.log_probabilities();
        let worth = worth(each.len());
        each.iter().zip(&worth).map(|(one, worth)| f64::from(one * worth)).sum::<f64>()
    };
    let mut gradients = model.zeros();
    let mut pass = forward(&model, &examples);
    let rows = pass.log_probabilities().len();
    pass.backward(&model, &worth(rows), &mut gradients);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let names = shape().matrices();
    for (matrix, (name, _)) in names.iter().enumerate() {
        // A random direction: every entry of the gradient counts.
        let direction: Vec<f32> =
            gradients[matrix].iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        let along: f64 =
            gradients[matrix].iter().zip(&direction).map(|(a, b)| f64::from(a * b)).sum();
        let mut at = |step: f32| {
            let kept = model.weights[matrix].clone();
            let moved = model.weights[matrix].iter_mut().zip(&direction);
            moved.for_each(|(weight, direction)| *weight += step * direction);
            let value = value(&model);
            model.weights[matrix] = kept;
            value
        };
        let numeric = (at(2e-3) - at(-2e-3)) / 4e-3;
        assert!(
            (along - numeric).abs() < 0.01 * (1.0 + numeric.abs()),
            "{name}: {along} {numeric}"
        );
        assert!(along.abs() > 1e-3, "{name} is at work");
    }
    // Tokens that nobody wrote have no gradient.
    let unused = 7 * shape().width..8 * shape().width;
    assert!(gradients[EMBEDDING][unused].iter().all(|&one| one == 0.0));
}

#[test]
fn buffers_used_again_change_nothing_and_gradients_add_up() {
    let (model, examples) = (model(5), examples());
    let once = |pass: &mut Pass, gradients: &mut [Vec<f32>], examples: &[Example]| {
        pass.forward(&model, examples);
        let worth = vec![1.0; pass.log_probabilities().len()];
        pass.backward(&model, &worth, gradients);
    };
    let (mut fresh, mut reused) = (model.zeros(), model.zeros());
    once(&mut Pass::default(), &mut fresh, &examples[..1]);
    let mut pass = Pass::default();
    once(&mut pass, &mut model.zeros(), &examples);
    once(&mut pass, &mut reused, &examples[..1]);
    assert_eq!(fresh, reused);
    once(&mut pass, &mut reused, &examples[..1]);
    let doubled = |(a, b): (&f32, &f32)| (2.0 * a - b).abs() < 1e-4;
    assert!(fresh.iter().flatten().zip(reused.iter().flatten()).all(doubled));
}

#[test]
fn writing_with_kept_keys_is_the_full_forward_pass() {
    let model = model(6);
    let prompts: [&[u16]; 2] = [&[1, 2, 3, 4], &[9, 8]];
    let written: [&[u16]; 3] = [&[5, 6, 7], &[5, 1], &[10, 10, 2, 4]];
    let owners = [0, 1, 1];
    let prefixes = Prefixes::read(&model, &prompts);
    let mut writing = Writing::new(&model, &prefixes, owners.to_vec(), 4);
    let near = |scores: &[f32], expected: &[f64]| {
        let total: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
        for (score, expected) in scores.iter().zip(expected) {
            assert!((f64::from(*score) - total.ln() - expected).abs() < 1e-4);
        }
    };
    for (answer, owner) in owners.iter().enumerate() {
        let all = by_the_book(&model, prompts[*owner]);
        near(prefixes.first(&model, *owner), &all[prompts[*owner].len() - 1]);
        assert!(answer < written.len());
    }
    for step in 0..4 {
        let open: Vec<usize> = (0..3).filter(|&answer| step < written[answer].len()).collect();
        let tokens: Vec<u16> = open.iter().map(|&answer| written[answer][step]).collect();
        let scores = writing.step(&open, &tokens).to_vec();
        for (&answer, scores) in open.iter().zip(scores.chunks_exact(shape().vocabulary)) {
            let prompt = prompts[owners[answer]];
            let read = [prompt, &written[answer][..=step]].concat();
            near(scores, &by_the_book(&model, &read)[read.len() - 1]);
        }
    }
}

#[test]
fn weights_and_shapes_that_do_not_fit_are_refused() {
    let model = model(7);
    let weights = model.weights().to_vec();
    assert!(Transformer::from_weights(shape(), weights.clone()).is_some());
    assert!(Transformer::from_weights(Shape { feed: 25, ..shape() }, weights.clone()).is_none());
    assert!(Transformer::from_weights(Shape { heads: 3, ..shape() }, weights.clone()).is_none());
    let mut broken = weights;
    broken[0][0] = f32::NAN;
    assert!(Transformer::from_weights(shape(), broken).is_none());
    assert!(!Shape { layers: usize::MAX, ..shape() }.is_sound());
}
