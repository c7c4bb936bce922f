//! An answer, explained and highlighted.

use eframe::egui::text::{LayoutJob, TextFormat};
use eframe::egui::{Align, Color32, Label, Layout, RichText, ScrollArea, Ui, vec2};

use crate::routing::Path;
use crate::serving::wire::RecommendResponse;
use crate::settings::ReasonerKind;
use crate::workbench::theme::{self, Palette, UNIT, palette};
use crate::workbench::widgets::{Cell, Column, Tone, button, grid_table, legend_dot};

/// The card's title, with the button that asks the same again. Returns whether it was clicked.
pub fn title(ui: &mut Ui, can_ask: bool) -> bool {
    let size = vec2(ui.available_width(), 7.0 * UNIT);
    let layout = Layout::left_to_right(Align::Center);
    ui.allocate_ui_with_layout(size, layout, |ui| {
        let title = RichText::new("Answer").text_style(theme::card_title());
        ui.label(title.color(palette(ui).strong));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let help = "Ask exactly the same once more: a cached answer comes from the cache";
            button(ui, "Send again", Tone::Plain, can_ask, help).clicked()
        })
        .inner
    })
    .inner
}

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, response: &RecommendResponse) {
    let palette = palette(ui);
    let meta = &response.data.meta;
    let (color, who) = match response.data.reasoning_source {
        Path::FastPath => (palette.accent, "System 1"),
        Path::SlowPath => (palette.system2, "System 2"),
    };
    ui.horizontal(|ui| {
        legend_dot(ui, color, true);
        let who = match meta.reasoner.as_ref().map(|used| used.kind) {
            Some(kind @ (ReasonerKind::Mock | ReasonerKind::Local)) => {
                format!("{who} ({})", kind.word())
            }
            Some(ReasonerKind::Llm) | None => who.to_owned(),
        };
        ui.label(RichText::new(who).strong().color(palette.strong));
        let cached = if meta.cached { " · from the cache" } else { "" };
        let text = format!("{} · {}{cached}", response.latency, meta.reason.as_str());
        ui.label(RichText::new(text).color(palette.muted));
    });
    ScrollArea::vertical().id_salt("answer").auto_shrink([false, false]).show(ui, |ui| {
        ui.add(Label::new(RichText::new(&meta.explanation).color(palette.text)).wrap());
        for warning in &meta.warnings {
            ui.add(Label::new(RichText::new(&warning.message).color(palette.warning)).wrap());
        }
        ui.add_space(UNIT);
        let columns =
            [Column::text("Item", 1.6), Column::figure("Score", 1.0), Column::text("Why", 1.7)];
        let rows: Vec<Vec<Cell>> = response
            .data
            .recommendations
            .iter()
            .map(|one| {
                let id = one.item.to_string();
                vec![
                    Cell::text(one.title.clone().unwrap_or(id)),
                    Cell::figure(format!("{:.4}", one.score)),
                    Cell::text(one.reason.clone()).color(palette.muted),
                ]
            })
            .collect();
        grid_table(ui, &columns, &rows);
        ui.add_space(2.0 * UNIT);
        ui.collapsing("JSON", |ui| {
            let text = serde_json::to_string_pretty(response).unwrap_or_default();
            ui.add(Label::new(highlight(&text, palette)).selectable(true).wrap());
        });
    });
}

/// JSON with its keys, texts and numbers in colours.
fn highlight(text: &str, palette: &Palette) -> LayoutJob {
    let mut job = LayoutJob::default();
    let font = theme::figures(11.0);
    let mut put = |part: &str, color: Color32| {
        job.append(part, 0.0, TextFormat::simple(font.clone(), color));
    };
    for line in text.split_inclusive('\n') {
        let (key, value) = match line.find("\": ") {
            Some(at) if line.trim_start().starts_with('"') => line.split_at(at + 2),
            _ => ("", line),
        };
        put(key, palette.muted);
        let color = match value.trim_start().as_bytes().first() {
            Some(b'"') => palette.good,
            Some(b'0'..=b'9' | b'-') => palette.accent,
            Some(b't' | b'f' | b'n') => palette.warning,
            _ => palette.text,
        };
        put(value, color);
    }
    job
}
