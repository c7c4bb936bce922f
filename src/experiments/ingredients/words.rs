//! What the numbers say, in words and as a figure.

use super::{Compared, Judged, Kind, TITLE};
use crate::experiments::{Curve, Figure};
use crate::figures::Color;
use crate::runs::p_text;

/// Below this, a corrected p-value counts as a difference.
const LEVEL: f64 = 0.05;
/// So many that cannot be told apart are named in the headline, at most.
const NAMED: usize = 3;
const ZERO: Color = Color(0x8b, 0x93, 0xa1);

/// Whether a change cannot be luck.
fn is_sure(compared: &Compared) -> bool {
    compared.p.is_some_and(|p| p < LEVEL)
}

fn change_text(Compared { change, p }: &Compared) -> String {
    format!("NDCG@10 {:+.4}, p {}", change.delta, p_text(*p))
}

/// The ingredients that fulfil a condition, or the rivals and baselines, the most costly first.
fn ranked<'a>(
    judged: &'a [Judged],
    compared: &'a [Compared],
    ingredients: bool,
    is: &dyn Fn(&Compared) -> bool,
) -> Vec<(&'a Judged, &'a Compared)> {
    let others = judged.iter().skip(1).zip(compared);
    let of_these = |one: &Judged| (one.kind == Kind::Ingredient) == ingredients;
    let mut own: Vec<_> = others.filter(|(one, beside)| of_these(one) && is(beside)).collect();
    own.sort_by(|(_, a), (_, b)| a.change.delta.total_cmp(&b.change.delta));
    own
}

/// What costs most, and what cannot be told apart from no change.
pub fn headline(judged: &[Judged], compared: &[Compared]) -> String {
    let of = |is: &dyn Fn(&Compared) -> bool| ranked(judged, compared, true, is);
    let all = of(&|_| true).len();
    if all == 0 {
        return "The full model has none of the ingredients asked for.".to_owned();
    }
    let costly = of(&|beside| is_sure(beside) && beside.change.delta < 0.0);
    let better = of(&|beside| is_sure(beside) && beside.change.delta > 0.0);
    let unclear = of(&|beside| !is_sure(beside));
    let mut parts = Vec::new();
    match costly.split_first() {
        None => parts.push(format!("none of {all} changes costs quality that can be told")),
        Some(((worst, beside), others)) => {
            let more = match others.len() {
                0 => String::new(),
                n => format!("; {n} more of {all} changes cost quality"),
            };
            parts.push(format!("costs most: {} ({}){more}", worst.title, change_text(beside)));
        }
    }
    if (1..=NAMED).contains(&unclear.len()) {
        let names: Vec<&str> = unclear.iter().map(|(one, _)| one.title.as_str()).collect();
        parts.push(format!("not to be told apart from no change: {}", names.join(", ")));
    } else if !unclear.is_empty() {
        parts.push(format!("{} cannot be told apart from no change", unclear.len()));
    }
    if let Some((best, beside)) = better.last() {
        parts.push(format!("better than the full model: {} ({})", best.title, change_text(beside)));
    }
    let text = parts.join("; ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Every row, by what can be said of it.
pub fn facts(judged: &[Judged], compared: &[Compared]) -> Vec<String> {
    let list = |own: &[(&Judged, &Compared)]| {
        let parts =
            own.iter().map(|(one, beside)| format!("{} {:+.4}", one.title, beside.change.delta));
        parts.collect::<Vec<_>>().join(", ")
    };
    let of = |ingredients, is: &dyn Fn(&Compared) -> bool| {
        list(&ranked(judged, compared, ingredients, is))
    };
    let sentence =
        |begin: &str, names: String| (!names.is_empty()).then(|| format!("{begin}: {names}."));
    let costs = |beside: &Compared| is_sure(beside) && beside.change.delta < 0.0;
    let gains = |beside: &Compared| is_sure(beside) && beside.change.delta > 0.0;
    let unclear = |beside: &Compared| !is_sure(beside);
    [
        sentence("What costs NDCG@10", of(true, &costs)),
        sentence("Not to be told apart from no change", of(true, &unclear)),
        sentence("Better than the full model", of(true, &gains)),
        sentence("The full model beats", of(false, &costs)),
        sentence("It does not beat, as far as can be told", of(false, &unclear)),
        sentence("It is beaten by", of(false, &gains)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A line for each model: how far it is from the full one, which stands at 0. Baselines are so far off
/// that nothing else could be told.
pub fn figure(judged: &[Judged], compared: &[Compared], data: &str) -> Figure {
    let others = judged.iter().skip(1).zip(compared);
    let others: Vec<_> = others.filter(|(one, _)| one.kind != Kind::Baseline).collect();
    let height = |place: usize| -(place as f64);
    let last = height(others.len().saturating_sub(1));
    let zero = Curve::line(TITLE, ZERO, vec![[0.0, 0.6], [0.0, last - 0.6]]);
    let dots = others.iter().enumerate().map(|(place, (one, beside))| {
        let at = [beside.change.delta, height(place)];
        let dot = Curve::dot(&one.title, one.color, at, beside.change.ci95);
        // Named on the axis.
        Curve { labels: Some(vec![String::new()]), ..dot }
    });
    let names = others.iter().enumerate();
    Figure {
        title: match data {
            "" => "What each change does to NDCG@10".to_owned(),
            data => format!("What each change does to NDCG@10: {data}"),
        },
        x: "change in NDCG@10 and its 95 % interval".to_owned(),
        y_ticks: names.map(|(place, (one, _))| (height(place), one.title.clone())).collect(),
        curves: std::iter::once(zero).chain(dots).collect(),
        ..Figure::default()
    }
}
