//! The finished models that a study asks again: one run, or all of a group, on the data they were
//! trained on.

use super::{Event, ExperimentError, Inputs};
use crate::data::Dataset;
use crate::data::split::Query;
use crate::dynamics::device;
use crate::dynamics::parameters::{self, Matrix};
use crate::figures::{Color, model_color};
use crate::jobs::Context;
use crate::runs::{DataRecord, Judged, RunEntry, RunState, RunSummary, groups, model_title};
use crate::serving::ServeError;
use crate::settings::{Config, Solver};
use crate::training::evaluate::{self, mask};
use crate::training::scorer::Scorer;
use crate::training::{Prepared, TrainError, checkpoint};

/// Fewer queries have intervals too wide to say anything.
const FEWEST: usize = 20;

/// Models over the same held-out queries.
pub struct Subjects {
    pub prepared: Prepared,
    pub models: Vec<Subject>,
    /// The run or group looked at, as it is stored with a result.
    pub named: String,
    /// The device they are scored on.
    pub label: String,
}

/// One model, trained with one seed or several.
pub struct Subject {
    /// For people: `RK4`, or with what else tells it from the others.
    pub title: String,
    pub color: Color,
    pub seeds: Vec<Trained>,
}

/// A finished run with its weights.
pub struct Trained {
    pub config: Config,
    pub weights: Vec<Matrix>,
}

impl Subjects {
    /// The runs that `inputs` names: a run, or a group by its name; where nothing is named the
    /// group of the newest run. Where none is finished, one is trained first, which is said.
    ///
    /// # Errors
    /// [`ExperimentError`] where there is none, its data is not what it was trained on, or too few
    /// queries are held out.
    pub fn load(inputs: &Inputs, context: &Context<Event>) -> Result<Self, ExperimentError> {
        let (named, entries) = chosen(inputs, context)?;
        context.progress(Some(0.0), "Loading the data");
        let first = summary_of(&entries[0])?.clone();
        let prepared = Prepared::of_run(&first, context)?;
        let found = prepared.split.test.len();
        if found < FEWEST {
            return Err(ExperimentError::TooFew { found, needed: FEWEST });
        }
        let mut models = Vec::new();
        let mut grouped = groups(&entries);
        // As they were created, for listings begin with the newest; and solvers in their own order.
        grouped.reverse();
        grouped.sort_by_key(|group| {
            let known = Solver::WORDS.iter().position(|word| *word == group.model);
            known.unwrap_or(usize::MAX)
        });
        for group in grouped {
            let mut seeds = Vec::new();
            for run in &group.runs {
                context.checkpoint()?;
                let entry = entries.iter().find(|entry| entry.id == *run);
                let Some(entry) = entry else { continue };
                let config = summary_of(entry)?.config.clone();
                let (weights, _) = checkpoint::decode(&inputs.store.model(run)?)?;
                let items = prepared.data.items();
                let fitted = parameters::fit(&config.model, items, weights);
                let weights = fitted.map_err(TrainError::from)?;
                seeds.push(Trained { config, weights });
            }
            let title = model_title(&group.model);
            models.push(Subject { title, color: model_color(&group.model), seeds });
        }
        name_apart(&mut models);
        let label = device::cpu().label();
        Ok(Self { prepared, models, named, label })
    }

    /// What they were measured on.
    pub fn record(&self) -> DataRecord {
        self.prepared.record.clone()
    }

    /// A run's model.
    pub fn scorer<'a>(&'a self, run: &'a Trained) -> Scorer<'a> {
        Scorer::of(&self.prepared, &run.config.model, &run.weights, device::cores())
    }

    /// Ranks of the targets of `queries` over `data`, which may be other than what the model was
    /// trained on as long as users, items and places of events are the same.
    pub fn ranks(
        &self,
        run: &Trained,
        data: &Dataset,
        queries: &[Query],
        context: &Context<Event>,
    ) -> Result<Vec<u32>, ExperimentError> {
        let scorer = self.scorer(run);
        let evaluation = &run.config.evaluation;
        Ok(evaluate::ranks(&scorer, data, queries, evaluation, || context.checkpoint())?)
    }

    /// What `take` makes of the scores of all items, for each query; items that are not ranked
    /// score −∞.
    pub fn each<T: Send>(
        &self,
        (run, scorer): (&Trained, &Scorer<'_>),
        queries: &[Query],
        context: &Context<Event>,
        take: impl Fn(&Query, &[f32]) -> T + Sync,
    ) -> Result<Vec<T>, ExperimentError> {
        let evaluation = &run.config.evaluation;
        let data = &self.prepared.data;
        let mut taken = Vec::with_capacity(queries.len());
        for chunk in queries.chunks(scorer.rows(evaluation.batch_size)) {
            context.checkpoint()?;
            taken.extend(scorer.each(data, chunk, |query, scores| {
                if !evaluation.mask_seen {
                    return take(query, scores);
                }
                let mut scores = scores.to_vec();
                mask(&mut scores, data, query, evaluation.mask_seen);
                take(query, &scores)
            }));
        }
        Ok(taken)
    }

    /// How many runs there are in all.
    pub fn runs(&self) -> usize {
        self.models.iter().map(|model| model.seeds.len()).sum()
    }

    /// The models in words, with their seeds.
    pub fn text(&self) -> String {
        let one = |model: &Subject| match model.seeds.len() {
            1 => model.title.clone(),
            n => format!("{} ({n} seeds)", model.title),
        };
        self.models.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// The runs looked at and what they are called. Never empty.
fn chosen(
    inputs: &Inputs,
    context: &Context<Event>,
) -> Result<(String, Vec<RunEntry>), ExperimentError> {
    let mut finished = inputs.store.list();
    finished.retain(|entry| entry.state == RunState::Done);
    let of = |group: &str| -> Vec<RunEntry> {
        let own = |entry: &&RunEntry| {
            entry.settings().is_some_and(|config| config.ablation.group == group)
        };
        finished.iter().filter(own).cloned().collect()
    };
    if let Some(named) = &inputs.run {
        let group = of(named);
        if !group.is_empty() {
            return Ok((named.clone(), alike(group, context)?));
        }
        let entry = inputs.run(context)?;
        return Ok((entry.id.clone(), vec![entry]));
    }
    let entry = inputs.run(context)?;
    let group = entry.settings().map(|config| config.ablation.group.clone()).unwrap_or_default();
    // A run that was trained just now is not in the listing.
    let members = if group.is_empty() { Vec::new() } else { of(&group) };
    if members.len() < 2 {
        return Ok((entry.id.clone(), vec![entry]));
    }
    Ok((group, alike(members, context)?))
}

/// Those that can be compared with the first: the same data, held-out queries and histories.
fn alike(
    entries: Vec<RunEntry>,
    context: &Context<Event>,
) -> Result<Vec<RunEntry>, ExperimentError> {
    let first = summary_of(&entries[0])?.clone();
    let mut left_out = 0;
    let mut kept = Vec::new();
    for entry in entries {
        let summary = summary_of(&entry)?;
        let same = Judged::of(&first).is_comparable(&Judged::of(summary))
            && summary.config.data.max_len == first.config.data.max_len;
        if same { kept.push(entry) } else { left_out += 1 }
    }
    if left_out > 0 {
        context.send(Event::Message(format!(
            "{left_out} runs of the group are left out: they saw other data or histories"
        )));
    }
    Ok(kept)
}

fn summary_of(entry: &RunEntry) -> Result<&RunSummary, ExperimentError> {
    let missing = || ServeError::NotFinished(entry.id.clone());
    Ok(entry.summary.as_ref().ok_or_else(missing)?)
}

/// Number the models that would share a name.
fn name_apart(models: &mut [Subject]) {
    let titles: Vec<String> = models.iter().map(|model| model.title.clone()).collect();
    for (place, model) in models.iter_mut().enumerate() {
        let alike = |other: &&String| **other == titles[place];
        if titles.iter().filter(alike).count() > 1 {
            let before = titles[..place].iter().filter(alike).count();
            model.title = format!("{} {}", titles[place], before + 1);
        }
    }
}

/// Small trained runs for the tests of studies.
#[cfg(test)]
pub mod testing {
    use std::path::Path;

    use super::*;
    use crate::dynamics::device::DeviceChoice;
    use crate::jobs::{Control, detached};
    use crate::runs::RunStore;
    use crate::training::{Plan, ablation};

    /// A context that tells nobody.
    pub fn quiet() -> Context<Event> {
        detached(Control::default(), |_, _| ())
    }

    /// A group of runs of `models` with `seeds` seeds each on the built-in set, to be looked at.
    pub fn trained(folder: &Path, models: &str, seeds: usize) -> Inputs {
        trained_with(folder, models, seeds, |_| ())
    }

    /// The same with other settings.
    pub fn trained_with(
        folder: &Path,
        models: &str,
        seeds: usize,
        change: impl FnOnce(&mut Config),
    ) -> Inputs {
        let mut config = Config::load("experiment-studies").unwrap();
        config.model.hidden = 8;
        config.training.epochs = 2;
        config.ablation.models = models.to_owned();
        config.ablation.seeds = seeds;
        config.ablation.group = "studied".to_owned();
        change(&mut config);
        let store = RunStore::open(Some(folder)).unwrap();
        let plan = Plan::from_config(&config, DeviceChoice::Cpu).unwrap();
        let context = detached(Control::default(), |_, _| ());
        let prepared = Prepared::load(&config, &context).unwrap();
        ablation::run(&plan, &prepared, &store, &context).unwrap();
        let run = Some("studied".to_owned());
        Inputs { store, run, config, device: DeviceChoice::Cpu }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_or_a_run_is_looked_at_as_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = testing::trained(folder.path(), "gru,rk4", 2);
        let load = |run: Option<String>| {
            Subjects::load(&Inputs { run, ..inputs.clone() }, &testing::quiet()).unwrap()
        };
        let group = load(Some("studied".to_owned()));
        assert_eq!(group.text(), "GRU (2 seeds), RK4 (2 seeds)");
        assert_eq!((group.runs(), group.named.as_str()), (4, "studied"));
        // Nothing named: the group of the newest run.
        assert_eq!(load(None).runs(), 4);
        let one = inputs.store.list()[0].id.clone();
        let alone = load(Some(one.clone()));
        assert_eq!((alone.runs(), alone.named), (1, one));
        let missing = Inputs { run: Some("nothing".to_owned()), ..inputs };
        assert!(Subjects::load(&missing, &testing::quiet()).is_err());
    }
}
