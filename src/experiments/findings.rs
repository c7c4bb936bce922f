//! What an experiment finds, in one shape for all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluation::Estimate;
use crate::figures::{Axis, Chart, Color, Kind, Parallel, Series, Theme};

/// The result of an experiment, before it is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The answer in one sentence, with its numbers.
    pub headline: String,
    /// What of it is simulated and not measured; empty where nothing is.
    pub simulated: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// What else was found, a sentence each.
    pub facts: Vec<String>,
    pub figure: Figure,
    /// How it was measured.
    pub method: String,
    /// What it does not show.
    pub limits: String,
    /// Settings that were found to be good, by key; empty where none were looked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub found: BTreeMap<String, crate::settings::Value>,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// In JSON and CSV.
    pub key: String,
    /// For people, with its unit.
    pub title: String,
    pub measure: Measure,
}

/// How the numbers of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// In 0..=1, four places.
    Metric,
    /// A share in 0..=1, written in percent.
    Share,
    /// About three significant figures.
    Number,
    Count,
    /// A p-value.
    Chance,
}

/// A row of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// By the key of their column; a cell without a value is absent.
    pub cells: BTreeMap<String, Value>,
    /// What the original's README claims of it; empty where it claims nothing.
    #[serde(default)]
    pub claimed: String,
}

/// A measured number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub value: f64,
    /// 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<[f64; 2]>,
}

/// A picture as data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub title: String,
    /// Labels with units, and whether they are logarithmic.
    pub x: String,
    pub x_log: bool,
    /// Names of places on x, in place of round numbers; empty for numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x_ticks: Vec<(f64, String)>,
    pub y: String,
    /// Names of places on y; intervals then lie along x.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub y_ticks: Vec<(f64, String)>,
    pub curves: Vec<Curve>,
    /// Lines over several axes instead of curves over one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Parallel>,
}

/// One series of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    pub name: String,
    pub color: [u8; 3],
    pub points: Vec<[f64; 2]>,
    /// Low and high y of each point; low and high x of a dot where the figure names places on y.
    #[serde(default)]
    pub band: Option<Vec<[f64; 2]>>,
    /// Dots instead of a line, a label each.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
}

impl Column {
    pub fn new(key: &str, title: &str, measure: Measure) -> Self {
        Self { key: key.to_owned(), title: title.to_owned(), measure }
    }
}

impl Row {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With what the original claims of it.
    pub fn claimed(mut self, claim: &str) -> Self {
        self.claimed = claim.to_owned();
        self
    }

    /// With a number; one that is not finite leaves the cell empty.
    pub fn with(mut self, key: &str, value: f64, ci95: Option<[f64; 2]>) -> Self {
        if value.is_finite() {
            let ci95 = ci95.filter(|ends| ends.iter().all(|end| end.is_finite()));
            self.cells.insert(key.to_owned(), Value { value, ci95 });
        }
        self
    }

    /// With a mean and its interval.
    pub fn estimate(self, key: &str, estimate: &Estimate) -> Self {
        self.with(key, estimate.mean, estimate.ci95)
    }

    pub fn value(&self, key: &str) -> Option<f64> {
        self.cells.get(key).map(|value| value.value)
    }
}

impl Findings {
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Curve {
    /// A line.
    pub fn line(name: impl Into<String>, Color(r, g, b): Color, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), color: [r, g, b], points, band: None, labels: None }
    }

    /// A dot with its interval.
    pub fn dot(
        name: impl Into<String>,
        Color(r, g, b): Color,
        at: [f64; 2],
        ci95: Option<[f64; 2]>,
    ) -> Self {
        let name = name.into();
        Self {
            labels: Some(vec![name.clone()]),
            name,
            color: [r, g, b],
            points: vec![at],
            band: ci95.map(|ends| vec![ends]),
        }
    }
}

impl Figure {
    /// As SVG.
    pub fn to_svg(&self, theme: Theme) -> String {
        match &self.parallel {
            Some(parallel) => parallel.to_svg(&self.title, theme),
            None => self.chart(theme).to_svg_with([&self.x_ticks, &self.y_ticks]),
        }
    }

    fn chart(&self, theme: Theme) -> Chart {
        let series = self.curves.iter().map(|curve| Series {
            name: curve.name.clone(),
            color: Color(curve.color[0], curve.color[1], curve.color[2]),
            points: curve.points.clone(),
            band: curve.band.as_ref().map(|band| band.iter().map(|&[l, h]| (l, h)).collect()),
            kind: match &curve.labels {
                Some(labels) => Kind::Dots { labels: labels.clone() },
                None => Kind::Line,
            },
        });
        Chart {
            title: self.title.clone(),
            x: Axis { label: self.x.clone(), log: self.x_log },
            y: Axis { label: self.y.clone(), log: false },
            series: series.collect(),
            theme,
        }
    }
}
