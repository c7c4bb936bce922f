//! What came of it: numbers, JSON, and a table for a terminal.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::TrafficPlan;
use super::tally::Tally;
use crate::settings::TrafficPattern;

/// A median wait for a free connection of more than this is worth a word.
const LONG_DELAY_MS: f64 = 50.0;

/// How long answers took, in milliseconds, to three significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Answers measured.
    pub n: u64,
}

impl Latency {
    /// Of nanoseconds; `None` where nothing was measured.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
        (!histogram.is_empty()).then(|| Self {
            p50_ms: milliseconds(0.5),
            p90_ms: milliseconds(0.9),
            p99_ms: milliseconds(0.99),
            max_ms: milliseconds(1.0),
            n: histogram.len(),
        })
    }
}

/// The result of one run of traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrafficReport {
    pub target: String,
    pub pattern: TrafficPattern,
    pub seed: usize,
    /// Part of the names of this run's invented users, to find them in the impression log.
    pub run: String,
    /// The owner stopped it early.
    pub stopped: bool,
    /// Seconds from the first request to the last answer, at least the duration planned unless it
    /// was stopped; pauses left out.
    pub seconds: f64,
    /// Requests that filled the cache beforehand; counted nowhere else.
    pub warm_up: u64,
    pub sent: u64,
    /// Answered with a recommendation.
    pub completed: u64,
    pub failed: u64,
    /// Given up when it was stopped.
    pub abandoned: u64,
    /// Failures by code: `503 overloaded`, `401 unauthorized`, `timeout`, `cannot_connect`,
    /// `connection_lost`, `answer_too_long`, `invalid_answer`.
    pub failures: BTreeMap<String, u64>,
    /// Requests a second that were asked for.
    pub planned_rate: f64,
    /// Answers a second.
    pub rate: f64,
    /// Of all answers, from the moment a request was due (or, where connections were free, was
    /// sent) to the last byte of its answer. Failures have none.
    pub latency: Option<Latency>,
    /// The same by who served: `cache`, `fast_path`, `slow_path`.
    pub latency_by_path: BTreeMap<String, Latency>,
    /// From the moment a request was due to its sending: the timer's lateness, and the wait for a
    /// free connection.
    pub delay: Option<Latency>,
    /// Answers from the cache.
    pub hits: u64,
    /// Hits over answers, 0 to 1; `None` without answers.
    pub hit_rate: Option<f64>,
    /// Answers by the router's reason.
    pub reasons: BTreeMap<String, u64>,
    /// Answers that carry a warning.
    pub warned: u64,
    /// Bytes of bodies.
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

impl TrafficReport {
    pub(super) fn new(
        plan: &TrafficPlan,
        run: &str,
        tally: &Tally,
        elapsed: f64,
        stopped: bool,
    ) -> Self {
        let seconds = if stopped { elapsed } else { elapsed.max(plan.settings.seconds) };
        let by_path = tally.by_path.iter();
        let latency_by_path =
            by_path.filter_map(|(path, histogram)| Some((path.clone(), Latency::of(histogram)?)));
        let completed = tally.completed;
        Self {
            target: plan.target.clone(),
            pattern: plan.settings.pattern,
            seed: plan.settings.seed,
            run: run.to_owned(),
            stopped,
            seconds,
            warm_up: tally.warm_up,
            sent: tally.sent,
            completed,
            failed: tally.failed,
            abandoned: tally.in_flight(),
            failures: tally.failures.clone(),
            planned_rate: plan.settings.rate,
            rate: if seconds > 0.0 { completed as f64 / seconds } else { 0.0 },
            latency: Latency::of(&tally.latency),
            latency_by_path: latency_by_path.collect(),
            delay: Latency::of(&tally.delay),
            hits: tally.hits,
            hit_rate: (completed > 0).then(|| tally.hits as f64 / completed as f64),
            reasons: tally.reasons.clone(),
            warned: tally.warned,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
        }
    }

    /// What to do about what went wrong, a sentence each; empty where all went well.
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let failed = |prefix: &str| self.failures.keys().any(|code| code.starts_with(prefix));
        if failed("401") {
            advice
                .push("401: the server asks for a token; put the one it shows into DEEPM3_TOKEN.");
        }
        if failed("503") {
            advice.push(
                "503: the server had more requests at once than it takes; lower \
                 traffic.concurrency or raise server.concurrency.",
            );
        }
        if failed("cannot_connect") || failed("connection_lost") {
            advice.push("Connections were refused or lost: the server went off, see its messages.");
        }
        if failed("timeout") {
            advice.push("Some requests had no answer within a minute: the server is stuck.");
        }
        if self.delay.is_some_and(|delay| delay.p50_ms > LONG_DELAY_MS) {
            advice.push(
                "Requests waited for a free connection: the server cannot keep up with \
                 traffic.rate, or traffic.concurrency is too low for its latency.",
            );
        }
        advice.into_iter().map(str::to_owned).collect()
    }

    /// As aligned plain text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} traffic to {}, seed {}, run {}{}\n",
            self.pattern.word(),
            self.target,
            self.seed,
            self.run,
            if self.stopped { ", stopped early" } else { "" },
        );
        text.push_str(&format!(
            "{} sent in {:.1} s, {} answered ({:.1}/s of {}/s), {} failed",
            grouped(self.sent),
            self.seconds,
            grouped(self.completed),
            self.rate,
            self.planned_rate,
            grouped(self.failed),
        ));
        if self.abandoned > 0 {
            text.push_str(&format!(", {} given up", grouped(self.abandoned)));
        }
        let hit_rate =
            self.hit_rate.map_or_else(|| "n/a".to_owned(), |rate| format!("{:.2} %", rate * 100.0));
        text.push_str(&format!(
            "\nhit rate {hit_rate}, {} answers with warnings, {:.1} kB sent, {:.1} kB received\n\n",
            grouped(self.warned),
            self.bytes_sent as f64 / 1e3,
            self.bytes_received as f64 / 1e3,
        ));
        text.push_str(&table(&LATENCY_HEADINGS, &self.latency_rows()));
        let share = |(word, &count): (&String, &u64), of: u64| {
            let percent = 100.0 * count as f64 / of.max(1) as f64;
            vec![word.clone(), grouped(count), format!("{percent:.1} %")]
        };
        for (heading, counts, of) in [
            (["reason", "answers", "share"], &self.reasons, self.completed),
            (["failure", "requests", "share"], &self.failures, self.sent),
        ] {
            if !counts.is_empty() {
                let rows: Vec<_> = counts.iter().map(|entry| share(entry, of)).collect();
                text.push('\n');
                text.push_str(&table(&heading, &rows));
            }
        }
        for line in self.advice() {
            text.push_str(&format!("\n{line}"));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn latency_rows(&self) -> Vec<Vec<String>> {
        let all = self.latency.map(|latency| ("all answers", latency));
        let paths = self.latency_by_path.iter().map(|(path, &latency)| (path.as_str(), latency));
        let delay = self.delay.map(|delay| ("sent after due", delay));
        all.into_iter()
            .chain(paths)
            .chain(delay)
            .map(|(name, latency)| {
                let mut row = vec![name.to_owned(), grouped(latency.n)];
                let Latency { p50_ms, p90_ms, p99_ms, max_ms, n: _ } = latency;
                row.extend([p50_ms, p90_ms, p99_ms, max_ms].map(|ms| format!("{ms:.2}")));
                row
            })
            .collect()
    }
}

const LATENCY_HEADINGS: [&str; 6] = ["latency (ms)", "n", "p50", "p90", "p99", "max"];

/// A whole number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// First column to the left, numbers to the right.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let lines = || std::iter::once(&headings).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text.push_str(&match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(n: u64, p50_ms: f64) -> Latency {
        Latency { p50_ms, p90_ms: 2.0, p99_ms: 3.5, max_ms: 1234.5, n }
    }

    fn report() -> TrafficReport {
        let counts = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
            pairs.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
        };
        TrafficReport {
            target: "http://127.0.0.1:8000".to_owned(),
            pattern: TrafficPattern::Mixed,
            seed: 42,
            run: "0badcafe".to_owned(),
            stopped: false,
            seconds: 60.0,
            warm_up: 16,
            sent: 1_200,
            completed: 1_198,
            failed: 2,
            abandoned: 0,
            failures: counts(&[("401 unauthorized", 1), ("503 overloaded", 1)]),
            planned_rate: 20.0,
            rate: 19.97,
            latency: Some(latency(1_198, 0.64)),
            latency_by_path: BTreeMap::from([("cache".to_owned(), latency(599, 0.1))]),
            delay: Some(latency(1_200, 0.5)),
            hits: 599,
            hit_rate: Some(0.5),
            reasons: counts(&[("cache", 599), ("confident", 599)]),
            warned: 0,
            bytes_sent: 120_000,
            bytes_received: 1_500_000,
        }
    }

    #[test]
    fn the_text_is_a_table_with_advice() {
        let text = report().to_text();
        assert!(text.contains("1,200 sent in 60.0 s, 1,198 answered (20.0/s of 20/s), 2 failed"));
        assert!(text.contains("hit rate 50.00 %"), "{text}");
        let columns: Vec<usize> = text
            .lines()
            .filter(|line| line.starts_with("latency") || line.starts_with("all answers"))
            .map(|line| line.chars().count())
            .collect();
        assert_eq!(columns.len(), 2);
        assert_eq!(columns[0], columns[1], "{text}");
        assert!(text.contains("DEEPM3_TOKEN") && text.contains("server.concurrency"), "{text}");
        let slow = TrafficReport { delay: Some(latency(9, 80.0)), ..report() };
        assert!(slow.advice().iter().any(|line| line.contains("cannot keep up")));
    }

    #[test]
    fn nothing_answered_is_said_so() {
        let report = TrafficReport {
            completed: 0,
            hits: 0,
            hit_rate: None,
            latency: None,
            latency_by_path: BTreeMap::new(),
            delay: None,
            ..report()
        };
        assert!(report.to_text().contains("hit rate n/a"));
    }

    #[test]
    fn json_goes_there_and_back() {
        let json = serde_json::to_string(&report()).unwrap();
        assert_eq!(serde_json::from_str::<TrafficReport>(&json).unwrap(), report());
        assert!(json.contains(r#""pattern":"mixed""#));
    }

    #[test]
    fn thousands_are_grouped() {
        let text = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(text, ["0", "999", "1,000", "1,234,567"]);
    }
}
