//! The picture of an ablation: quality against latency.

use super::{Axis, Chart, Kind, Series, Theme, model_color};
use crate::runs::{AblationTable, model_title};

/// NDCG@10 with its interval against the latency of a batch of 64, a dot a model. Baselines and
/// the ceiling, which have no latency, are levels across the picture; a model whose latency was not measured is left
/// out.
pub fn ablation_chart(table: &AblationTable, theme: Theme) -> Chart {
    let dots: Vec<Series> = table
        .rows
        .iter()
        .filter_map(|row| {
            let latency = row.latency_ms.as_ref()?;
            let title = model_title(&row.model);
            let band = row.ndcg10.ci95.map(|[low, high]| vec![(low, high)]);
            Some(Series {
                color: model_color(row.solver.map_or(row.model.as_str(), |solver| solver.word())),
                points: vec![[latency.batch64, row.ndcg10.mean]],
                band,
                kind: Kind::Dots { labels: vec![title.clone()] },
                name: title,
            })
        })
        .collect();
    let latencies = || dots.iter().map(|series| series.points[0][0]);
    let slowest = latencies().fold(0.0, f64::max);
    let fastest = latencies().fold(slowest, f64::min);
    let levels = table.rows.iter().filter(|row| row.baseline || row.ceiling).map(|row| {
        // With one model, or none, a level still needs a length.
        let ends =
            if fastest < slowest { [fastest, slowest] } else { [slowest * 0.9, slowest * 1.1] };
        Series {
            name: row.title(),
            color: model_color(&row.model),
            points: ends.map(|latency| [latency, row.ndcg10.mean]).to_vec(),
            band: None,
            kind: Kind::Line,
        }
    });
    let device = dots.first().map_or(String::new(), |_| format!(", {}", table.device));
    Chart {
        title: format!("Quality against latency: {}, {}", table.data.name, table.protocol),
        x: Axis { label: format!("Latency, median of a batch of 64 (ms{device})"), log: false },
        y: Axis { label: "NDCG@10, mean and 95 % interval".to_owned(), log: false },
        series: levels.chain(dots.iter().cloned()).collect(),
        theme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::sample_table;

    #[test]
    fn models_are_dots_and_baselines_are_levels() {
        let chart = ablation_chart(&sample_table(&[]), Theme::Light);
        let names: Vec<&str> = chart.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["Popularity (baseline)", "GRU", "RK4"]);
        assert_eq!(chart.series[0].kind, Kind::Line);
        assert_eq!(chart.series[2].points[0][0], 2.7);
        assert!(!chart.to_svg().contains("NaN"));
    }

    #[test]
    fn a_model_with_its_settings_keeps_its_colour() {
        let mut table = sample_table(&[]);
        table.rows[1].model = "rk4 (model.hidden=64)".to_owned();
        let chart = ablation_chart(&table, Theme::Light);
        assert_eq!(chart.series[2].name, "RK4 (model.hidden=64)");
        assert_eq!(chart.series[2].color, model_color("rk4"));
    }

    #[test]
    fn without_models_it_is_still_a_chart() {
        let mut table = sample_table(&[]);
        table.rows.retain(|row| row.baseline);
        assert!(!ablation_chart(&table, Theme::Dark).to_svg().contains("NaN"));
        table.rows.clear();
        assert!(ablation_chart(&table, Theme::Dark).to_svg().contains("No data"));
    }
}
