//! Slices: for whom a model is good: by how irregular a user's gaps are, how long the history is and
//! how popular the item asked for is.

use super::catalog::{About, Measured};
use super::subjects::Subjects;
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::data::Dataset;
use crate::data::split::{Query, Sequence};
use crate::evaluation::{Estimate, compare, holm, mean_metric};
use crate::figures::{Color, model_color};
use crate::jobs::Context;
use crate::runs::{model_title, p_text};
use crate::training::evaluate::per_query;

pub const ABOUT: About = About {
    word: "slices",
    title: "Slices of users",
    asks: "For which users and items is a model good: regular or irregular, new or old, rare or popular?",
    claim: "",
    source: "",
    preset: "experiment-studies",
    needs_run: true,
    takes: "seconds a run",
};

/// Parts of a slicing.
const PARTS: usize = 3;

/// A way to cut the queries.
struct Slicing {
    /// Names of its parts, by rising value.
    names: [&'static str; PARTS],
    /// What is cut by, in a few words, with its unit.
    by: &'static str,
    /// Of each query; none where it has no such value.
    values: Vec<Option<f64>>,
}

/// Queries of like value.
#[derive(Debug, PartialEq)]
struct Slice {
    part: usize,
    /// Least and greatest value.
    ends: [f64; 2],
    /// Places among the queries.
    queries: Vec<usize>,
}

/// HR@10 and NDCG@10 of a model or baseline, `[seed][query]`.
struct Judged {
    title: String,
    color: Color,
    hit: Vec<Vec<f64>>,
    ndcg: Vec<Vec<f64>>,
    is_model: bool,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let subjects = Subjects::load(inputs, context)?;
    let judged = judge(&subjects, context)?;
    Ok(Measured {
        findings: findings(&subjects, &judged),
        data: subjects.record(),
        run: Some(subjects.named.clone()),
        device: subjects.label.clone(),
        files: Vec::new(),
    })
}

fn judge(subjects: &Subjects, context: &Context<Event>) -> Result<Vec<Judged>, ExperimentError> {
    let split = &subjects.prepared.split;
    let mut judged = Vec::new();
    let mut done = 0;
    for model in &subjects.models {
        let (mut hit, mut ndcg) = (Vec::new(), Vec::new());
        for run in &model.seeds {
            let share = done as f32 / subjects.runs().max(1) as f32;
            context.progress(Some(share), format!("Ranking with {}", model.title));
            let ranks = subjects.ranks(run, &subjects.prepared.data, &split.test, context)?;
            let metrics = per_query(&ranks);
            hit.push(metrics.hit);
            ndcg.push(metrics.ndcg);
            done += 1;
        }
        let (title, color) = (model.title.clone(), model.color);
        judged.push(Judged { title, color, hit, ndcg, is_model: true });
    }
    for (baseline, ranks) in &subjects.prepared.baselines {
        let metrics = per_query(ranks);
        judged.push(Judged {
            title: model_title(baseline.word()),
            color: model_color(baseline.word()),
            hit: vec![metrics.hit],
            ndcg: vec![metrics.ndcg],
            is_model: false,
        });
    }
    Ok(judged)
}

fn slicings(data: &Dataset, queries: &[Query], counted: &[Sequence]) -> Vec<Slicing> {
    let mut taken = vec![0u32; data.items()];
    for part in counted {
        data.item[part.start..part.end].iter().for_each(|&item| taken[item as usize] += 1);
    }
    let popularity = |query: &Query| Some(f64::from(taken[data.item[query.target] as usize]));
    let length = |query: &Query| Some((query.target - data.offsets[query.user]) as f64);
    let irregularity = |query: &Query| variation(&data.time[query.start..query.target]);
    let of = |value: &dyn Fn(&Query) -> Option<f64>| queries.iter().map(value).collect();
    vec![
        Slicing {
            names: ["Regular gaps", "Middling gaps", "Irregular gaps"],
            by: "coefficient of variation of the gaps",
            values: of(&irregularity),
        },
        Slicing {
            names: ["Short history", "Middling history", "Long history"],
            by: "earlier events of the user",
            values: of(&length),
        },
        Slicing {
            names: ["Rare item", "Middling item", "Popular item"],
            by: "training events of the item asked for",
            values: of(&popularity),
        },
    ]
}

/// Standard deviation of the gaps over their mean: 0 where they are alike, about 1 where events
/// come by chance. `None` with fewer than two gaps, or where no time passes.
fn variation(times: &[i64]) -> Option<f64> {
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    if gaps.len() < 2 {
        return None;
    }
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    (mean > 0.0).then(|| variance.sqrt() / mean)
}

/// Tertiles. Equal values stay together, so that parts differ in size, and are fewer, where there
/// are many of them.
fn tertiles(values: &[Option<f64>]) -> Vec<Slice> {
    let mut known: Vec<(f64, usize)> =
        values.iter().enumerate().filter_map(|(place, value)| Some(((*value)?, place))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (n, mut start, mut slices) = (known.len(), 0, Vec::new());
    for part in 0..PARTS {
        let mut end = n * (part + 1) / PARTS;
        if end <= start {
            continue;
        }
        let last = known[end - 1].0;
        end += known[end..].iter().take_while(|(value, _)| *value == last).count();
        let members = &known[start..end];
        slices.push(Slice {
            part,
            ends: [members[0].0, last],
            queries: members.iter().map(|(_, place)| *place).collect(),
        });
        start = end;
    }
    slices
}

/// The values of some queries.
fn only(values: &[Vec<f64>], queries: &[usize]) -> Vec<Vec<f64>> {
    let chosen = |seed: &Vec<f64>| queries.iter().map(|&query| seed[query]).collect();
    values.iter().map(chosen).collect()
}

fn findings(subjects: &Subjects, judged: &[Judged]) -> Findings {
    let (data, split) = (&subjects.prepared.data, &subjects.prepared.split);
    let slicings = slicings(data, &split.test, &split.counted);
    let cut: Vec<Vec<Slice>> = slicings.iter().map(|one| tertiles(&one.values)).collect();
    let all: Vec<usize> = (0..split.test.len()).collect();
    let mut rows = vec![row("All queries".to_owned(), judged, &all)];
    let mut curves = Vec::new();
    let mut ticks = Vec::new();
    for (index, (slicing, slices)) in slicings.iter().zip(&cut).enumerate() {
        let at = |slice: &Slice| (index * (PARTS + 1) + slice.part) as f64;
        for slice in slices {
            let name = slicing.names[slice.part];
            let [low, high] = slice.ends.map(plain);
            let range = if low == high { low } else { format!("{low} … {high}") };
            rows.push(row(format!("{name} ({range})"), judged, &slice.queries));
            // The one in the middle has no room, and needs none, for more than that.
            let short = if slice.part == 1 { "Middling" } else { name };
            ticks.push((at(slice), short.to_owned()));
        }
        for one in judged {
            let of = |slice: &Slice| mean_metric(&only(&one.ndcg, &slice.queries));
            let estimates: Vec<(f64, Estimate)> =
                slices.iter().map(|slice| (at(slice), of(slice))).collect();
            let points = estimates.iter().map(|(at, of)| [*at, of.mean]).collect();
            let band = estimates.iter().map(|(_, of)| of.ci95.unwrap_or([of.mean; 2])).collect();
            let line = Curve::line(&one.title, one.color, points);
            curves.push(Curve { band: Some(band), ..line });
        }
    }
    let unknown = slicings[0].values.iter().filter(|value| value.is_none()).count();
    let columns = std::iter::once(Column::new("n", "Queries", Measure::Count))
        .chain(judged.iter().enumerate().map(|(place, one)| {
            Column::new(
                &format!("ndcg10_{place}"),
                &format!("NDCG@10, {}", one.title),
                Measure::Metric,
            )
        }))
        .chain(judged.iter().enumerate().map(|(place, one)| {
            Column::new(&format!("hr10_{place}"), &format!("HR@10, {}", one.title), Measure::Metric)
        }));
    let mut facts = pairs(judged, &slicings[0], &cut[0]);
    if unknown > 0 {
        facts.push(format!(
            "{unknown} queries have fewer than two gaps, or no time between their events, and are \
             in no slice of gaps."
        ));
    }
    Findings {
        headline: headline(judged, &slicings, &cut),
        columns: columns.collect(),
        rows,
        facts,
        figure: Figure {
            title: format!("NDCG@10 by slice: {}", subjects.text()),
            x: "slice: tertiles of the test queries".to_owned(),
            x_ticks: ticks,
            y: "NDCG@10 and its 95 % interval".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "{} test queries (protocol {}) of {}: {}, ranked again and cut into tertiles by {}; \
             equal values stay together. Gaps and events are those before the one asked for. 95 % \
             intervals are over the queries of a slice, clustered over seeds where there are \
             several.",
            split.test.len(),
            split.protocol.word(),
            subjects.named,
            subjects.text(),
            slicings.iter().map(|one| one.by).collect::<Vec<_>>().join("; by "),
        ),
        limits: "Slices overlap in cause: long histories are of users with other tastes, and popular \
                 items are asked for by other users. A difference between slices says where a model \
                 is good, not why. Nine slices are many looks: read the intervals."
            .to_owned(),
        ..Findings::default()
    }
}

fn row(name: String, judged: &[Judged], queries: &[usize]) -> Row {
    let mut row = Row::new(name).with("n", queries.len() as f64, None);
    for (place, one) in judged.iter().enumerate() {
        let (hit, ndcg) = (only(&one.hit, queries), only(&one.ndcg, queries));
        row = row
            .estimate(&format!("ndcg10_{place}"), &mean_metric(&ndcg))
            .estimate(&format!("hr10_{place}"), &mean_metric(&hit));
    }
    row
}

/// Each later model against the first, in every slice of gaps, paired.
fn pairs(judged: &[Judged], slicing: &Slicing, slices: &[Slice]) -> Vec<String> {
    let models: Vec<&Judged> = judged.iter().filter(|one| one.is_model).collect();
    let Some((first, others)) = models.split_first() else { return Vec::new() };
    let mut tested = Vec::new();
    for other in others {
        for slice in slices {
            let of = |one: &Judged| only(&one.ndcg, &slice.queries);
            tested.push((other, slice, compare(&of(other), &of(first))));
        }
    }
    let raw: Vec<f64> = tested.iter().map(|(.., one)| one.p.unwrap_or(1.0)).collect();
    let corrected = holm(&raw);
    tested
        .iter()
        .zip(corrected)
        .map(|((other, slice, one), p)| {
            format!(
                "{} − {}, {}: NDCG@10 {:+.4}{}, p {} after Holm's correction.",
                other.title,
                first.title,
                slicing.names[slice.part].to_lowercase(),
                one.delta,
                one.ci95.map_or(String::new(), |[low, high]| format!(" ({low:+.4} … {high:+.4})")),
                p_text(Some(p)),
            )
        })
        .collect()
}

/// The model with the best mean, and its best and worst slices.
fn headline(judged: &[Judged], slicings: &[Slicing], cut: &[Vec<Slice>]) -> String {
    let mean = |one: &Judged| mean_metric(&one.ndcg).mean;
    let models = judged.iter().filter(|one| one.is_model);
    let Some(best) = models.max_by(|a, b| mean(a).total_cmp(&mean(b))) else {
        return String::new();
    };
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for (slicing, slices) in slicings.iter().zip(cut) {
        for slice in slices {
            let estimate = mean_metric(&only(&best.ndcg, &slice.queries));
            scored.push((estimate.mean, slicing.names[slice.part]));
        }
    }
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    match (scored.first(), scored.last()) {
        (Some((low, worst)), Some((high, top))) => format!(
            "{} has NDCG@10 {:.4} over all queries: from {low:.4} ({}) to {high:.4} ({}).",
            best.title,
            mean(best),
            worst.to_lowercase(),
            top.to_lowercase(),
        ),
        _ => String::new(),
    }
}

/// A bound of a slice.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::subjects::testing;
    use crate::experiments::{Experiment, perform};

    #[test]
    fn tertiles_hold_every_known_query_once_and_keep_equal_values_together() {
        let values = [Some(1.0), None, Some(5.0), Some(2.0), Some(2.0), Some(2.0), Some(9.0)];
        let slices = tertiles(&values);
        let members: Vec<(usize, [f64; 2], Vec<usize>)> =
            slices.into_iter().map(|slice| (slice.part, slice.ends, slice.queries)).collect();
        // Six values: the first third would cut through the twos.
        assert_eq!(members[0], (0, [1.0, 2.0], vec![0, 3, 4, 5]));
        assert_eq!(members[1], (2, [5.0, 9.0], vec![2, 6]));
        assert_eq!(members.len(), 2);
        assert_eq!(tertiles(&[None, None]), []);
        let even: Vec<usize> = tertiles(&(0..9).map(|v| Some(f64::from(v))).collect::<Vec<_>>())
            .iter()
            .map(|slice| slice.queries.len())
            .collect();
        assert_eq!(even, [3, 3, 3]);
    }

    #[test]
    fn the_variation_of_known_gaps() {
        assert_eq!(variation(&[0, 10, 20, 30]), Some(0.0));
        // Gaps 1 and 3: mean 2, standard deviation 1.
        assert_eq!(variation(&[0, 1, 4]), Some(0.5));
        assert_eq!(variation(&[0, 5]), None);
        assert_eq!(variation(&[7, 7, 7]), None);
    }

    #[test]
    fn every_query_is_in_one_slice_of_each_kind_and_all_queries_are_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = testing::trained(folder.path(), "gru,rk4", 2);
        let result = perform(Experiment::Slices, &inputs, &testing::quiet()).unwrap();
        let findings = &result.findings;
        let n = |row: &Row| row.value("n").unwrap();
        let all = findings.row("All queries").unwrap();
        let of = |names: [&str; 3]| -> Vec<&Row> {
            let rows = findings.rows.iter();
            rows.filter(|row| names.iter().any(|name| row.name.starts_with(name))).collect()
        };
        for names in [
            ["Short history", "Middling history", "Long history"],
            ["Rare item", "Middling item", "Popular item"],
        ] {
            let slices = of(names);
            assert_eq!(slices.iter().map(|row| n(row)).sum::<f64>(), n(all), "{names:?}");
            // Slices put together are the whole.
            let whole: f64 =
                slices.iter().map(|row| n(row) * row.value("ndcg10_0").unwrap()).sum::<f64>();
            assert!((whole / n(all) - all.value("ndcg10_0").unwrap()).abs() < 1e-9);
        }
        let titles: Vec<&str> =
            findings.columns.iter().map(|column| column.title.as_str()).collect();
        assert_eq!(titles[1..4], ["NDCG@10, GRU", "NDCG@10, RK4", "NDCG@10, Popularity"]);
        // What is popular is what counting knows.
        let [rare, _, popular] = of(["Rare item", "Middling item", "Popular item"])[..] else {
            panic!("three slices")
        };
        assert_eq!(rare.value("ndcg10_2"), Some(0.0));
        assert!(popular.value("ndcg10_2").unwrap() > 0.0);
        assert_eq!(result.run.as_deref(), Some("studied"));
        assert_eq!(findings.figure.x_ticks.len(), 9);
        let svg = findings.figure.to_svg(crate::figures::Theme::Dark);
        assert!(svg.contains("Irregular gaps") && svg.matches(">RK4<").count() == 1, "named once");
    }
}
