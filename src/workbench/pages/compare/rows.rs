//! A line of the run table: one run, or several that differ only in their seed.

use crate::evaluation::Estimate;
use crate::runs::{Group, Judged, Origin, RunEntry, RunState};
use crate::settings::{Config, Solver};
use crate::workbench::format;

/// One line.
#[derive(Debug, Clone)]
pub struct Row {
    /// Ids of the runs behind it; the first names the line.
    pub runs: Vec<String>,
    pub seeds: Vec<u64>,
    pub solver: Option<Solver>,
    pub state: RunState,
    pub archived: bool,
    pub created: jiff::Timestamp,
    /// Id of the ablation, where there was one.
    pub group: Option<String>,
    pub data: String,
    /// Of a finished run: what its metrics were measured on.
    pub judged: Option<Judged>,
    pub device: String,
    /// Where the weights come from, where that is not a training as the settings say.
    pub origin: Option<Origin>,
    pub config: Option<Config>,
    pub hr10: Option<Estimate>,
    pub ndcg10: Option<Estimate>,
    /// NDCG@10 of the ceiling, where there is one.
    pub ceiling: Option<f64>,
    pub mrr: Option<f64>,
    pub valid_ndcg10: Option<f64>,
    pub train_loss: Option<f64>,
    pub epochs: Option<usize>,
    pub params: Option<u64>,
    pub train_seconds: Option<f64>,
    /// Medians in milliseconds: a batch of 64, and one request.
    pub latency: Option<(f64, f64)>,
    /// κ of the time warp, where it was learned; the mean of several runs, in days.
    pub time_scale_days: Option<f64>,
    /// Learned half-lives of the item intensities, in days; follow from the data alone, so that all
    /// seeds share them.
    pub half_lives_days: Option<Vec<f64>>,
}

impl Row {
    /// What names the line among all lines.
    pub fn key(&self) -> &str {
        self.runs.first().map_or("", String::as_str)
    }

    /// The model as people write it.
    pub fn title(&self) -> &'static str {
        self.solver.map_or("unreadable", Solver::title)
    }

    /// `42`, or `1–5` for seeds that follow each other, or `1, 7`.
    pub fn seed_text(&self) -> String {
        match self.seeds.as_slice() {
            [] => "–".to_owned(),
            [one] => one.to_string(),
            [first, .., last] if last - first + 1 == self.seeds.len() as u64 => {
                format!("{first}–{last}")
            }
            seeds => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    /// The state in a word or two.
    pub fn state_text(&self) -> String {
        let word = self.state.word();
        let merged = matches!(self.origin, Some(Origin::Merged { .. })).then_some("merged");
        let archived = self.archived.then_some("archived");
        [Some(word), merged, archived].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// When it was started, in UTC.
    pub fn created_text(&self) -> String {
        format::time(self.created.as_millisecond())
    }

    fn of_run(entry: &RunEntry) -> Self {
        let summary = entry.summary.as_ref();
        let config = entry.settings().cloned();
        let solver = config.as_ref().map(|config| config.model.solver);
        let group = config.as_ref().map(|config| config.ablation.group.clone());
        Self {
            runs: vec![entry.id.clone()],
            seeds: config.iter().map(|config| config.training.seed as u64).collect(),
            solver,
            state: entry.state.clone(),
            archived: entry.archived,
            created: entry.created,
            group: summary
                .and_then(|summary| summary.group.clone())
                .or(group)
                .filter(|group| !group.is_empty()),
            data: entry.data_name().unwrap_or_default().to_owned(),
            judged: summary.map(Judged::of),
            device: summary.map(|summary| summary.device.clone()).unwrap_or_default(),
            origin: summary.and_then(|summary| summary.origin.clone()),
            config,
            hr10: summary.map(|summary| summary.hr10),
            ndcg10: summary.map(|summary| summary.ndcg10),
            ceiling: summary
                .and_then(|summary| summary.ceiling.as_ref())
                .map(|ceiling| ceiling.ndcg10.mean),
            mrr: summary.map(|summary| summary.mrr),
            valid_ndcg10: summary.map(|summary| summary.valid_ndcg10),
            train_loss: summary.map(|summary| summary.train_loss),
            epochs: summary.map(|summary| summary.epochs),
            params: summary.map(|summary| summary.params),
            train_seconds: summary.map(|summary| summary.train_seconds),
            latency: summary
                .and_then(|summary| summary.latency.as_ref())
                .map(|latency| (latency.batch64.median_ms, latency.single.median_ms)),
            time_scale_days: summary.and_then(|summary| summary.time_scale_days),
            half_lives_days: summary.and_then(|summary| summary.half_lives_days.clone()),
        }
    }

    fn of_group(group: &Group, entries: &[RunEntry]) -> Option<Self> {
        let first = group.runs.first()?;
        let entry = entries.iter().find(|entry| entry.id == *first)?;
        let of_runs = entries.iter().filter(|entry| group.runs.contains(&entry.id));
        let scales: Vec<f64> =
            of_runs.filter_map(|entry| entry.summary.as_ref()?.time_scale_days).collect();
        Some(Self {
            runs: group.runs.clone(),
            seeds: group.seeds.clone(),
            hr10: Some(group.hr10),
            ndcg10: Some(group.ndcg10),
            mrr: Some(group.mrr),
            train_seconds: Some(group.train_seconds),
            latency: group
                .latency
                .as_ref()
                .map(|latency| (latency.batch64.median_ms, latency.single.median_ms)),
            time_scale_days: (!scales.is_empty())
                .then(|| scales.iter().sum::<f64>() / scales.len() as f64),
            // Of one seed each; no mean of them is kept.
            valid_ndcg10: None,
            train_loss: None,
            epochs: None,
            ..Self::of_run(entry)
        })
    }
}

/// One line a run.
pub fn of_runs(entries: &[RunEntry]) -> Vec<Row> {
    entries.iter().map(Row::of_run).collect()
}

/// One line a group of seeds; runs that are not finished keep a line of their own.
pub fn of_groups(entries: &[RunEntry], groups: &[Group]) -> Vec<Row> {
    let unfinished = entries.iter().filter(|entry| entry.summary.is_none()).map(Row::of_run);
    let grouped = groups.iter().filter_map(|group| Row::of_group(group, entries));
    unfinished.chain(grouped).collect()
}

/// The lines whose metrics compare with those of a run that was judged like this.
pub fn judged_like<'a>(rows: &'a [Row], judged: &Judged) -> Vec<&'a Row> {
    let like = |row: &&Row| row.judged.as_ref().is_some_and(|other| judged.is_comparable(other));
    rows.iter().filter(like).collect()
}

/// Whether the metrics of all `rows` compare with each other.
pub fn all_judged_alike(rows: &[&Row]) -> bool {
    let mut all = rows.iter().map(|row| row.judged.as_ref());
    let Some(Some(first)) = all.next() else { return false };
    all.all(|other| other.is_some_and(|other| first.is_comparable(other)))
}

/// A finished line on the built-in data, for tests.
#[cfg(test)]
pub fn sample(id: &str, solver: Solver) -> Row {
    let mut config = Config::default();
    config.model.solver = solver;
    Row {
        runs: vec![id.to_owned()],
        seeds: vec![42],
        solver: Some(solver),
        state: RunState::Done,
        archived: false,
        created: jiff::Timestamp::UNIX_EPOCH,
        group: None,
        data: "drift".to_owned(),
        judged: Some(Judged {
            data: "drift".to_owned(),
            fingerprint: "abc".to_owned(),
            protocol: config.evaluation.protocol,
            mask_seen: config.evaluation.mask_seen,
        }),
        device: "CPU".to_owned(),
        origin: None,
        config: Some(config),
        hr10: None,
        ndcg10: None,
        ceiling: None,
        mrr: None,
        valid_ndcg10: None,
        train_loss: None,
        epochs: None,
        params: None,
        train_seconds: None,
        latency: None,
        time_scale_days: None,
        half_lives_days: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Protocol;

    #[test]
    fn only_lines_that_were_judged_alike_share_a_plot() {
        let row = |id: &str, change: fn(&mut Judged)| {
            let mut row = sample(id, Solver::Rk4);
            row.judged.as_mut().map(change);
            row
        };
        let rows = [
            row("like", |_| {}),
            row("masked", |judged| judged.mask_seen = true),
            row("protocol", |judged| judged.protocol = Protocol::Temporal),
            row("same name", |judged| judged.fingerprint = "other".to_owned()),
            Row { judged: None, ..sample("unfinished", Solver::Rk4) },
            row("like too", |_| {}),
        ];
        let judged = rows[0].judged.clone().unwrap();
        let keys: Vec<&str> = judged_like(&rows, &judged).into_iter().map(Row::key).collect();
        assert_eq!(keys, ["like", "like too"]);
        let judged = rows[1].judged.clone().unwrap();
        let keys: Vec<&str> = judged_like(&rows, &judged).into_iter().map(Row::key).collect();
        assert_eq!(keys, ["masked"]);

        let alike = |keys: &[&str]| {
            let of = |key: &&str| rows.iter().find(|row| row.key() == *key).unwrap();
            all_judged_alike(&keys.iter().map(of).collect::<Vec<_>>())
        };
        assert!(alike(&["like", "like too"]) && alike(&["masked"]));
        assert!(!alike(&["like", "like too", "masked"]) && !alike(&["like", "same name"]));
        assert!(!alike(&["like", "unfinished"]) && !alike(&["unfinished"]) && !alike(&[]));
    }
}
