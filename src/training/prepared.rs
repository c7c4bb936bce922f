//! What the runs of a plan share: filtered data, its split, the baselines' ranks.

use std::sync::Arc;

use super::TrainError;
use super::baselines::{Baseline, Counted};
use super::evaluate::per_query;
use crate::data::filter::filter;
use crate::data::split::{Split, split};
use crate::data::{Dataset, import::ImportOptions, load};
use crate::evaluation::mean_metric;
use crate::jobs::Context;
use crate::runs::{BaselineRecord, DataRecord};
use crate::settings::{Config, Protocol, Targets};

/// Data ready to train on.
pub struct Prepared {
    pub data: Arc<Dataset>,
    pub split: Split,
    pub record: DataRecord,
    /// Ranks of the test targets under each baseline.
    pub baselines: Vec<(Baseline, Vec<u32>)>,
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
            let (mask_seen, mut go_on) = (config.evaluation.mask_seen, || context.checkpoint());
            let counted = Counted::new(baseline, &data, &split, mask_seen, &mut go_on)?;
            let ranks = counted.ranks(&data, &split.test, mask_seen, &mut go_on)?;
            baselines.push((baseline, ranks));
        }
        Ok(Self { data: Arc::new(data), split, record, baselines })
    }

    /// The baselines' figures for a run's summary.
    pub fn baseline_records(&self) -> Vec<BaselineRecord> {
        self.baselines
            .iter()
            .map(|(baseline, ranks)| {
                let metrics = per_query(ranks);
                BaselineRecord {
                    name: baseline.word().to_owned(),
                    hr10: mean_metric(&[metrics.hit]),
                    ndcg10: mean_metric(&[metrics.ndcg]),
                }
            })
            .collect()
    }
}
