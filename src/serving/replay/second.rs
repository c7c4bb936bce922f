//! System 2 as a replay asks it: the mock at once, anyone else over its own road.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::answer::wanted;
use crate::data::split::Query;
use crate::jobs::Cancelled;
use crate::reasoning::{Mock, Reasoner, reasoner};
use crate::serving::{ServeError, ServedModel};
use crate::settings::{Config, ReasonerKind};

/// A cancelled replay stops waiting for an answer this soon.
const LOOK: Duration = Duration::from_millis(200);
/// How many items a reasoner is asked to choose: as many as HR@10 and NDCG@10 look at.
const COUNT: usize = 10;

/// Who is asked.
pub enum Second {
    /// Its ranking, without its waiting.
    Mock(Mock),
    Asked(Arc<dyn Reasoner>, tokio::runtime::Runtime),
}

/// One request as System 2 gets it.
pub struct Asked<'a> {
    pub query: &'a Query,
    pub items: &'a [u32],
    pub times: &'a [i64],
    /// System 1's best items and their probabilities, best first.
    pub candidates: &'a [(u32, f32)],
}

/// What became of it.
pub struct Answer {
    /// Candidates, best first.
    pub order: Vec<usize>,
    pub latency_ms: f64,
    pub tokens: [u64; 2],
    pub cost: f64,
    pub failed: bool,
}

impl Second {
    pub fn mock(model: &ServedModel, config: &Config) -> Self {
        Self::Mock(Mock::new(model.evidence.clone(), &config.reasoner))
    }

    /// Whoever `config` names.
    pub fn reasoner(model: &ServedModel, config: &Config) -> Result<Self, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let reasoner = reasoner(&config.reasoner, model.evidence.clone())?;
        Ok(Self::Asked(reasoner, runtime.map_err(ServeError::Thread)?))
    }

    pub fn kind(&self) -> ReasonerKind {
        match self {
            Self::Mock(_) => ReasonerKind::Mock,
            Self::Asked(reasoner, _) => reasoner.kind(),
        }
    }

    /// Whether an answer takes long enough to ask before each whether to go on.
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::Asked(..))
    }

    pub fn answer(
        &self,
        model: &ServedModel,
        asked: &Asked<'_>,
        go_on: &dyn Fn() -> Result<(), Cancelled>,
    ) -> Result<Answer, Cancelled> {
        let Asked { items, times, candidates, .. } = *asked;
        match self {
            Self::Mock(mock) => Ok(Answer {
                order: mock.rank(items, times, candidates),
                latency_ms: mock.latency(items).as_secs_f64() * 1e3,
                tokens: mock.tokens(items.len(), candidates.len()),
                cost: mock.cost(items.len(), candidates.len()),
                failed: false,
            }),
            Self::Asked(reasoner, runtime) => {
                let user = &model.data.user_ids[asked.query.user];
                let request = wanted(model, user, (items, times), candidates, COUNT);
                let begun = Instant::now();
                let result = runtime.block_on(async {
                    let mut answer = reasoner.reason(&request);
                    loop {
                        match tokio::time::timeout(LOOK, &mut answer).await {
                            Ok(result) => break Ok(result),
                            Err(_) => go_on()?,
                        }
                    }
                })?;
                let latency_ms = begun.elapsed().as_secs_f64() * 1e3;
                let (usage, chosen) = match &result {
                    Ok(reasoned) => (reasoned.usage.clone(), reasoned.ranking.as_slice()),
                    Err(error) => (error.usage(), &[][..]),
                };
                let mut order: Vec<usize> = chosen.iter().map(|one| one.candidate).collect();
                let rest = (0..candidates.len()).filter(|place| !order.contains(place));
                order.extend(rest.collect::<Vec<_>>());
                Ok(Answer {
                    order,
                    latency_ms,
                    tokens: [usage.prompt_tokens, usage.completion_tokens],
                    cost: usage.cost,
                    failed: result.is_err(),
                })
            }
        }
    }
}
