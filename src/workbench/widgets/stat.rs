//! Numbers that stand alone, legends, and histograms.

use eframe::egui::{self, Color32, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{Bar, BarChart};

use crate::workbench::charts::plot;
use crate::workbench::theme::{self, UNIT, palette};

/// A label, a number that matters and its unit.
pub fn stat(ui: &mut Ui, label: &str, value: &str, unit: &str, tooltip: &str) {
    let palette = palette(ui);
    let shown = ui.scope(|ui| {
        ui.spacing_mut().item_spacing = vec2(1.5 * UNIT, UNIT / 2.0);
        ui.vertical(|ui| {
            ui.add(egui::Label::new(RichText::new(label).color(palette.muted)).truncate());
            ui.horizontal(|ui| {
                let figure = RichText::new(value).text_style(theme::big_figure());
                ui.label(figure.color(palette.strong));
                let unit = RichText::new(unit).small().color(palette.muted);
                ui.add(egui::Label::new(unit).truncate());
            });
        });
    });
    if !tooltip.is_empty() {
        shown.response.on_hover_text(tooltip);
    }
}

/// A filled dot, or a ring where the series is hidden.
pub fn legend_dot(ui: &mut Ui, color: Color32, filled: bool) {
    let (rect, _) = ui.allocate_exact_size(vec2(2.5 * UNIT, 4.0 * UNIT), Sense::hover());
    if filled {
        ui.painter().circle_filled(rect.center(), UNIT, color);
    } else {
        ui.painter().circle_stroke(rect.center(), UNIT - 0.75, Stroke::new(1.5, color));
    }
}

/// One bar: from and to on the axis as it is drawn, its height, and what the tooltip says.
#[derive(Debug, Clone)]
pub struct HistogramBar {
    pub from: f64,
    pub to: f64,
    pub count: f64,
    pub label: String,
}

/// Bars over a labelled axis; `ticks` are positions and labels, none for plain numbers.
pub fn histogram(
    ui: &mut Ui,
    name: &str,
    bars: &[HistogramBar],
    ticks: Option<&[(f64, String)]>,
    axes: [&str; 2],
) {
    let color = palette(ui).accent;
    let highest = bars.iter().map(|bar| bar.count).fold(0.0, f64::max);
    let left = bars.first().map_or(0.0, |bar| bar.from);
    let right = bars.last().map_or(1.0, |bar| bar.to);
    let room = (right - left) * 0.015;
    let view = plot::View { x: (left - room, right + room), y: (0.0, highest.max(1.0) * 1.06) };
    let chart: Vec<Bar> = bars
        .iter()
        .map(|bar| {
            Bar::new((bar.from + bar.to) / 2.0, bar.count)
                .width((bar.to - bar.from) * 0.9)
                .fill(color)
                .stroke(Stroke::NONE)
                .name(&bar.label)
        })
        .collect();
    let response = plot::frame(ui, name, axes, plot::Ticks { x: ticks, ..Default::default() })
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            plot.bar_chart(BarChart::new(name, chart).allow_hover(false));
        });
    let pointed = response
        .response
        .hover_pos()
        .map(|pointer| response.transform.value_from_position(pointer).x)
        .and_then(|x| bars.iter().find(|bar| (bar.from..bar.to).contains(&x)));
    if let Some(bar) = pointed {
        let rect = response.transform.rect_from_values(
            &egui_plot::PlotPoint::new(bar.from, 0.0),
            &egui_plot::PlotPoint::new(bar.to, view.y.1),
        );
        let frame = response.transform.frame();
        let shade = palette(ui).accent.gamma_multiply(0.12);
        ui.painter().rect_filled(rect.intersect(*frame), 0.0, shade);
        plot::tooltip(&response.response, &bar.label);
    }
    response.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, format!("{name}, histogram"))
    });
}
