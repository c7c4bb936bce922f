//! Answers of a model to prompts: sampled or greedy, free or held to the grammar.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answer::TOKENS;
use super::grammar::Grammar;
use super::transformer::{Prefixes, Transformer, Writing};
use super::vocabulary::END;
use crate::dynamics::fused::pool;

/// Answers written at once on one thread: enough for large products.
const AT_ONCE: usize = 256;

/// How answers are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoding {
    /// Scores are divided by it; 0 takes the best token every time.
    pub temperature: f64,
    /// Only tokens that the schema allows.
    pub grammar: bool,
    pub seed: u64,
}

/// `samples` answers to each of `prompts`, as tokens; one that does not end is cut. `[prompts]`
/// of `[samples]`. What is drawn depends on the seed and the place of prompt and sample alone.
/// `tick` is asked now and then whether to go on; with its first error all stops.
///
/// # Errors
/// That of `tick`.
pub fn answers<E: Send>(
    model: &Transformer,
    prompts: &[Vec<u16>],
    samples: usize,
    how: Decoding,
    tick: impl Fn() -> Result<(), E> + Sync,
) -> Result<Vec<Vec<Vec<u16>>>, E> {
    let at_once = (AT_ONCE / samples.max(1)).max(1);
    let mut written: Vec<Result<Vec<Vec<Vec<u16>>>, E>> = Vec::new();
    written.resize_with(prompts.len().div_ceil(at_once), || Ok(Vec::new()));
    let tasks = prompts.chunks(at_once).zip(&mut written).enumerate().collect();
    pool::run(pool::threads(0), tasks, |(chunk, (prompts, out))| {
        let first = chunk * at_once;
        *out = tick().and_then(|()| write(model, prompts, first, samples, how, &tick));
    });
    let chunks: Result<Vec<_>, E> = written.into_iter().collect();
    Ok(chunks?.into_iter().flatten().collect())
}

struct Draft {
    tokens: Vec<u16>,
    grammar: Grammar,
    rng: ChaCha8Rng,
}

fn write<E>(
    model: &Transformer,
    prompts: &[Vec<u16>],
    first: usize,
    samples: usize,
    how: Decoding,
    tick: &impl Fn() -> Result<(), E>,
) -> Result<Vec<Vec<Vec<u16>>>, E> {
    let read: Vec<&[u16]> = prompts.iter().map(Vec::as_slice).collect();
    let prefixes = Prefixes::read(model, &read);
    let mut drafts: Vec<Draft> = (0..prompts.len() * samples)
        .map(|place| {
            let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
            // A stream of its own each.
            rng.set_stream((first * samples + place) as u64);
            Draft { tokens: Vec::new(), grammar: Grammar::START, rng }
        })
        .collect();
    let owners = (0..drafts.len()).map(|place| place / samples).collect();
    let mut writing = Writing::new(model, &prefixes, owners, TOKENS);
    let vocabulary = model.shape().vocabulary;
    for (place, draft) in drafts.iter_mut().enumerate() {
        draft.draw(prefixes.first(model, place / samples), how);
    }
    for _ in 1..TOKENS {
        let open: Vec<usize> =
            (0..drafts.len()).filter(|&place| !drafts[place].has_ended()).collect();
        if open.is_empty() {
            break;
        }
        tick()?;
        let last: Vec<u16> =
            open.iter().filter_map(|&p| drafts[p].tokens.last().copied()).collect();
        let scores = writing.step(&open, &last);
        for (&place, scores) in open.iter().zip(scores.chunks_exact(vocabulary)) {
            drafts[place].draw(scores, how);
        }
    }
    let mut tokens = drafts.into_iter().map(|draft| draft.tokens);
    Ok(prompts.iter().map(|_| tokens.by_ref().take(samples).collect()).collect())
}

impl Draft {
    fn has_ended(&self) -> bool {
        self.tokens.last() == Some(&END)
    }

    /// One more token by `scores`, logarithms up to a constant.
    fn draw(&mut self, scores: &[f32], how: Decoding) {
        let allowed = |token: usize| !how.grammar || self.grammar.allows(token as u16);
        let mut best = (0, f32::NEG_INFINITY);
        for (token, &score) in scores.iter().enumerate() {
            if allowed(token) && score >= best.1 {
                best = (token, score);
            }
        }
        let token = if how.temperature > 0.0 {
            let weight = |token: usize, score: f32| {
                let above = f64::from(score - best.1) / how.temperature;
                if allowed(token) { above.exp() } else { 0.0 }
            };
            let weights: Vec<f64> =
                scores.iter().enumerate().map(|(token, &score)| weight(token, score)).collect();
            let mut left = self.rng.random::<f64>() * weights.iter().sum::<f64>();
            let drawn = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            // Rounding may leave a rest.
            drawn.unwrap_or(best.0)
        } else {
            best.0
        };
        let token = token as u16;
        if how.grammar {
            self.grammar = self.grammar.after(token);
        }
        self.tokens.push(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::answer::Answer;
    use crate::language::request::Request;
    use crate::language::transformer::Shape;
    use crate::language::vocabulary::{SIZE, decode};

    /// A model whose head says something, and prompts for it.
    fn model_and_prompts() -> (Transformer, Vec<Vec<u16>>) {
        let shape =
            Shape { vocabulary: SIZE, width: 16, layers: 2, heads: 2, feed: 16, context: 90 };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut weights = Transformer::new(shape.clone(), 1).weights().to_vec();
        weights[1].iter_mut().for_each(|weight| *weight = rng.random_range(-0.5..0.5));
        let model = Transformer::from_weights(shape, weights).unwrap();
        let prompts = (0..300).map(|_| Request::random(&mut rng, false, 0.5).tokens());
        (model, prompts.collect())
    }

    fn write(
        model: &Transformer,
        prompts: &[Vec<u16>],
        samples: usize,
        how: Decoding,
    ) -> Vec<Vec<Vec<u16>>> {
        answers(model, prompts, samples, how, || Ok::<(), ()>(())).unwrap()
    }

    #[test]
    fn the_grammar_makes_any_model_parse_and_end() {
        let (model, prompts) = model_and_prompts();
        let how = Decoding { temperature: 1.5, grammar: true, seed: 3 };
        for answer in write(&model, &prompts, 2, how).iter().flatten() {
            assert_eq!(answer.last(), Some(&END));
            assert!(serde_json::from_str::<Answer>(&decode(answer)).is_ok());
        }
        let free = write(&model, &prompts, 1, Decoding { grammar: false, ..how });
        let parses = |answer: &Vec<u16>| serde_json::from_str::<Answer>(&decode(answer)).is_ok();
        assert!(!free.iter().flatten().any(parses), "this model knows no JSON of its own");
    }

    #[test]
    fn draws_depend_on_seed_and_place_alone() {
        let (model, prompts) = model_and_prompts();
        let how = Decoding { temperature: 1.0, grammar: false, seed: 4 };
        let all = write(&model, &prompts, 1, how);
        assert_eq!(all.len(), 300);
        // Fewer prompts are cut into other chunks.
        assert_eq!(write(&model, &prompts[..7], 1, how), all[..7]);
        assert_ne!(write(&model, &prompts[..7], 1, Decoding { seed: 5, ..how }), all[..7]);
        let greedy = Decoding { temperature: 0.0, ..how };
        let twice = write(&model, &prompts[..5], 2, greedy);
        assert!(twice.iter().all(|answers| answers[0] == answers[1]));
    }

    #[test]
    fn it_stops_when_told_to() {
        let (model, prompts) = model_and_prompts();
        let how = Decoding { temperature: 1.0, grammar: false, seed: 4 };
        assert_eq!(answers(&model, &prompts, 1, how, || Err("stop")), Err("stop"));
    }
}
