//! A result's table as text, Markdown and CSV.

use super::{ExperimentResult, Findings, Measure, Value};
use crate::runs::p_text;

impl Measure {
    /// A number of this measure with its interval, for people.
    pub fn text(self, value: &Value) -> String {
        let plain = |number: f64| self.number(number);
        match value.ci95 {
            None => plain(value.value),
            Some([low, high]) => {
                let (above, below) = (high - value.value, value.value - low);
                let even = (above - below).abs() <= 0.02 * (high - low).max(1e-12);
                if even {
                    format!("{} ± {}", plain(value.value), plain((high - low) / 2.0))
                } else {
                    format!("{} ({} … {})", plain(value.value), plain(low), plain(high))
                }
            }
        }
    }

    fn number(self, value: f64) -> String {
        match self {
            Self::Metric => {
                let text = format!("{value:.4}");
                // No minus before what rounds to nothing.
                let nothing = text.trim_start_matches(['-', '0', '.']).is_empty();
                if nothing { text.replace('-', "") } else { text }
            }
            Self::Share => format!("{:.1} %", 100.0 * value),
            Self::Count => format!("{value:.0}"),
            Self::Chance => p_text(Some(value)),
            Self::Number if value == 0.0 => "0".to_owned(),
            Self::Number => {
                // Three significant figures, without an exponent.
                let size = value.abs().max(1e-12).log10().floor() as i32;
                format!("{value:.*}", (2 - size).clamp(0, 6) as usize)
            }
        }
    }
}

impl Findings {
    /// Whether the original claims anything of any row.
    pub fn has_claims(&self) -> bool {
        self.rows.iter().any(|row| !row.claimed.is_empty())
    }

    /// Titles and cells, for people.
    pub fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut titles = vec![String::new()];
        titles.extend(self.columns.iter().map(|column| column.title.clone()));
        let claims = self.has_claims();
        if claims {
            titles.push("Original's claim".to_owned());
        }
        let rows = self.rows.iter().map(|row| {
            let mut cells = vec![row.name.clone()];
            cells.extend(self.columns.iter().map(|column| {
                let value = row.cells.get(&column.key);
                value.map_or("–".to_owned(), |value| column.measure.text(value))
            }));
            if claims {
                let claim = if row.claimed.is_empty() { "–" } else { &row.claimed };
                cells.push(claim.to_owned());
            }
            cells
        });
        (titles, rows.collect())
    }

    /// The table alone, as Markdown.
    pub fn table_markdown(&self) -> String {
        let (titles, rows) = self.cells();
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&titles);
        let rules = titles.iter().enumerate().map(|(place, _)| match place {
            0 => "---",
            place if place <= self.columns.len() => "---:",
            _ => "---",
        });
        text.push_str(&format!("|{}|\n", rules.collect::<Vec<_>>().join("|")));
        rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }

    /// The table in aligned columns, for a terminal.
    pub fn table_text(&self) -> String {
        let (titles, rows) = self.cells();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max()
        };
        let widths: Vec<usize> = (0..titles.len()).map(|c| width(c).unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines {
            let mut written = String::new();
            for (place, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                match place {
                    0 => written.push_str(&format!("{cell:<width$}")),
                    place if place <= self.columns.len() => {
                        written.push_str(&format!("  {cell:>width$}"));
                    }
                    _ => written.push_str(&format!("  {cell}")),
                }
            }
            text.push_str(written.trim_end());
            text.push('\n');
        }
        text
    }
}

impl ExperimentResult {
    /// Everything of it as Markdown, without the figure.
    pub fn to_markdown(&self) -> String {
        let findings = &self.findings;
        let mut text = format!("{}\n\n{}\n", findings.headline, findings.table_markdown());
        if !findings.simulated.is_empty() {
            text.push_str(&format!("**Simulated:** {}\n\n", findings.simulated));
        }
        for fact in &findings.facts {
            text.push_str(&format!("- {fact}\n"));
        }
        if !findings.facts.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("**Method.** {}\n\n", findings.method));
        text.push_str(&format!("**Limits.** {}\n\n", findings.limits));
        text.push_str(&format!("{}\n\n```\n{}\n```\n", self.provenance(), self.command));
        text
    }

    /// Where the numbers come from, in one line.
    pub fn provenance(&self) -> String {
        format!(
            "{} ({} users, {} items, {} events, fingerprint {}); {}; {} with {} cores, {}; DeepM3 \
             Workbench {}; {} in {:.1} s{}.",
            self.data.name,
            self.data.users,
            self.data.items,
            self.data.events,
            self.data.fingerprint.chars().take(12).collect::<String>(),
            self.device,
            self.environment.processor,
            self.environment.cores,
            self.environment.system,
            self.version,
            self.finished.strftime("%Y-%m-%d %H:%M UTC"),
            self.seconds,
            self.run.as_ref().map(|run| format!("; run {run}")).unwrap_or_default(),
        )
    }

    /// The rows with plain numbers, an interval in two columns of its own.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut titles = vec!["name".to_owned()];
        for column in &self.findings.columns {
            let key = &column.key;
            titles.extend([key.clone(), format!("{key}_low"), format!("{key}_high")]);
        }
        titles.push("claimed".to_owned());
        // Writing into memory cannot fail, and every record has as many fields as the titles.
        let _ = writer.write_record(&titles);
        for row in &self.findings.rows {
            let mut fields = vec![row.name.clone()];
            for column in &self.findings.columns {
                let value = row.cells.get(&column.key);
                let text = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
                let ends = value.and_then(|value| value.ci95);
                fields.extend([
                    text(value.map(|value| value.value)),
                    text(ends.map(|ends| ends[0])),
                    text(ends.map(|ends| ends[1])),
                ]);
            }
            fields.push(row.claimed.clone());
            let _ = writer.write_record(&fields);
        }
        String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::{Column, Row};

    #[test]
    fn numbers_have_the_places_of_their_measure_and_both_kinds_of_interval() {
        let value = |value, ci95| Value { value, ci95 };
        assert_eq!(Measure::Metric.text(&value(0.18, Some([0.17, 0.19]))), "0.1800 ± 0.0100");
        assert_eq!(Measure::Share.text(&value(0.0, Some([0.0, 0.037]))), "0.0 % (0.0 % … 3.7 %)");
        assert_eq!(Measure::Number.text(&value(812.44, None)), "812");
        assert_eq!(Measure::Number.text(&value(0.05432, None)), "0.0543");
        assert_eq!(Measure::Number.text(&value(0.0, None)), "0");
        assert_eq!(Measure::Metric.text(&value(-0.00001, None)), "0.0000");
        assert_eq!(Measure::Metric.text(&value(-0.0057, None)), "-0.0057");
        assert_eq!(Measure::Chance.text(&value(1e-9, None)), "< 0.001");
        assert_eq!(Measure::Count.text(&value(12.0, None)), "12");
    }

    #[test]
    fn the_table_says_where_there_is_no_number_and_shows_claims_only_where_some_are() {
        let mut findings = Findings {
            columns: vec![Column::new("x", "X (ms)", Measure::Number)],
            rows: vec![Row::new("one").with("x", 2.0, None), Row::new("two")],
            ..Findings::default()
        };
        assert_eq!(
            findings.table_markdown(),
            "|  | X (ms) |\n|---|---:|\n| one | 2.00 |\n| two | – |\n"
        );
        findings.rows[1].claimed = "5 ms".to_owned();
        assert!(findings.table_markdown().contains("| two | – | 5 ms |"));
        assert!(
            findings.table_text().ends_with("two       –  5 ms\n"),
            "{}",
            findings.table_text()
        );
    }
}
