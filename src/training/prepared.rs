//! What the runs of a plan share: filtered data, its split, the baselines' ranks.

use std::sync::{Arc, OnceLock};

use super::TrainError;
use super::baselines::{Baseline, Counted};
use super::ceiling::Ceiling;
use super::evaluate::{excluded, per_query};
use crate::data::filter::filter;
use crate::data::split::{Query, Split, split};
use crate::data::{Dataset, import::ImportOptions, load};
use crate::dynamics::device;
use crate::evaluation::{mean_metric, rank};
use crate::jobs::{Cancelled, Context};
use crate::runs::{BaselineRecord, DataRecord};
use crate::settings::{Config, Protocol, Targets};

/// The name of the ceiling in tables and JSON.
const CEILING: &str = "ceiling";

/// Data ready to train on.
pub struct Prepared {
    pub data: Arc<Dataset>,
    pub split: Split,
    pub record: DataRecord,
    /// Ranks of the test targets under each baseline.
    pub baselines: Vec<(Baseline, Vec<u32>)>,
    mask_seen: bool,
    /// Once it was asked for.
    ceiling: OnceLock<BaselineRecord>,
}

impl Prepared {
    /// Load, filter and split as `config` says.
    ///
    /// # Errors
    /// [`TrainError`] for a source that cannot be loaded or a split that leaves nothing.
    pub fn load<E>(config: &Config, context: &Context<E>) -> Result<Self, TrainError> {
        let options = ImportOptions::from_settings(&config.data)?;
        let raw = load(&config.data.source, &options, context)?;
        Self::from_dataset(&raw, config, context)
    }

    /// Filter and split data that is loaded already.
    ///
    /// # Errors
    /// [`TrainError::Split`] where a part would be empty, [`TrainError::Cancelled`].
    pub fn from_dataset<E>(
        raw: &Dataset,
        config: &Config,
        context: &Context<E>,
    ) -> Result<Self, TrainError> {
        context.progress(None, "Preparing the data");
        let settings = &config.data;
        let (min_user, min_item) = (settings.min_user_events, settings.min_item_events);
        let data = filter(raw, min_user, min_item, settings.k_core, || context.checkpoint())?;
        let protocol = config.evaluation.protocol;
        // The `readme` protocol has one window a user, whatever the targets.
        let targets =
            if protocol == Protocol::Readme { Targets::Last } else { config.model.targets };
        let split = split(&data, protocol, settings.max_len, targets)?;
        let record = DataRecord {
            name: data.name.clone(),
            users: data.users() as u64,
            items: data.items() as u64,
            events: data.events() as u64,
            fingerprint: data.fingerprint(|| context.checkpoint())?,
        };
        context.checkpoint()?;
        context.progress(None, "Counting the baselines");
        let mut baselines = Vec::new();
        for baseline in Baseline::ALL {
            let counted = Counted::new(baseline, &data, &split);
            let mut ranks = Vec::with_capacity(split.test.len());
            for (place, query) in split.test.iter().enumerate() {
                if place % 256 == 0 {
                    context.checkpoint()?;
                }
                let target = data.item[query.target] as usize;
                let seen = excluded(&data, query, config.evaluation.mask_seen);
                ranks.push(rank(&counted.scores(&data, query), target, &seen));
            }
            baselines.push((baseline, ranks));
        }
        Ok(Self {
            data: Arc::new(data),
            split,
            record,
            baselines,
            mask_seen: config.evaluation.mask_seen,
            ceiling: OnceLock::new(),
        })
    }

    /// The baselines' figures for a run's summary.
    pub fn baseline_records(&self) -> Vec<BaselineRecord> {
        self.baselines.iter().map(|(baseline, ranks)| record(baseline.word(), ranks)).collect()
    }

    /// How well the test queries can be answered at all, where it is known how the data was made;
    /// worked out when it is first asked for, about a second for the built-in set.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn ceiling<E>(&self, context: &Context<E>) -> Result<Option<BaselineRecord>, Cancelled> {
        if let Some(known) = self.ceiling.get() {
            return Ok(Some(known.clone()));
        }
        let Some(truth) = &self.data.truth else { return Ok(None) };
        let data = &self.data;
        let judge = |query: &Query, scores: &[f32]| {
            let target = data.item[query.target] as usize;
            rank(scores, target, &excluded(data, query, self.mask_seen))
        };
        let control = context.control();
        let go_on = || control.checkpoint();
        let ceiling = Ceiling::new(truth);
        let ranks = ceiling.each(data, &self.split.test, device::cores(), judge, go_on)?;
        Ok(Some(self.ceiling.get_or_init(|| record(CEILING, &ranks)).clone()))
    }
}

fn record(name: &str, ranks: &[u32]) -> BaselineRecord {
    let metrics = per_query(ranks);
    BaselineRecord {
        name: name.to_owned(),
        hr10: mean_metric(&[metrics.hit]),
        ndcg10: mean_metric(&[metrics.ndcg]),
    }
}
