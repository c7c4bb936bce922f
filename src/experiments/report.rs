//! Several results as one self-contained write-up: Markdown and one HTML file.

use super::{Experiment, ExperimentError, ExperimentResult, ExperimentStore, page};
use crate::figures::Theme;

/// The newest result of each experiment that has one.
pub struct Report {
    results: Vec<(Experiment, ExperimentResult)>,
}

impl Report {
    /// # Errors
    /// [`ExperimentError::NoResults`].
    pub fn of(store: &ExperimentStore) -> Result<Self, ExperimentError> {
        let results = store.latest();
        if results.is_empty() {
            return Err(ExperimentError::NoResults);
        }
        Ok(Self { results })
    }

    /// How many results it holds.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Never: it is not made of nothing.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// As Markdown; figures are inlined as SVG in data addresses, so that one file is all of it.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", TITLE, self.opening());
        for (experiment, result) in &self.results {
            let about = experiment.about();
            text.push_str(&format!("\n## {}\n\n*{}*\n\n", about.title, about.asks));
            if about.is_of_the_readme() {
                let claim = format!("The original claims: {} ({}).\n\n", about.claim, about.source);
                text.push_str(&claim);
            }
            text.push_str(&result.to_markdown());
            let svg = result.findings.figure.to_svg(Theme::Light);
            let title = &result.findings.figure.title;
            text.push_str(&format!("\n![{title}]({})\n", page::data_address(&svg)));
        }
        text.push_str(&self.commands_markdown());
        text
    }

    /// As one HTML file with the figures inlined.
    pub fn to_html(&self) -> String {
        let mut body = format!("<h1>{TITLE}</h1>\n<p>{}</p>\n", page::escaped(&self.opening()));
        for (experiment, result) in &self.results {
            page::section(&mut body, experiment.about(), result);
        }
        let commands: String =
            self.results.iter().map(|(_, result)| format!("{}\n", result.command)).collect();
        body.push_str(&format!(
            "<h2>Commands</h2>\n<pre>{}</pre>\n",
            page::escaped(commands.trim_end())
        ));
        page::document(TITLE, &body)
    }

    fn opening(&self) -> String {
        let of_the_readme = |one: &Experiment| one.about().is_of_the_readme();
        let claimed = self.results.iter().filter(|(one, _)| of_the_readme(one)).count();
        let studies = match self.results.len() - claimed {
            0 => String::new(),
            1 => ", and one study beyond them".to_owned(),
            n => format!(", and {n} studies beyond them"),
        };
        format!(
            "{claimed} of the {} experiments of the original README{studies}, measured with real \
             models. Tables show the original's claim beside the measurement where it makes one; \
             intervals are 95 %.",
            Experiment::ALL.iter().filter(|one| of_the_readme(one)).count()
        )
    }

    fn commands_markdown(&self) -> String {
        let commands: String =
            self.results.iter().map(|(_, result)| format!("{}\n", result.command)).collect();
        format!("\n## Commands\n\n```\n{commands}```\n")
    }
}

const TITLE: &str = "DeepM3 Workbench: experiments";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::store::Environment;
    use crate::experiments::{Column, Curve, Figure, Findings, Measure, Row};
    use crate::runs::{DataRecord, RunStore};
    use crate::settings::Config;

    fn result(headline: &str) -> ExperimentResult {
        let curve = Curve::line("a & b", crate::figures::RK4, vec![[0.0, 1.0], [1.0, 2.0]]);
        ExperimentResult {
            id: "20260101-000000-routing".to_owned(),
            experiment: Experiment::Routing.word().to_owned(),
            finished: "2026-01-01T00:00:00Z".parse().unwrap(),
            seconds: 1.5,
            version: "0".to_owned(),
            device: "CPU".to_owned(),
            environment: Environment::here(),
            command: "deepm3 experiment routing --set router.entropy=0.5".to_owned(),
            run: None,
            files: Vec::new(),
            data: DataRecord {
                name: "drift".to_owned(),
                users: 1,
                items: 2,
                events: 3,
                fingerprint: "abc".to_owned(),
            },
            findings: Findings {
                headline: headline.to_owned(),
                columns: vec![Column::new("auroc", "AUROC", Measure::Metric)],
                rows: vec![Row::new("x < y").with("auroc", 0.5, Some([0.4, 0.6])).claimed("0.865")],
                figure: Figure { title: "F".to_owned(), curves: vec![curve], ..Figure::default() },
                ..Findings::default()
            },
            settings: Config::default(),
        }
    }

    #[test]
    fn a_report_holds_everything_in_one_file_and_escapes_what_html_would_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = ExperimentStore::beside(&RunStore::open(Some(folder.path())).unwrap());
        assert!(matches!(Report::of(&store), Err(ExperimentError::NoResults)));
        store.write(&result("It is <b>so</b>."), &[]).unwrap();
        let report = Report::of(&store).unwrap();
        let html = report.to_html();
        assert!(html.contains("It is &lt;b&gt;so&lt;/b&gt;.") && html.contains("x &lt; y"));
        assert!(
            html.contains("<svg") && html.contains("0.5000 ± 0.1000") && html.contains("0.865")
        );
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "self-contained");
        let markdown = report.to_markdown();
        assert!(markdown.contains("| x < y | 0.5000 ± 0.1000 | 0.865 |"));
        assert!(markdown.contains("data:image/svg+xml") && markdown.contains("router.entropy=0.5"));
    }

    #[test]
    fn a_result_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = ExperimentStore::beside(&RunStore::open(Some(folder.path())).unwrap());
        let written = result("So.");
        store.write(&written, &[]).unwrap();
        // A folder that is no result is not listed and breaks nothing.
        std::fs::create_dir_all(store.dir().join("torn")).unwrap();
        std::fs::write(store.dir().join("torn/result.json"), "{").unwrap();
        assert_eq!(store.list(), [written]);
        let png = store.list()[0].to_png(Theme::Dark).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        assert!(store.list()[0].to_csv().starts_with("name,auroc,auroc_low,auroc_high,claimed\n"));
    }
}
