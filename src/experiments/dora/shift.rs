//! A shift of domain: which events a source model may learn to predict, and which come later.

use crate::data::Dataset;
use crate::data::split::{Query, Sequence};
use crate::dynamics::batch::Batch;
use crate::dynamics::warp::TimeWarp;
use crate::experiments::ExperimentError;
use crate::settings::{AdapterSettings, DomainShift, ModelSettings};
use crate::training::Prepared;

/// The share of events that the target domain should have.
const TARGET_SHARE: f64 = 0.25;
/// Fewer test queries in a domain say nothing.
const FEWEST: usize = 20;

/// Two domains of one data set.
pub struct Shift {
    /// What the target domain is, for people.
    pub name: String,
    /// Whether each event is of the target domain, in the order of [`Dataset::item`].
    pub is_target: Vec<bool>,
    /// Test queries of the source and of the target domain.
    pub test: [Vec<Query>; 2],
}

impl Shift {
    /// As the settings say: a genre held out, the one they name or that nearest to a quarter of all
    /// events, or the last quarter of all events in time, which is all there is without genres.
    ///
    /// # Errors
    /// [`ExperimentError::Domain`] for a genre there is not, and where a domain has too few test
    /// queries.
    pub fn new(prepared: &Prepared, settings: &AdapterSettings) -> Result<Self, ExperimentError> {
        let (data, genre) = (&prepared.data, settings.genre.as_str());
        let by_time = settings.shift == DomainShift::Later;
        if !genre.is_empty() && (by_time || data.genres.is_empty()) {
            let why = if by_time { "the shift is in time" } else { "the data has no genres" };
            return Err(ExperimentError::Domain(why.to_owned()));
        }
        let (name, is_target) = match by_time || data.genres.is_empty() {
            true => later(data),
            false => held_out(data, genre)?,
        };
        let of = |domain: bool| -> Vec<Query> {
            let test = prepared.split.test.iter();
            test.filter(|query| is_target[query.target] == domain).copied().collect()
        };
        let test = [of(false), of(true)];
        if let Some(short) = test.iter().find(|queries| queries.len() < FEWEST) {
            return Err(ExperimentError::Domain(format!(
                "a domain has only {} test queries ({name})",
                short.len()
            )));
        }
        Ok(Self { name, is_target, test })
    }

    /// Training sequences with something to predict in a domain.
    pub fn sequences(&self, all: &[Sequence], target: bool) -> Vec<Sequence> {
        let has = |sequence: &&Sequence| {
            self.is_target[sequence.start + 1..sequence.end].contains(&target)
        };
        all.iter().filter(has).copied().collect()
    }

    /// Sequences as a batch whose targets are those of one domain; the histories are whole.
    pub fn batch(
        &self,
        data: &Dataset,
        sequences: &[Sequence],
        (rows, len): (usize, usize),
        model: &ModelSettings,
        target: bool,
    ) -> Batch {
        let mut batch = Batch::empty(rows, len);
        for (row, sequence) in sequences.iter().enumerate() {
            let last = sequence.end - 1;
            let (items, times) =
                (&data.item[sequence.start..last], &data.time[sequence.start..last]);
            batch.put(
                row,
                items,
                times,
                data.time[last],
                Some(data.item[last]),
                TimeWarp::of(model),
            );
            let kept = items.len().min(len);
            for place in 0..kept {
                // What comes after the event at this place.
                let next = last - (kept - 1 - place);
                if self.is_target[next] != target {
                    batch.targets[(len - kept + place) * rows + row] = 0;
                }
            }
        }
        batch
    }
}

fn held_out(data: &Dataset, genre: &str) -> Result<(String, Vec<bool>), ExperimentError> {
    let has = |item: u32, genre: u16| {
        data.meta.get(item as usize).is_some_and(|meta| meta.genres.contains(&genre))
    };
    let share = |genre: u16| {
        let count = data.item.iter().filter(|&&item| has(item, genre)).count();
        count as f64 / data.events().max(1) as f64
    };
    let all = || (0..data.genres.len() as u16).map(|genre| (genre, share(genre)));
    let chosen = if genre.is_empty() {
        let far = |share: f64| (share - TARGET_SHARE).abs();
        all().min_by(|(_, a), (_, b)| far(*a).total_cmp(&far(*b)))
    } else {
        all().find(|(index, _)| data.genres[usize::from(*index)].eq_ignore_ascii_case(genre))
    };
    let (index, share) = chosen.ok_or_else(|| {
        ExperimentError::Domain(format!(
            "`{genre}` is not a genre; there are {}",
            data.genres.join(", ")
        ))
    })?;
    let is_target = data.item.iter().map(|&item| has(item, index)).collect();
    let genre = &data.genres[usize::from(index)];
    Ok((format!("the genre {genre}, {:.0} % of all events", 100.0 * share), is_target))
}

fn later(data: &Dataset) -> (String, Vec<bool>) {
    let mut times = data.time.clone();
    times.sort_unstable();
    let place = ((times.len() as f64) * (1.0 - TARGET_SHARE)) as usize;
    let cut = times.get(place).copied().unwrap_or(i64::MAX);
    let is_target = data.time.iter().map(|&time| time >= cut).collect();
    ("the last quarter of all events in time".to_owned(), is_target)
}
