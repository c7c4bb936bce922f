//! The columns of the run table: metrics, facts, and any setting.

use super::rows::Row;
use crate::runs::{latency_text, metric_text, share_text};
use crate::settings::{Config, Kind, Value};
use crate::workbench::format;

/// Which columns are shown, and in what order the rows are; kept between sessions.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ColumnChoice {
    /// Ids, in the order shown.
    pub shown: Vec<String>,
    /// Id of the column sorted by.
    pub sort: String,
    pub descending: bool,
    /// Seeds together as mean ± interval.
    pub grouped: bool,
    pub archived: bool,
}

impl Default for ColumnChoice {
    fn default() -> Self {
        let shown = ["state", "ndcg10", "hr10", "batch64", "single", "time", "data", "created"];
        Self {
            shown: shown.map(str::to_owned).into(),
            sort: "created".to_owned(),
            descending: true,
            grouped: false,
            archived: false,
        }
    }
}

/// A column that can be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    pub id: String,
    pub title: String,
    /// What it holds, for tooltips.
    pub about: String,
    pub width: f32,
    /// Figures, aligned right.
    pub figures: bool,
    /// More is better, less is better, or neither.
    pub better: Better,
}

/// In which direction a metric is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
    Neither,
}

/// What a cell holds: its text, and what it is sorted and compared by.
#[derive(Debug, Clone, PartialEq)]
pub struct CellValue {
    pub text: String,
    pub number: Option<f64>,
}

impl CellValue {
    fn number(value: Option<f64>, text: impl Fn(f64) -> String) -> Self {
        Self { text: value.map_or_else(|| "–".to_owned(), text), number: value }
    }

    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: None }
    }
}

/// Days, as `0.021, 1.50, 45.0`.
fn days_text(days: &[f64]) -> String {
    let texts: Vec<_> = days.iter().map(|&days| format::number(days)).collect();
    texts.join(", ")
}

/// Every column there is: facts and metrics, then the settings.
pub fn all() -> Vec<ColumnInfo> {
    let facts: [(&str, &str, f32, bool, Better); 18] = [
        ("state", "State", 116.0, false, Better::Neither),
        ("ndcg10", "NDCG@10", 135.0, true, Better::More),
        ("hr10", "HR@10", 135.0, true, Better::More),
        ("ceiling", "Of the ceiling", 110.0, true, Better::More),
        ("mrr", "MRR", 100.0, true, Better::More),
        ("valid", "NDCG@10 (val)", 120.0, true, Better::More),
        ("loss", "Train loss", 100.0, true, Better::Less),
        ("batch64", "Batch of 64 (ms)", 122.0, true, Better::Less),
        ("single", "One request (ms)", 126.0, true, Better::Less),
        ("time", "Training", 108.0, true, Better::Less),
        ("epochs", "Epochs trained", 110.0, true, Better::Neither),
        ("params", "Parameters", 110.0, true, Better::Neither),
        ("time_scale", "Learned κ (days)", 130.0, true, Better::Neither),
        ("half_lives", "Item half-lives (days)", 340.0, true, Better::Neither),
        ("data", "Data", 105.0, false, Better::Neither),
        ("device", "Trained on", 190.0, false, Better::Neither),
        ("origin", "Comes from", 260.0, false, Better::Neither),
        ("created", "Started (UTC)", 165.0, true, Better::Neither),
    ];
    let facts = facts.into_iter().map(|(id, title, width, figures, better)| ColumnInfo {
        id: id.to_owned(),
        title: title.to_owned(),
        about: about(id).to_owned(),
        width,
        figures,
        better,
    });
    let settings = Config::settings().into_iter().map(|setting| ColumnInfo {
        id: setting.key.to_owned(),
        title: setting.label.to_owned(),
        about: format!("{}\n{}", setting.help, setting.key),
        width: 130.0,
        figures: matches!(setting.kind, Kind::Integer { .. } | Kind::Number { .. }),
        better: Better::Neither,
    });
    facts.chain(settings).collect()
}

/// What the column of facts `id` holds.
fn about(id: &str) -> &'static str {
    match id {
        "state" => "Done, running, waiting (not begun yet), interrupted (can be resumed) or broken",
        "ndcg10" => "Discounted gain of the ten best on the test requests, and its 95 % interval",
        "hr10" => "Share of test requests whose item is among the ten best, and its 95 % interval",
        "ceiling" => {
            "Share of the best NDCG@10 that anybody could have; known where the data was made"
        }
        "mrr" => "Mean of 1 / rank over the test requests",
        "valid" => "On validation, of the epoch that was kept; of single runs",
        "loss" => "Mean cross entropy over the last epoch, in nats; of single runs",
        "batch64" => "From 64 histories to all their scores on the CPU, median",
        "single" => "From one history to all its scores on the CPU, median",
        "time" => "Time that one training took",
        "epochs" => "How many were trained; of single runs",
        "params" => "Trained numbers",
        "time_scale" => "Of the log1p warp where it was learned: the mean over seeds",
        "half_lives" => "Of the item intensities, learned from the events",
        "data" => "Name of the data set",
        "device" => "Device that trained it",
        "origin" => "A training, or a run and the adapter that was merged into it",
        "created" => "When it was started",
        _ => "",
    }
}

/// What `row` has in the column `id`.
pub fn value(row: &Row, id: &str) -> CellValue {
    let estimate = |estimate: Option<crate::evaluation::Estimate>| CellValue {
        text: estimate
            .map_or_else(|| "–".to_owned(), |estimate| metric_text(estimate.mean, estimate.ci95)),
        number: estimate.map(|estimate| estimate.mean),
    };
    let ms = |value: Option<f64>| CellValue::number(value, latency_text);
    match id {
        "state" => CellValue::text(row.state_text()),
        "ndcg10" => estimate(row.ndcg10),
        "hr10" => estimate(row.hr10),
        "ceiling" => {
            let share = row.ndcg10.zip(row.ceiling).map(|(own, ceiling)| own.mean / ceiling);
            CellValue::number(share, |share| share_text(Some(share)))
        }
        "mrr" => CellValue::number(row.mrr, format::metric),
        "valid" => CellValue::number(row.valid_ndcg10, format::metric),
        "loss" => CellValue::number(row.train_loss, |loss| format!("{loss:.3}")),
        "batch64" => ms(row.latency.map(|latency| latency.0)),
        "single" => ms(row.latency.map(|latency| latency.1)),
        "time" => CellValue::number(row.train_seconds, format::duration),
        "epochs" => CellValue::number(row.epochs.map(|n| n as f64), |n| format!("{n}")),
        "params" => CellValue::number(row.params.map(|n| n as f64), |n| format::count(n as u64)),
        "time_scale" => CellValue::number(row.time_scale_days, |days| format!("{days:.2}")),
        "half_lives" => CellValue::text(
            row.half_lives_days.as_deref().map_or_else(|| "–".to_owned(), days_text),
        ),
        "data" => CellValue::text(row.data.as_str()),
        "device" => CellValue::text(row.device.as_str()),
        "origin" => CellValue::text(
            row.origin.as_ref().map_or_else(|| "training".to_owned(), ToString::to_string),
        ),
        "created" => CellValue {
            text: row.created_text(),
            number: Some(row.created.as_millisecond() as f64),
        },
        "model" => CellValue::text(row.title()),
        "seed" => {
            CellValue { text: row.seed_text(), number: row.seeds.first().map(|&seed| seed as f64) }
        }
        key => setting(row, key),
    }
}

fn setting(row: &Row, key: &str) -> CellValue {
    match row.config.as_ref().and_then(|config| config.get(key).ok()) {
        Some(Value::Integer(value)) => {
            CellValue { text: value.to_string(), number: Some(value as f64) }
        }
        Some(Value::Number(value)) => {
            CellValue { text: format::number(value), number: Some(value) }
        }
        Some(value) => CellValue::text(value.to_string()),
        None => CellValue::text("–"),
    }
}

/// Sort by one column; lines without a value come last either way.
pub fn sort(rows: &mut [Row], choice: &ColumnChoice) {
    let id = choice.sort.as_str();
    rows.sort_by_cached_key(|row| {
        let cell = value(row, id);
        let number = cell.number.filter(|number| number.is_finite());
        let signed = number.map(|number| if choice.descending { -number } else { number });
        // f64 has no total order of its own; its bits do, once the sign is taken care of.
        let bits = signed.map(|number| {
            let bits = number.to_bits() as i64;
            if bits < 0 { bits ^ i64::MAX } else { bits }
        });
        let missing = number.is_none() && (cell.text == "–" || cell.text.is_empty());
        (missing, bits, cell.text)
    });
    let by_text = rows.iter().all(|row| value(row, id).number.is_none());
    if by_text && choice.descending {
        rows.reverse();
    }
}

/// Whether every word of `filter` is somewhere in the line.
pub fn matches(row: &Row, filter: &str) -> bool {
    let words = filter.split_whitespace();
    let text = [
        row.runs.join(" "),
        row.title().to_owned(),
        row.data.clone(),
        row.device.clone(),
        row.state_text(),
        row.group.clone().unwrap_or_default(),
        value(row, "evaluation.protocol").text,
    ]
    .join(" ")
    .to_lowercase();
    words.into_iter().all(|word| text.contains(&word.to_lowercase()))
}

/// Lines as CSV with the columns shown.
pub fn to_csv(rows: &[Row], shown: &[ColumnInfo]) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut out = String::from("run,model,seed");
    for column in shown {
        out.push(',');
        out.push_str(&quoted(&column.title));
    }
    out.push('\n');
    for row in rows {
        let mut cells = vec![row.runs.join(" "), row.title().to_lowercase(), row.seed_text()];
        for column in shown {
            let cell = value(row, &column.id);
            // Plain numbers for machines; times stay readable.
            let number = cell.number.filter(|_| column.id != "created");
            cells.push(number.map_or(cell.text, |number| number.to_string()));
        }
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

/// Lines as a Markdown table with the columns shown.
pub fn to_markdown(rows: &[Row], shown: &[ColumnInfo]) -> String {
    let titles: Vec<&str> = shown.iter().map(|column| column.title.as_str()).collect();
    let mut out = format!("| Model | Seed | {} |\n|---|---:|", titles.join(" | "));
    out.push_str(&"---:|".repeat(shown.len()));
    out.push('\n');
    for row in rows {
        let cells: Vec<String> =
            shown.iter().map(|column| value(row, &column.id).text.replace('|', "\\|")).collect();
        let line = format!("| {} | {} | {} |\n", row.title(), row.seed_text(), cells.join(" | "));
        out.push_str(&line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Solver;
    use crate::workbench::pages::compare::rows::sample;

    fn row(id: &str, solver: Solver, mrr: Option<f64>) -> Row {
        Row { mrr, ..sample(id, solver) }
    }

    fn keys(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(Row::key).collect()
    }

    #[test]
    fn lines_without_a_value_come_last_in_either_direction() {
        let mut rows = vec![
            row("a", Solver::Gru, None),
            row("b", Solver::Rk4, Some(0.2)),
            row("c", Solver::Euler, Some(0.1)),
        ];
        let mut choice =
            ColumnChoice { sort: "mrr".to_owned(), descending: true, ..ColumnChoice::default() };
        sort(&mut rows, &choice);
        assert_eq!(keys(&rows), ["b", "c", "a"]);
        choice.descending = false;
        sort(&mut rows, &choice);
        assert_eq!(keys(&rows), ["c", "b", "a"]);
    }

    #[test]
    fn what_was_learned_of_time_is_listed_where_there_is_any() {
        let mut known = sample("a", Solver::Euler);
        assert_eq!(value(&known, "time_scale").text, "–");
        known.time_scale_days = Some(0.534);
        assert_eq!(value(&known, "time_scale").text, "0.53");
        assert_eq!(value(&known, "half_lives").text, "–");
        known.half_lives_days = Some(vec![0.0213, 1.5, 45.0]);
        assert_eq!(value(&known, "half_lives").text, "0.021, 1.50, 45.0");
        let shown: Vec<_> = all().into_iter().filter(|column| column.id == "half_lives").collect();
        let csv = to_csv(&[known], &shown);
        assert!(csv.ends_with("\na,euler,42,\"0.021, 1.50, 45.0\"\n"), "all of them: {csv}");
    }

    #[test]
    fn merged_weights_say_where_they_come_from() {
        let trained = sample("a", Solver::Gru);
        let said = |row: &Row| ["state", "origin"].map(|id| value(row, id).text);
        assert_eq!(said(&trained), ["done", "training"]);
        let origin = crate::runs::Origin::Merged {
            run: "a".to_owned(),
            adapter: "adapter-dora.safetensors".to_owned(),
            fingerprint: "abc".to_owned(),
            domain: "later".to_owned(),
        };
        let merged = Row { origin: Some(origin), archived: true, ..trained };
        let [state, origin] = said(&merged);
        assert_eq!(state, "done, merged, archived");
        assert!(origin.starts_with("run a with the adapter adapter-dora"), "{origin}");
    }

    #[test]
    fn any_setting_can_be_a_column() {
        let row = row("a", Solver::Rk4, None);
        for column in all().into_iter().filter(|column| column.figures) {
            assert_ne!(value(&row, &column.id).text, "", "{}", column.id);
            assert_ne!(column.about, "", "{}", column.id);
        }
        assert_eq!(value(&row, "model.solver").text, "rk4");
    }

    #[test]
    fn a_filter_needs_every_word() {
        let row = row("20261122-rk4", Solver::Rk4, None);
        assert!(matches(&row, "RK4 drift"));
        assert!(!matches(&row, "rk4 gowalla"));
    }

    #[test]
    fn csv_has_plain_numbers() {
        let shown: Vec<_> = all().into_iter().filter(|column| column.id == "mrr").collect();
        let csv = to_csv(&[row("a", Solver::Rk4, Some(0.25))], &shown);
        assert_eq!(csv, "run,model,seed,MRR\na,rk4,42,0.25\n");
    }
}
