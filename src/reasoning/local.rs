//! System 2 as the small aligned model of the alignment experiment: real generation on this
//! machine, without a key and without a network.
//!
//! It reads numbers and marks only: System 1's first candidates numbered from 1, each marked
//! whether it is of the genre that the user took most of late. Its numbers are turned back into
//! the catalogue's ids, and checked as any model's answer is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::answer;
use super::request::Reasoning;
use super::{
    BreakerState, BreakerView, Failure, ReasonError, ReasonRequest, Reasoned, Reasoner, Usage,
};
use crate::language::answer::{Answer, TOKENS};
use crate::language::decode::{Decoding, answers};
use crate::language::files::{self, ModelFileError};
use crate::language::request::{CANDIDATES, MOST, Override, Request, Template, USUAL};
use crate::language::transformer::Transformer;
use crate::language::vocabulary::decode;
use crate::language::{files::ALIGNED, request};
use crate::settings::{ReasonerKind, ReasonerSettings};

/// The model by name, where its answers are told of.
const NAME: &str = "the local model";
/// Last events whose genres count for the taste.
const EVENTS: usize = 10;
/// Best token first, and only what the schema allows: an answer is wanted, not variety.
const BEST: Decoding = Decoding { temperature: 0.0, grammar: true, seed: 0 };

/// The local reasoner.
#[derive(Debug)]
pub struct Local {
    model: Arc<Transformer>,
    genre_names: Arc<[String]>,
}

impl Local {
    /// Load the model from the folder that `settings` name, or from the default one.
    ///
    /// # Errors
    /// [`ReasonError::NoModel`] where there is none that can be used.
    pub fn new(
        settings: &ReasonerSettings,
        genre_names: Arc<[String]>,
    ) -> Result<Self, ReasonError> {
        let no_model = |reason: String| ReasonError::NoModel { reason };
        let folder = match settings.local_folder.as_str() {
            "" => files::default_folder()
                .ok_or_else(|| no_model("this system names no folder for data".to_owned()))?,
            named => PathBuf::from(named),
        };
        Self::load(&folder, genre_names).map_err(|error| no_model(error.to_string()))
    }

    fn load(folder: &Path, genre_names: Arc<[String]>) -> Result<Self, ModelFileError> {
        let (model, _) = files::load(folder, ALIGNED)?;
        if model.shape().context < request::TOKENS + TOKENS {
            let reason = "it reads too few tokens".to_owned();
            return Err(ModelFileError::Unusable { path: folder.to_owned(), reason });
        }
        Ok(Self { model: Arc::new(model), genre_names })
    }

    async fn ask(&self, asked: &ReasonRequest) -> Result<Reasoned, ReasonError> {
        let begun = Instant::now();
        if asked.count == 0 || asked.candidates.is_empty() {
            let steps = vec![("decision".to_owned(), "nothing to choose from".to_owned())];
            return Ok(Reasoned { ranking: Vec::new(), steps, usage: Usage::default() });
        }
        let taste = taste(asked);
        let request = put(asked, taste);
        let prompt = request.tokens();
        let prompt_tokens = prompt.len() as u64;
        let model = self.model.clone();
        // Some milliseconds of computing, which the threads that serve connections have no time for.
        let written = tokio::task::spawn_blocking(move || {
            answers(&model, &[prompt], 1, BEST, || Ok::<(), std::convert::Infallible>(()))
        });
        let failed = |reason: String, usage: Usage| ReasonError::Failed {
            failure: Failure::InvalidAnswer { host: NAME.to_owned(), reason },
            usage,
        };
        let written = match written.await {
            Ok(Ok(written)) => written,
            Ok(Err(never)) => match never {},
            Err(error) => return Err(failed(error.to_string(), Usage::default())),
        };
        let tokens: Vec<u16> = written.into_iter().flatten().flatten().collect();
        let text = decode(&tokens);
        let usage = |invented_items| Usage {
            prompt_tokens,
            completion_tokens: tokens.len() as u64,
            attempts: 1,
            invented_items,
            latency: begun.elapsed(),
            ..Usage::default()
        };
        let document = self
            .document(&text, asked, taste, &request)
            .map_err(|error| failed(error.to_string(), usage(0)))?;
        let checked = answer::check(&document, asked, NAME)
            .map_err(|(reason, invented)| failed(reason, usage(invented)))?;
        Ok(Reasoned {
            ranking: checked.ranking,
            steps: checked.steps,
            usage: usage(checked.invented),
        })
    }

    /// The model's answer with the catalogue's ids for its numbers, as the answer of any model.
    fn document(
        &self,
        text: &str,
        asked: &ReasonRequest,
        taste: Option<u16>,
        request: &Request,
    ) -> Result<String, serde_json::Error> {
        let answer: Answer = serde_json::from_str(text)?;
        let name = taste.and_then(|genre| self.genre_names.get(usize::from(genre)));
        let ranked = answer.items.iter().map(|&number| {
            let place = (number as usize).wrapping_sub(1);
            // A number that nobody offered stays one, and is found to be no candidate.
            let Some(candidate) =
                asked.candidates.get(place).filter(|_| place < request.candidates.len())
            else {
                return json!({ "id": format!("no. {number}"), "reason": "" });
            };
            let reason = match name {
                Some(name) if request.candidates[place] => {
                    format!("{name}, which you took most of late")
                }
                _ => format!("System 1's choice no. {number}"),
            };
            json!({ "id": candidate.id, "reason": reason })
        });
        let profile = match name {
            Some(name) => format!("mostly {name} of late"),
            None => "the history has no genres".to_owned(),
        };
        let evidence = format!("{NAME} was asked `{}` and wrote {text}", request.text());
        let ranking: Vec<_> = ranked.collect();
        serde_json::to_string(
            &json!({ "profile": profile, "evidence": evidence, "ranking": ranking }),
        )
    }
}

/// The genre that most of the last events have, of several the one taken last.
fn taste(asked: &ReasonRequest) -> Option<u16> {
    let recent = || asked.history.iter().rev().take(EVENTS);
    let count = |genre: u16| recent().filter(|seen| seen.genres.contains(&genre)).count();
    // Newest first, and the first of those alike.
    let genres = recent().flat_map(|seen| seen.genres.iter().copied());
    genres.reduce(|best, genre| if count(genre) > count(best) { genre } else { best })
}

/// The request in the model's words.
fn put(asked: &ReasonRequest, taste: Option<u16>) -> Request {
    let candidates: Vec<bool> = asked
        .candidates
        .iter()
        .take(*CANDIDATES.end())
        .map(|candidate| taste.is_some_and(|taste| candidate.genres.contains(&taste)))
        .collect();
    let count = asked.count.min(MOST).min(candidates.len());
    Request {
        candidates,
        asked: (count != USUAL).then_some(Override::Count(count)),
        template: Template::PLAIN,
    }
}

impl Reasoner for Local {
    fn kind(&self) -> ReasonerKind {
        ReasonerKind::Local
    }

    /// A score is the place alone, evenly spread from 1 downwards.
    fn reason<'a>(&'a self, request: &'a ReasonRequest) -> Reasoning<'a> {
        Box::pin(self.ask(request))
    }

    /// Nothing: it runs here.
    fn expected_cost(&self) -> f64 {
        0.0
    }

    /// Always closed: nothing here can be down.
    fn breaker(&self) -> BreakerView {
        BreakerView { state: BreakerState::Closed, failures: 0, retry_in: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::transformer::Shape;
    use crate::language::vocabulary;
    use crate::reasoning::{Candidate, Seen};

    fn asked(count: usize) -> ReasonRequest {
        let seen = |item: u32, genres: &[u16]| Seen {
            item,
            id: item.to_string(),
            title: None,
            genres: genres.to_vec(),
            time_ms: i64::from(item),
        };
        let candidate = |item: u32| Candidate {
            item,
            id: format!("film-{item}"),
            title: None,
            genres: vec![(item % 4) as u16],
            probability: 0.05,
        };
        ReasonRequest {
            user_id: "u".to_owned(),
            history: vec![seen(1, &[2]), seen(2, &[3, 1]), seen(3, &[0]), seen(4, &[1])],
            candidates: (0..20).map(candidate).collect(),
            count,
            within: None,
        }
    }

    fn names() -> Arc<[String]> {
        ["Drama", "Comedy", "Crime", "War"].map(str::to_owned).into()
    }

    /// A model that nobody trained, in a folder of its own.
    fn untrained() -> (tempfile::TempDir, ReasonerSettings) {
        let shape = Shape {
            vocabulary: vocabulary::SIZE,
            width: 16,
            layers: 1,
            heads: 2,
            feed: 8,
            context: request::TOKENS + TOKENS,
        };
        let dir = tempfile::tempdir().unwrap();
        let model = Transformer::new(shape, 1);
        files::save(dir.path(), ALIGNED, &model, serde_json::Value::Null).unwrap();
        let local_folder = dir.path().to_string_lossy().into_owned();
        (dir, ReasonerSettings { local_folder, ..ReasonerSettings::default() })
    }

    #[test]
    fn the_request_is_put_into_numbers_and_marks() {
        let request = put(&asked(5), taste(&asked(5)));
        // Genre 1 is the taste, twice in the history; candidates 2, 6 and 10 are of it.
        assert_eq!(taste(&asked(5)), Some(1));
        assert_eq!(request.best()[..3], [2, 6, 10]);
        assert_eq!(request.candidates.len(), *CANDIDATES.end());
        assert_eq!(request.asked, Some(Override::Count(MOST)));
        assert_eq!(put(&asked(3), None).asked, None);
        let nothing = ReasonRequest { history: Vec::new(), ..asked(3) };
        assert_eq!(taste(&nothing), None);
        assert!(put(&nothing, None).candidates.iter().all(|&liked| !liked));
    }

    #[test]
    fn numbers_become_the_catalogues_ids() {
        let (_dir, settings) = untrained();
        let local = Local::new(&settings, names()).unwrap();
        let asked = asked(3);
        let request = put(&asked, Some(1));
        let text = r#"{"items":[2,11,6],"why":"genre"}"#;
        let document = local.document(text, &asked, Some(1), &request).unwrap();
        let checked = answer::check(&document, &asked, NAME).unwrap();
        let chosen: Vec<usize> = checked.ranking.iter().map(|chosen| chosen.candidate).collect();
        // Number 11 was not offered, though there is an eleventh candidate; System 1 fills.
        assert_eq!((chosen, checked.invented), (vec![1, 5, 0], 1));
        assert_eq!(checked.ranking[0].reason, "Comedy, which you took most of late");
    }

    #[tokio::test]
    async fn an_untrained_model_answers_within_the_schema_and_is_checked() {
        let (_dir, settings) = untrained();
        let local = Local::new(&settings, names()).unwrap();
        assert_eq!(local.kind(), ReasonerKind::Local);
        // Whatever it says: candidates of ours, or a failure that says whose it is.
        match local.reason(&asked(4)).await {
            Ok(reasoned) => {
                assert_eq!(reasoned.ranking.len(), 4);
                assert!(!reasoned.usage.simulated && reasoned.usage.completion_tokens > 10);
                assert_eq!(reasoned.usage.cost, 0.0);
            }
            Err(ReasonError::Failed { failure, .. }) => {
                assert!(failure.to_string().contains(NAME), "{failure}");
            }
            Err(other) => panic!("{other}"),
        }
        let nothing = local.reason(&asked(0)).await.unwrap();
        assert!(nothing.ranking.is_empty());
    }

    #[test]
    fn without_a_model_the_message_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let local_folder = dir.path().to_string_lossy().into_owned();
        let settings = ReasonerSettings { local_folder, ..ReasonerSettings::default() };
        let error = Local::new(&settings, names()).unwrap_err();
        assert!(error.to_string().contains("deepm3 experiment alignment"), "{error}");
        assert_eq!(error.code(), "no_model");
    }
}
