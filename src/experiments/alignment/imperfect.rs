//! Fine-tuning data as it is in life: a known share of the answers is spoilt.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::settings::{AlignmentSettings, Flaws};
use crate::language::answer::Answer;
use crate::language::request::Request;
use crate::language::transformer::Example;
use crate::language::vocabulary::{END, encode};

/// Which prompts are drawn: each kind from random numbers of its own.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    Sft,
    MoreSft,
    Pairs,
    HeldOut,
}

/// The random numbers of one place of a stream.
pub fn numbers(seed: u64, stream: Stream, place: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((stream as u64) << 48) + place as u64);
    rng
}

/// The `place`-th prompt of a stream, and the numbers to go on with.
pub fn prompt(settings: &AlignmentSettings, stream: Stream, place: usize) -> (Request, ChaCha8Rng) {
    let mut rng = numbers(settings.seed, stream, place);
    let held_out = matches!(stream, Stream::HeldOut);
    (Request::random(&mut rng, held_out, settings.overrides), rng)
}

/// The `place`-th example of a stream.
pub fn example(settings: &AlignmentSettings, stream: Stream, place: usize) -> Example {
    let (request, mut rng) = prompt(settings, stream, place);
    let text = answer(&mut rng, &request, settings.flaws);
    let encoded = encode(&text).unwrap_or_else(|rest| panic!("`{rest}` has no token"));
    join(request.tokens(), encoded.into_iter().chain([END]))
}

/// A prompt's tokens and what was written to it, as an example.
pub fn join(mut tokens: Vec<u16>, written: impl IntoIterator<Item = u16>) -> Example {
    let answer = tokens.len();
    tokens.extend(written);
    Example { tokens, answer }
}

/// The right answer to `request`, or one with a flaw.
fn answer(rng: &mut impl Rng, request: &Request, flaws: Flaws) -> String {
    let mut answer = Answer::right(request);
    let mut luck = rng.random::<f64>();
    let mut falls = |share: f64| {
        luck -= share;
        luck < 0.0
    };
    if falls(flaws.json) {
        return broken(rng, &answer.text());
    }
    if falls(flaws.invented) && !answer.items.is_empty() {
        let place = rng.random_range(0..answer.items.len());
        answer.items[place] = rng.random_range(request.candidates.len() as u32 + 1..30);
        return answer.text();
    }
    if falls(flaws.schema) {
        return if answer.items.len() > 1 && rng.random_bool(0.5) {
            let last = answer.items.len() - 1;
            answer.items[last] = answer.items[last - 1];
            answer.text()
        } else {
            let text = answer.text();
            let end = text.find(",\"why\"").unwrap_or(text.len());
            format!("{}}}", &text[..end])
        };
    }
    if request.asked.is_some() && falls(flaws.ignored) {
        return Answer::right(&Request { asked: None, ..request.clone() }).text();
    }
    answer.text()
}

/// JSON broken in one of the ways in which models break it.
fn broken(rng: &mut impl Rng, text: &str) -> String {
    match rng.random_range(0..6) {
        // Cut short.
        0 => text[..text.len() - 1].to_owned(),
        1 => text.replace(']', ""),
        // A comma too many, or before nothing.
        2 => text.replace(']', ",]"),
        3 => text.replace('"', "'"),
        // Chatter before it.
        4 => format!("sure:{text}"),
        // A quotation mark forgotten.
        _ => text.replace("\"}", "}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::answer::Verdict;

    /// Verdicts on many answers with one kind of flaw alone, always.
    fn verdicts(flaws: Flaws) -> Vec<(Request, Verdict)> {
        let settings = AlignmentSettings { overrides: 1.0, ..AlignmentSettings::default() };
        (0..500)
            .map(|place| {
                let (request, mut rng) = prompt(&settings, Stream::Sft, place);
                let text = answer(&mut rng, &request, flaws);
                assert!(encode(&text).is_ok(), "{text}");
                (request.clone(), Verdict::of(&text, &request))
            })
            .collect()
    }

    const NONE: Flaws = Flaws { json: 0.0, invented: 0.0, schema: 0.0, ignored: 0.0 };

    #[test]
    fn each_flaw_is_what_the_strict_check_finds() {
        assert!(verdicts(NONE).iter().all(|(_, verdict)| verdict.good));
        let broken = verdicts(Flaws { json: 1.0, ..NONE });
        assert!(broken.iter().all(|(_, verdict)| !verdict.parses));
        let schema = verdicts(Flaws { schema: 1.0, ..NONE });
        assert!(schema.iter().all(|(_, verdict)| verdict.parses && !verdict.valid));
        let ignored = verdicts(Flaws { ignored: 1.0, ..NONE });
        assert!(ignored.iter().all(|(_, verdict)| verdict.valid && verdict.obeys == Some(false)));
        let invented = verdicts(Flaws { invented: 1.0, ..NONE });
        for (request, verdict) in invented {
            assert!(verdict.invents == Some(request.count() > 0), "{request:?}");
        }
    }

    #[test]
    fn examples_are_the_same_every_time_and_differ_by_place() {
        let settings = AlignmentSettings::default();
        let one = |place| example(&settings, Stream::Sft, place);
        assert_eq!(one(3), one(3));
        assert_ne!(one(3), one(4));
        assert!(one(3).tokens.len() <= settings.shape().context);
    }
}
