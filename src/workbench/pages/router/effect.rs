//! The right column: what the settings do, in numbers.

use eframe::egui::{RichText, Ui};

use crate::evaluation::{Estimate, Frontier};
use crate::serving::replay::Operating;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{page_scroll, section, stat};

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, frontier: &Frontier, at: &Operating) {
    page_scroll(ui, "effect", |ui| {
        ui.spacing_mut().item_spacing.y = 2.5 * UNIT;
        let share = |value: f64| format!("{:.1}", 100.0 * value);
        stat(
            ui,
            "Uncertain",
            &share(at.uncertain),
            "% of requests",
            "Over the entropy or the conflict threshold",
        );
        stat(ui, "Escalated", &share(at.escalated), "% to System 2", "Answered by System 2");
        let by: Vec<String> = at
            .denied_by
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(limit, count)| format!("{count} by {}", limit.as_str()))
            .collect();
        let by = if by.is_empty() { "%".to_owned() } else { format!("% ({})", by.join(", ")) };
        stat(
            ui,
            "Denied by budget",
            &share(at.denied),
            &by,
            "Uncertain requests that a limit kept on System 1, and which limit",
        );
        let gain = match at.gain.mean {
            same if same.abs() < 5e-5 => "as System 1".to_owned(),
            gain => format!("{gain:+.4} vs System 1"),
        };
        let help = interval("95 % interval", &at.quality.ndcg10);
        stat(ui, "NDCG@10", &format!("{:.4}", at.quality.ndcg10.mean), &gain, &help);
        let half = at.quality.hr10.half_width().map_or(String::new(), |h| format!("± {h:.4}"));
        let help = interval("95 % interval", &at.quality.hr10);
        stat(ui, "HR@10", &format!("{:.4}", at.quality.hr10.mean), &half, &help);
        let help =
            "System 1's part is measured one by one on this machine; System 2's is simulated";
        stat(
            ui,
            "Mean latency",
            &milliseconds(at.mean_latency_ms),
            "ms (System 2 simulated)",
            help,
        );
        stat(ui, "p95 latency", &milliseconds(at.p95_latency_ms), "ms (System 2 simulated)", help);
        stat(
            ui,
            "Cost",
            &format!("${:.3}", at.cost_per_1000),
            "per 1,000 requests",
            "Estimated tokens at the prices set",
        );
        section(ui, "Of the router itself");
        let or_not = |value: Option<f64>, scale: f64, places: usize| {
            value.map_or("n/a".to_owned(), |value| format!("{:.places$}", scale * value))
        };
        let unit = |value: Option<f64>, unit: &'static str| {
            if value.is_some() { unit } else { "System 2 is not better" }
        };
        stat(
            ui,
            "APGR",
            &or_not(frontier.apgr, 1.0, 3),
            unit(frontier.apgr, "1 best, 0.5 random"),
            "Average performance gap recovered: the area under the quality curve, between System 1 \
             (0) and System 2 (1); RouteLLM, Ong et al. 2024",
        );
        for (name, value) in [("CPT(50 %)", frontier.cpt50), ("CPT(80 %)", frontier.cpt80)] {
            let help = "Least share of calls to System 2 that recovers this part of its advantage";
            stat(ui, name, &or_not(value, 100.0, 1), unit(value, "% of calls"), help);
        }
        let text =
            "System 2 is the mock: its ranking is real, its latency and tokens are simulated.";
        ui.label(RichText::new(text).small().color(palette(ui).warning));
    });
}

fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn interval(name: &str, estimate: &Estimate) -> String {
    match estimate.ci95 {
        Some([low, high]) => format!("{name} {low:.4} to {high:.4}, n = {}", estimate.n),
        None => format!("n = {}", estimate.n),
    }
}
