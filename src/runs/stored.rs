//! The table of runs that are in the store.

use super::{AblationTable, Judged, QueryRank, RunError, RunStore, RunSummary};

/// Where a baseline put the target of a query.
type RankOf = fn(&QueryRank) -> Option<u32>;

/// The baselines whose ranks are kept beside a model's.
const BASELINES: [(&str, RankOf); 4] = [
    ("popularity", |query| query.popularity),
    ("markov", |query| query.markov),
    ("recent", |query| query.recent),
    ("item-knn", |query| query.item_knn),
];

impl AblationTable {
    /// The table of finished runs, with the ranks of their test queries from `store`. Models come
    /// in the order of the solvers, as in a plan: runs of one plan are created within one second.
    ///
    /// # Errors
    /// [`RunError::Incomparable`] where they were not judged on the same data in the same way,
    /// [`RunError::NoRuns`] where there are none, [`RunError::Corrupt`] where ranks cannot be read.
    pub fn of_stored(store: &RunStore, summaries: &[RunSummary]) -> Result<Self, RunError> {
        let Some(first) = summaries.first() else {
            return Err(RunError::NoRuns { dir: store.dir().to_owned() });
        };
        let judged = Judged::of(first);
        for summary in summaries {
            if let Some(why) = judged.difference(&Judged::of(summary)) {
                return Err(RunError::Incomparable {
                    a: first.run.clone(),
                    b: summary.run.clone(),
                    why,
                });
            }
        }
        let mut summaries: Vec<&RunSummary> = summaries.iter().collect();
        summaries.sort_by_key(|summary| (summary.config.model.solver, summary.seed));
        let mut files = summaries
            .iter()
            .map(|summary| store.ranks(&summary.run))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(known) = files.iter().find(|file| !file.is_empty()).cloned() {
            // Ranks of other queries cannot be paired with these.
            for file in files.iter_mut().filter(|file| !same_queries(file, &known)) {
                file.clear();
            }
        }
        let baselines: Vec<(String, Vec<u32>)> = BASELINES
            .iter()
            .filter_map(|(name, of)| {
                let all = |file: &Vec<QueryRank>| file.iter().map(of).collect::<Option<Vec<u32>>>();
                let ranks = files.iter().filter(|file| !file.is_empty()).find_map(all)?;
                Some(((*name).to_owned(), ranks))
            })
            .collect();
        let runs: Vec<(RunSummary, Vec<u32>)> = summaries
            .iter()
            .zip(files)
            .map(|(summary, file)| {
                ((*summary).clone(), file.iter().map(|query| query.rank).collect())
            })
            .collect();
        let protocol = first.config.evaluation.protocol.word();
        Ok(Self::build(protocol, &first.data, &first.device, &runs, &baselines))
    }
}

/// Whether two files are of the same queries in the same order.
pub(super) fn same_queries(a: &[QueryRank], b: &[QueryRank]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.user == b.user && a.item == b.item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::record::sample;

    /// A finished run of 40 queries, each with rank `rank`, and popularity's where it is kept.
    fn add(store: &RunStore, model: &str, rank: u32, popularity: Option<u32>) -> RunSummary {
        let summary = sample("", model, 42);
        let mut run = store.create(model, &summary.config).unwrap();
        let queries: Vec<QueryRank> = (0..40)
            .map(|user| QueryRank {
                user: user.to_string(),
                item: "7".to_owned(),
                rank: rank + user % 3,
                popularity,
                ..Default::default()
            })
            .collect();
        run.write_ranks(&queries).unwrap();
        let summary = RunSummary { run: run.id().to_owned(), ..summary };
        run.write_summary(&summary).unwrap();
        summary
    }

    fn store() -> (tempfile::TempDir, RunStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(dir.path())).unwrap();
        (dir, store)
    }

    #[test]
    fn a_baseline_is_paired_with_the_ranks_that_any_run_kept() {
        let (_dir, store) = store();
        // The first run was written before baselines' ranks were kept.
        let runs = [add(&store, "gru", 2, None), add(&store, "rk4", 1, Some(5))];
        let table = AblationTable::of_stored(&store, &runs).unwrap();
        let against: Vec<_> =
            table.comparisons.iter().filter(|row| row.b == "popularity").collect();
        assert_eq!(against.len(), 4);
        assert!(against.iter().all(|row| row.paired), "{against:?}");

        let table = AblationTable::of_stored(&store, &runs[..1]).unwrap();
        assert!(!table.comparisons[0].paired);
    }

    #[test]
    fn ranks_of_other_queries_are_not_paired() {
        let (_dir, store) = store();
        let runs = [add(&store, "gru", 2, None), add(&store, "rk4", 1, None)];
        let path = store.dir().join(&runs[1].run).join("ranks.csv");
        let text = std::fs::read_to_string(&path).unwrap().replace(",7,", ",8,");
        std::fs::write(&path, text).unwrap();
        let table = AblationTable::of_stored(&store, &runs).unwrap();
        assert!(!table.comparisons[0].paired);
    }

    #[test]
    fn runs_judged_in_different_ways_are_refused() {
        let (_dir, store) = store();
        let runs = [add(&store, "gru", 2, None), add(&store, "rk4", 1, None)];
        for (setting, hint) in [
            ("evaluation.mask_seen=true", "mask_seen"),
            ("evaluation.protocol=temporal", "protocols"),
        ] {
            let mut runs = runs.clone();
            runs[1].config.set_text(setting).unwrap();
            let error = AblationTable::of_stored(&store, &runs).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert!(AblationTable::of_stored(&store, &[]).is_err());
    }
}
