//! The ablation table as Markdown, CSV and plain text.

use super::{AblationTable, ComparisonRow, TableRow};
use crate::settings::Solver;

const HEADINGS: [&str; 9] = [
    "Model",
    "HR@10",
    "NDCG@10",
    "Latency (ms, batch of 64)",
    "Latency (ms, one request)",
    "Training (s)",
    "Seeds",
    "n",
    "Device",
];
/// Columns up to and with the metrics.
const METRICS: usize = 3;
const COMPARISON_HEADINGS: [&str; 6] =
    ["Comparison", "Metric", "Difference", "95 % interval", "p", "p (Holm)"];

/// A metric with half the width of its interval, `0.1800 ± 0.0090`, or with its ends where they are
/// not equally far, as near 0 and 1: `0.0000 (0.0000 … 0.0370)`.
pub fn metric_text(mean: f64, ci95: Option<[f64; 2]>) -> String {
    // Below what is shown.
    const SAME: f64 = 5e-5;
    match ci95 {
        Some([low, high]) if ((high - mean) - (mean - low)).abs() > SAME => {
            format!("{mean:.4} ({low:.4} … {high:.4})")
        }
        Some([low, high]) => format!("{mean:.4} ± {:.4}", (high - low) / 2.0),
        None => format!("{mean:.4}"),
    }
}

/// Milliseconds of a request, with so many places that the fast ones differ: `13.65`, `0.74`, `0.003`.
pub fn latency_text(ms: f64) -> String {
    if ms < 0.1 { format!("{ms:.3}") } else { format!("{ms:.2}") }
}

/// A p-value: three decimals, `< 0.001` where it is smaller, `–` where there is none.
pub fn p_text(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
        None => "–".to_owned(),
    }
}

/// A share of the ceiling in per cent: `93.4 %`, `–` where there is none.
pub fn share_text(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// The name of a row's model as shown to people: `RK4`, `RK4 (model.hidden=64)`, `Recent popularity`.
pub fn model_title(model: &str) -> String {
    let (word, settings) = model.split_at(model.find(' ').unwrap_or(model.len()));
    if let Ok(solver) = word.parse::<Solver>() {
        return format!("{}{settings}", solver.title());
    }
    let model = match model {
        "recent" => "recent popularity",
        "item-knn" => "item neighbours",
        other => other,
    };
    let mut letters = model.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl TableRow {
    /// Its name as shown to people, with what it is where it is no model.
    pub fn title(&self) -> String {
        let title = model_title(&self.model);
        match (self.baseline, self.ceiling) {
            (true, _) => format!("{title} (baseline)"),
            (_, true) => format!("{title} (knows the generator)"),
            _ => title,
        }
    }
}

impl AblationTable {
    /// As Markdown, in the shape of DeepM3's README, with the comparisons below.
    pub fn to_markdown(&self) -> String {
        let mut text = markdown(&self.headings(), &self.cells());
        let comparisons = self.comparison_cells();
        if !comparisons.is_empty() {
            text.push('\n');
            text.push_str(&markdown(&COMPARISON_HEADINGS, &comparisons));
        }
        text
    }

    /// As aligned plain text for a terminal, with the comparisons below.
    pub fn to_text(&self) -> String {
        let mut text = aligned(&self.headings(), &self.cells());
        let comparisons = self.comparison_cells();
        if !comparisons.is_empty() {
            text.push('\n');
            text.push_str(&aligned(&COMPARISON_HEADINGS, &comparisons));
        }
        if let Some(caution) = self.caution() {
            text.push_str(&format!("\n{caution}\n"));
        }
        text
    }

    /// What to know before any of the comparisons is believed.
    pub fn caution(&self) -> Option<&'static str> {
        self.has_one_seed_only().then_some(
            "A model was trained with one seed: its comparisons with others are of these trainings, and \
             another seed may turn them around.",
        )
    }

    /// Whether trained models are compared of which one has but one seed, so that the luck of a seed
    /// is in no interval and no test.
    pub fn has_one_seed_only(&self) -> bool {
        let trained = || self.rows.iter().filter(|row| !row.baseline && !row.ceiling);
        trained().count() > 1 && trained().any(|row| row.seeds == 1)
    }

    /// The rows as CSV with plain numbers; a cell without a value is empty.
    pub fn to_csv(&self) -> String {
        let mut text = String::from(
            "model,baseline,ceiling,hr10,hr10_low,hr10_high,ndcg10,ndcg10_low,ndcg10_high,\
             batch64_ms,batch64_p95_ms,single_ms,single_p95_ms,train_seconds,params,seeds,n,device\n",
        );
        for row in &self.rows {
            let latency = row.latency_ms.as_ref();
            let low = |ci95: Option<[f64; 2]>| optional(ci95.map(|[low, _]| low));
            let high = |ci95: Option<[f64; 2]>| optional(ci95.map(|[_, high]| high));
            let fields = [
                row.model.clone(),
                row.baseline.to_string(),
                row.ceiling.to_string(),
                row.hr10.mean.to_string(),
                low(row.hr10.ci95),
                high(row.hr10.ci95),
                row.ndcg10.mean.to_string(),
                low(row.ndcg10.ci95),
                high(row.ndcg10.ci95),
                optional(latency.map(|latency| latency.batch64)),
                optional(latency.map(|latency| latency.batch64_p95)),
                optional(latency.map(|latency| latency.single)),
                optional(latency.map(|latency| latency.single_p95)),
                optional(row.train_seconds),
                optional(row.params),
                row.seeds.to_string(),
                row.n.to_string(),
                row.device.clone(),
            ];
            text.push_str(&fields.map(|field| quoted(&field)).join(","));
            text.push('\n');
        }
        text
    }

    fn has_ceiling(&self) -> bool {
        self.rows.iter().any(|row| row.ceiling)
    }

    /// The share of the ceiling has a column only where there is one.
    fn headings(&self) -> Vec<&'static str> {
        let mut headings = HEADINGS.to_vec();
        if self.has_ceiling() {
            headings.insert(METRICS, "Of the ceiling (NDCG@10)");
        }
        headings
    }

    fn cells(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(row_cells).collect();
        if self.has_ceiling() {
            for (cells, row) in rows.iter_mut().zip(&self.rows) {
                cells.insert(METRICS, share_text(row.ceiling_share.map(|share| share.ndcg10)));
            }
        }
        rows
    }

    fn comparison_cells(&self) -> Vec<Vec<String>> {
        self.comparisons.iter().map(comparison_cells).collect()
    }
}

fn row_cells(row: &TableRow) -> Vec<String> {
    let dash = || "–".to_owned();
    let latency = row.latency_ms.as_ref();
    vec![
        row.title(),
        metric_text(row.hr10.mean, row.hr10.ci95),
        metric_text(row.ndcg10.mean, row.ndcg10.ci95),
        latency.map_or_else(dash, |latency| latency_text(latency.batch64)),
        latency.map_or_else(dash, |latency| latency_text(latency.single)),
        row.train_seconds.map_or_else(dash, |seconds| format!("{seconds:.1}")),
        if row.solver.is_none() { dash() } else { row.seeds.to_string() },
        row.n.to_string(),
        row.device.clone(),
    ]
}

fn comparison_cells(row: &ComparisonRow) -> Vec<String> {
    vec![
        format!("{} − {}", model_title(&row.a), model_title(&row.b)),
        match row.metric.as_str() {
            "hr10" => "HR@10".to_owned(),
            "ndcg10" => "NDCG@10".to_owned(),
            other => other.to_owned(),
        },
        format!("{:+.4}", row.delta),
        row.ci95.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low:+.4} … {high:+.4}")),
        if row.paired { p_text(row.p) } else { format!("{} (not paired)", p_text(row.p)) },
        p_text(row.p_adjusted),
    ]
}

fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|---|", headings.join(" | "));
    text.push_str(&"---:|".repeat(headings.len() - 1));
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// First column to the left, numbers to the right.
fn aligned(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A CSV field (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::table::sample_table;

    #[test]
    fn markdown_has_the_readme_shape() {
        let text = sample_table(&[]).to_markdown();
        let mut lines = text.lines();
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("| Model | HR@10 | NDCG@10 | Latency (ms, batch of 64) |")
        );
        assert_eq!(lines.next().unwrap().matches("---").count(), HEADINGS.len());
        assert!(lines.next().unwrap().starts_with("| GRU | 0."));
        assert!(text.contains("Popularity (baseline)"));
        assert!(text.contains("| GRU − RK4 | NDCG@10 | -0."));
        assert!(text.contains("< 0.001 | < 0.001 |"), "{text}");
        assert!(text.contains("| p | p (Holm) |"));
    }

    #[test]
    fn text_is_aligned() {
        let text = sample_table(&[]).to_text();
        let widths: Vec<usize> = text
            .lines()
            .take_while(|line| !line.is_empty())
            .map(|line| line.chars().count())
            .collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "{text}");
    }

    #[test]
    fn csv_reads_back() {
        let mut table = sample_table(&[]);
        table.rows[0].device = "GPU, \"fast\"".to_owned();
        let text = table.to_csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers().unwrap().len();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(&rows[0][columns - 1], "GPU, \"fast\"");
        assert_eq!(&rows[1][3], "0.5");
        assert_eq!(&rows[2][9], "");
    }

    #[test]
    fn small_texts() {
        assert_eq!(metric_text(0.18, Some([0.171, 0.189])), "0.1800 ± 0.0090");
        assert_eq!(metric_text(0.0, Some([0.0, 0.037])), "0.0000 (0.0000 … 0.0370)");
        assert_eq!(p_text(Some(0.000_1)), "< 0.001");
        assert_eq!(p_text(Some(0.05)), "0.050");
        assert_eq!(p_text(None), "–");
        assert_eq!(model_title("rk4"), "RK4");
        assert_eq!(model_title("rk4 (model.hidden=64)"), "RK4 (model.hidden=64)");
        assert_eq!(model_title("markov"), "Markov");
        assert_eq!(model_title("item-knn"), "Item neighbours");
    }
}
