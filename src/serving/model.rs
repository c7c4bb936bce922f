//! A finished run made ready to answer requests.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::ServeError;
use super::wire::AdapterOn;
use crate::data::Dataset;
use crate::data::split::{Query, Split};
use crate::dynamics::excitation::Timeline;
use crate::dynamics::packed::{PackedSystem1, Workspace};
use crate::dynamics::parameters::{self, Matrix};
use crate::evaluation::{Temperature, fit_temperature};
use crate::jobs::Context;
use crate::reasoning::Evidence;
use crate::routing::ItemGenres;
use crate::runs::{RunEntry, RunStore};
use crate::settings::Config;
use crate::training::adapter::AdapterFile;
use crate::training::evaluate::mask;
use crate::training::{Prepared, checkpoint, scorer};

/// Validation queries that the temperature is fitted on, at most.
const CALIBRATION_QUERIES: usize = 1000;
/// Rows scored at once where many are.
pub(super) const ROWS: usize = 32;

/// Refuse a run whose model has no state to go on from.
fn has_state(run: &str, config: &Config) -> Result<(), ServeError> {
    let solver = config.model.solver;
    if solver.is_attention() {
        return Err(ServeError::NoState { run: run.to_owned(), model: solver.title() });
    }
    Ok(())
}

/// A model with its catalogue, its calibration and System 2's evidence. Immutable.
pub struct ServedModel {
    /// Id of the run.
    pub run: String,
    pub config: Config,
    /// As trained, in the order of [`parameters`]: what an adapter is merged into.
    pub weights: Arc<Vec<Matrix>>,
    /// Merged into the weights that answer.
    pub adapter: Option<AdapterOn>,
    pub packed: PackedSystem1,
    pub data: Arc<Dataset>,
    pub split: Arc<Split>,
    /// Fitted on validation queries (Guo et al. 2017).
    pub temperature: Temperature,
    /// Counted over training events only.
    pub evidence: Arc<Evidence>,
    /// Item dynamics, where the model has them.
    timeline: Option<RwLock<Timeline>>,
    catalogue: Arc<Catalogue>,
}

/// What is looked up of items.
struct Catalogue {
    index: HashMap<String, u32>,
    genre_offsets: Vec<u32>,
    genres: Vec<u16>,
}

impl Catalogue {
    fn of(data: &Dataset) -> Self {
        let (mut genre_offsets, mut genres) = (vec![0u32], Vec::new());
        for item in 0..data.items() {
            if let Some(meta) = data.meta.get(item) {
                genres.extend_from_slice(&meta.genres);
            }
            genre_offsets.push(genres.len() as u32);
        }
        let ids = data.item_ids.iter().enumerate();
        let index = ids.map(|(item, id)| (id.clone(), item as u32)).collect();
        Self { index, genre_offsets, genres }
    }
}

/// What entropies are before a temperature was fitted.
fn uncalibrated() -> Temperature {
    Temperature { value: 1.0, nll_before: f64::NAN, nll_after: f64::NAN, queries: 0 }
}

impl ServedModel {
    /// Load the run `entry` and the data it was trained on.
    ///
    /// # Errors
    /// [`ServeError`] for an unfinished run, a model without a state, data that cannot be loaded or is not the run's, and
    /// weights that do not fit.
    pub fn load<E>(
        store: &RunStore,
        entry: &RunEntry,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let summary =
            entry.summary.as_ref().ok_or_else(|| ServeError::NotFinished(entry.id.clone()))?;
        has_state(&entry.id, &summary.config)?;
        let prepared = Prepared::of_run(summary, context)?;
        let (weights, _) = checkpoint::decode(&store.model(&entry.id)?)?;
        context.progress(None, "Calibrating");
        Self::new(&entry.id, &summary.config, weights, prepared, context)
    }

    /// From weights in memory and the data they were trained on.
    ///
    /// # Errors
    /// [`ServeError::NoState`], [`ServeError::Parameters`] where the weights do not fit, [`ServeError::Cancelled`].
    pub fn new<E>(
        run: &str,
        config: &Config,
        weights: Vec<parameters::Matrix>,
        mut prepared: Prepared,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        has_state(run, config)?;
        let timeline = prepared.take_timeline(&config.model).map(RwLock::new);
        let Prepared { data, split, .. } = prepared;
        let weights = parameters::fit(&config.model, data.items(), weights)?;
        let packed = PackedSystem1::new(&config.model, data.items(), &weights);
        let none: &[u16] = &[];
        let evidence = Evidence::build(
            data.items(),
            data.genres.clone(),
            |item| data.meta.get(item).map_or(none, |meta| &meta.genres),
            split
                .counted
                .iter()
                .map(|part| (&data.item[part.start..part.end], &data.time[part.start..part.end])),
        );
        context.checkpoint()?;
        let mut model = Self {
            run: run.to_owned(),
            config: config.clone(),
            weights: Arc::new(weights),
            adapter: None,
            packed,
            split: Arc::new(split),
            temperature: uncalibrated(),
            evidence: Arc::new(evidence),
            timeline,
            catalogue: Arc::new(Catalogue::of(&data)),
            data,
        };
        model.temperature = model.calibrate(context)?;
        Ok(model)
    }

    /// The same model with the adapter `bytes`, called `file` for people, merged into its weights
    /// and the temperature fitted anew; what adapter it has now does not matter.
    ///
    /// # Errors
    /// [`ServeError::Adapter`] for anything that is not an adapter of this run,
    /// [`ServeError::Cancelled`].
    pub fn adapted<E>(
        &self,
        file: &str,
        bytes: &[u8],
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let adapter = AdapterFile::decode(file, bytes, &self.config.model, &self.weights)?;
        self.answering_with(&adapter.merge(&self.weights), Some(AdapterOn::of(&adapter)), context)
    }

    /// The same model as it was trained, without an adapter.
    ///
    /// # Errors
    /// [`ServeError::Cancelled`].
    pub fn bare<E>(&self, context: &Context<E>) -> Result<Self, ServeError> {
        self.answering_with(&self.weights, None, context)
    }

    fn answering_with<E>(
        &self,
        weights: &[Matrix],
        adapter: Option<AdapterOn>,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let (settings, items) = (&self.config.model, self.data.items());
        // What is merged can be too large for a number.
        let weights = parameters::fit(settings, items, weights.to_vec())?;
        let mut model = Self {
            run: self.run.clone(),
            config: self.config.clone(),
            weights: self.weights.clone(),
            adapter,
            packed: PackedSystem1::new(settings, items, &weights),
            data: self.data.clone(),
            split: self.split.clone(),
            temperature: uncalibrated(),
            evidence: self.evidence.clone(),
            // Models with item dynamics take no adapters.
            timeline: None,
            catalogue: self.catalogue.clone(),
        };
        model.temperature = model.calibrate(context)?;
        Ok(model)
    }

    fn calibrate<E>(&self, context: &Context<E>) -> Result<Temperature, ServeError> {
        let every = self.split.valid.len().div_ceil(CALIBRATION_QUERIES).max(1);
        let queries: Vec<Query> = self.split.valid.iter().step_by(every).copied().collect();
        let mut scores = Vec::with_capacity(queries.len() * self.data.items());
        let mut workspace = self.packed.workspace();
        for chunk in queries.chunks(ROWS) {
            context.checkpoint()?;
            let mut own = self.score_queries(chunk, &mut workspace);
            // Answers, too, are of the items that compete.
            for (scores, query) in own.chunks_exact_mut(self.data.items()).zip(chunk) {
                mask(scores, &self.data, query, self.config.evaluation.mask_seen);
            }
            scores.append(&mut own);
        }
        let targets: Vec<u32> = queries.iter().map(|query| self.data.item[query.target]).collect();
        Ok(fit_temperature(&scores, self.data.items(), &targets))
    }

    /// Scores of all items for held-out queries, `[Q, N]`.
    pub fn score_queries(&self, queries: &[Query], workspace: &mut Workspace) -> Vec<f32> {
        let timeline = self.timeline();
        let of = (&self.config.model, timeline.as_deref());
        scorer::scores(&self.packed, of, &self.data, queries, workspace)
    }

    /// States that held-out queries are scored from, `[Q, H]`.
    pub fn query_states(&self, queries: &[Query], workspace: &mut Workspace) -> Vec<f32> {
        scorer::states(&self.packed, &self.config.model, &self.data, queries, workspace)
    }

    /// Whether it has item dynamics; asks nobody to wait.
    pub fn has_item_dynamics(&self) -> bool {
        self.timeline.is_some()
    }

    /// Item dynamics as they are now, held still.
    pub fn timeline(&self) -> Option<RwLockReadGuard<'_, Timeline>> {
        self.timeline
            .as_ref()
            .map(|timeline| timeline.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Change the item dynamics, where the model has them.
    pub fn with_timeline(&self, change: impl FnOnce(&mut Timeline)) {
        if let Some(timeline) = &self.timeline {
            change(&mut timeline.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The dense index of a catalogue id.
    pub fn item(&self, id: &str) -> Option<u32> {
        self.catalogue.index.get(id).copied()
    }

    /// Genres of all items.
    pub fn genres(&self) -> ItemGenres<'_> {
        ItemGenres {
            offsets: &self.catalogue.genre_offsets,
            genres: &self.catalogue.genres,
            count: self.data.genres.len(),
        }
    }

    /// Genres of one item.
    pub fn genres_of(&self, item: u32) -> &[u16] {
        self.data.meta.get(item as usize).map_or(&[], |meta| &meta.genres)
    }

    /// The item's title, where it has one of its own.
    pub fn title(&self, item: u32) -> Option<&str> {
        self.data.meta.get(item as usize).and_then(|meta| meta.title.as_deref())
    }
}
