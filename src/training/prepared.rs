//! What the runs of a plan share: filtered data, its split, the baselines' ranks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::TrainError;
use super::baselines::{Baseline, Counted};
use super::ceiling::Ceiling;
use super::evaluate::{excluded, per_query};
use crate::data::filter::filter;
use crate::data::split::{Query, Sequence, Split, split};
use crate::data::{Dataset, LoadError, import::ImportOptions, load};
use crate::dynamics::device;
use crate::dynamics::excitation::Timeline;
use crate::evaluation::{mean_metric, rank};
use crate::jobs::{Cancelled, Context};
use crate::runs::{BaselineRecord, DataRecord, RunSummary};
use crate::settings::{Config, ItemDynamics, ModelSettings, Protocol, Targets};

/// The name of the ceiling in tables and JSON.
const CEILING: &str = "ceiling";

/// Data ready to train on.
pub struct Prepared {
    pub data: Arc<Dataset>,
    pub split: Split,
    pub record: DataRecord,
    /// Ranks of the test targets under each baseline.
    pub baselines: Vec<(Baseline, Vec<u32>)>,
    /// Events of users that were left out, which item dynamics count as well: a user each.
    background: Vec<(Vec<u32>, Vec<i64>)>,
    timeline: OnceLock<Timeline>,
    mask_seen: bool,
    /// Once it was asked for.
    ceiling: Mutex<Option<BaselineRecord>>,
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

    /// Whether trainings with either settings see the same data, split and judged the same way.
    pub fn is_shared(one: &Config, other: &Config) -> bool {
        one.data == other.data
            && one.evaluation == other.evaluation
            && one.model.targets == other.model.targets
    }

    /// Load and check the data that a finished run was trained on.
    ///
    /// # Errors
    /// [`TrainError::DataGone`], [`TrainError::OtherData`], or as [`Self::load`].
    pub fn of_run<E>(summary: &RunSummary, context: &Context<E>) -> Result<Self, TrainError> {
        let run = &summary.run;
        let prepared = Self::load(&summary.config, context).map_err(|error| match error {
            TrainError::Load(LoadError::NoSuchSource { given, .. }) => {
                TrainError::DataGone { run: run.clone(), place: given }
            }
            error => error,
        })?;
        prepared.check(run, &summary.data.fingerprint)?;
        Ok(prepared)
    }

    /// Refuse data that `run`, whose data has this `fingerprint`, was not trained on.
    ///
    /// # Errors
    /// [`TrainError::OtherData`].
    pub fn check(&self, run: &str, fingerprint: &str) -> Result<(), TrainError> {
        if self.record.fingerprint == fingerprint {
            return Ok(());
        }
        Err(TrainError::OtherData {
            run: run.to_owned(),
            expected: fingerprint.to_owned(),
            found: self.record.fingerprint.clone(),
        })
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
        // DeepM3 has one window a user, whatever the targets.
        let last_windows = protocol == Protocol::Readme && !settings.whole_histories;
        let targets = if last_windows { Targets::Last } else { config.model.targets };
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
        let background = background(raw, &data, &split);
        Ok(Self {
            data: Arc::new(data),
            split,
            record,
            baselines,
            background,
            timeline: OnceLock::new(),
            mask_seen: config.evaluation.mask_seen,
            ceiling: Mutex::default(),
        })
    }

    /// The events that count, as item dynamics see them; made when they are first asked for, where
    /// `model` has item dynamics.
    pub fn timeline_for(&self, model: &ModelSettings) -> Option<&Timeline> {
        (model.item_dynamics != ItemDynamics::None).then(|| {
            let new = || Timeline::new(self.data.items(), self.known_histories());
            self.timeline.get_or_init(new)
        })
    }

    /// What may be counted before training: items and times of every user that has events.
    pub fn known_histories(&self) -> impl Iterator<Item = (&[u32], &[i64])> + Clone {
        let of = |part: &Sequence| {
            (&self.data.item[part.start..part.end], &self.data.time[part.start..part.end])
        };
        let background = self.background.iter();
        let others = background.map(|(items, times)| (items.as_slice(), times.as_slice()));
        self.split.counted.iter().map(of).chain(others)
    }

    /// The same to keep.
    pub fn take_timeline(&mut self, model: &ModelSettings) -> Option<Timeline> {
        self.timeline_for(model)?;
        self.timeline.take()
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
        let Some(truth) = &self.data.truth else { return Ok(None) };
        // Whoever comes meanwhile waits, and need not work it out again.
        let mut known = self.ceiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(Some(known.clone()));
        }
        context.progress(None, "Working out the ceiling");
        let data = &self.data;
        let judge = |query: &Query, scores: &[f32]| {
            let target = data.item[query.target] as usize;
            rank(scores, target, &excluded(data, query, self.mask_seen))
        };
        let control = context.control();
        let go_on = || control.checkpoint();
        let ceiling = Ceiling::new(truth);
        let ranks = ceiling.each(data, &self.split.test, device::cores(), judge, go_on)?;
        Ok(Some(known.insert(record(CEILING, &ranks)).clone()))
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

/// What users of `raw` that are not in `data` did with the items that are, as far as it may be known:
/// under the `temporal` protocol until training ends.
fn background(raw: &Dataset, data: &Dataset, split: &Split) -> Vec<(Vec<u32>, Vec<i64>)> {
    if raw.users() == data.users() {
        return Vec::new();
    }
    let items: HashMap<&str, u32> =
        data.item_ids.iter().enumerate().map(|(item, id)| (id.as_str(), item as u32)).collect();
    let users: HashSet<&str> = data.user_ids.iter().map(String::as_str).collect();
    let ends = split.counted.iter().filter_map(|part| data.time[part.start..part.end].last());
    let end = match split.protocol {
        Protocol::Temporal => ends.copied().max().unwrap_or(i64::MIN),
        Protocol::Readme | Protocol::LeaveOneOut => i64::MAX,
    };
    let others = (0..raw.users()).filter(|&user| !users.contains(raw.user_ids[user].as_str()));
    others
        .map(|user| {
            let history = raw.history(user);
            let events = history.item.iter().zip(history.time).filter(|event| *event.1 <= end);
            let known = |(&item, &time): (&u32, &i64)| {
                Some((*items.get(raw.item_ids[item as usize].as_str())?, time))
            };
            events.filter_map(known).unzip()
        })
        .filter(|(items, _): &(Vec<u32>, Vec<i64>)| !items.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::drift::{DriftOptions, drift};
    use crate::jobs::{Control, detached};

    #[test]
    fn whole_histories_are_trained_on_where_every_event_is_a_target() {
        let options = DriftOptions { users: 80, items: 30, ..DriftOptions::default() };
        let raw = drift(options, || Ok(())).unwrap();
        let context: Context<()> = detached(Control::default(), |_, _| ());
        let trained_on = |whole_histories: bool, targets: Targets| -> usize {
            let mut config = Config::default();
            config.evaluation.protocol = Protocol::Readme;
            config.data.max_len = 6;
            config.data.whole_histories = whole_histories;
            config.model.targets = targets;
            let split = Prepared::from_dataset(&raw, &config, &context).unwrap().split;
            split.train.iter().map(|part| part.end - part.start - 1).sum()
        };
        assert!(trained_on(true, Targets::All) > 2 * trained_on(false, Targets::All));
        assert_eq!(trained_on(true, Targets::Last), trained_on(false, Targets::Last));
    }
}
