//! The cards at the right: fixed points, and what the model thinks at the moment shown.

use eframe::egui::{RichText, ScrollArea, Ui};

use super::AttractorPage;
use super::work::Opened;
use crate::analysis::{Glance, Landmark, Landscape};
use crate::settings::Solver;
use crate::workbench::format;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Cell, Column, grid_table, pick_table, stat};

/// Items listed at the moment shown.
const TOP: usize = 10;

/// What the cards remember.
#[derive(Default)]
pub struct Side {
    /// The fixed point that was clicked.
    pub selected: Option<usize>,
    /// What the model thinks at a spot of a way, worked out once.
    glance: Option<(usize, String, Glance)>,
}

/// Table of fixed points, and what to hold against it.
pub fn fixed_points(ui: &mut Ui, landscape: &Landscape, side: &mut Side) {
    let palette = palette(ui);
    let note = |ui: &mut Ui, text: &str| {
        ui.label(RichText::new(text).small().color(palette.muted));
    };
    if landscape.fixed_points.is_empty() {
        let text = match landscape.solver {
            Solver::Gru => {
                "A GRU stays where it is between events: it has no field and no attractors. \
                 Choose a run with another solver."
            }
            _ => "No fixed point lies near the states that users visit.",
        };
        note(ui, text);
        return;
    }
    let control = match &landscape.control {
        Some(control) => format!(
            "Median user span {}. Untrained field: {}, {}.",
            format::duration(landscape.median_span_days * 86_400.0),
            counted(control.attractors, "attractor"),
            counted(control.others, "other point")
        ),
        None => String::new(),
    };
    let control = match landscape.caveat() {
        Some(caveat) => format!("{control} {caveat}"),
        None => control,
    };
    let foot = 10.0 * UNIT;
    let area = ui.available_rect_before_wrap();
    let (table, below) =
        area.split_top_bottom_at_y((area.bottom() - foot).max(area.top() + 10.0 * UNIT));
    ui.scope_builder(eframe::egui::UiBuilder::new().max_rect(table).id_salt("table"), |ui| {
        let columns = [
            Column::text("Point", 1.4),
            Column::text("Type", 1.2),
            Column::figure("Relaxes", 1.1),
            Column::figure("Basin", 0.9),
        ];
        let points = &landscape.fixed_points;
        let clicked =
            pick_table(ui, "fixed points", &columns, points.len(), side.selected, |row| {
                let point = &points[row];
                let stable = point.kind.is_stable();
                let name = match stable {
                    true => format!("{} {}", point.name, point.theme),
                    false => point.name.clone(),
                };
                let relaxes = point.relaxation_days;
                let relaxes = relaxes.map_or_else(|| "–".to_owned(), format::days);
                let basin =
                    if stable { format::percent(point.basin_share) } else { "–".to_owned() };
                vec![
                    Cell::text(name),
                    Cell::text(point.kind.title()).color(palette.muted),
                    Cell::figure(relaxes),
                    Cell::figure(basin),
                ]
            });
        if let Some(clicked) = clicked {
            side.selected = (side.selected != Some(clicked)).then_some(clicked);
        }
    });
    let below = below.with_min_y(below.top() + 1.5 * UNIT);
    ui.scope_builder(eframe::egui::UiBuilder::new().max_rect(below).id_salt("control"), |ui| {
        note(ui, &control);
    });
}

impl AttractorPage {
    /// What the model thinks where the state is, or at the fixed point that was clicked.
    pub(super) fn moment(&mut self, ui: &mut Ui, opened: &Opened) {
        let landscape = &opened.landscape;
        if let Some(point) = self.side.selected.and_then(|at| landscape.fixed_points.get(at)) {
            landmark(ui, point, landscape);
            return;
        }
        let Some(drawn) = &self.drawn else { return };
        let Some(journey) = drawn.journeys.first() else { return };
        let days = self.clock.at(journey.span());
        let at = journey.spot_at(days);
        let Some(spot) = journey.spots.get(at) else { return };
        let whose = format!("{:?}", (&drawn.key.user, &drawn.key.items, &drawn.key.times));
        if self.side.glance.as_ref().is_none_or(|(of, key, _)| *of != at || *key != whose) {
            let seen = spot.event + 1;
            let now = journey.times[0].saturating_add((days * 86_400_000.0) as i64);
            let history = (&journey.items[..seen], &journey.times[..seen], now);
            let glance = opened.subject.glance(&spot.state, history, TOP);
            self.side.glance = Some((at, whose, glance));
        }
        let Some((_, _, glance)) = &self.side.glance else { return };
        let title = format!("At day {days:.1}, after event {}", spot.event + 1);
        heading(ui, &title);
        let speed = speed_per_day(journey, at);
        let conflict = glance
            .uncertainty
            .conflict
            .map_or_else(|| "n/a".to_owned(), |bits| format!("{bits:.2}"));
        let entropy = format!("{:.2}", glance.uncertainty.entropy);
        ui.columns(3, |columns| {
            stat(&mut columns[0], "Entropy", &entropy, "", "0 sure, 1 lost; calibrated");
            stat(&mut columns[1], "Conflict", &conflict, "", "With the user's own genres, in bits");
            let help = "How fast the state moves along the components shown";
            stat(&mut columns[2], "Speed", &format::number(speed), "/day", help);
        });
        ui.add_space(UNIT);
        let data = &opened.subject.model.data;
        let rows: Vec<(String, f32)> = glance
            .best
            .iter()
            .map(|&(item, probability)| (data.item_title(item as usize).to_owned(), probability))
            .collect();
        items(ui, &rows);
    }
}

/// `1 attractor`, `2 attractors`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn heading(ui: &mut Ui, text: &str) {
    let title = RichText::new(text).text_style(theme::card_title());
    ui.label(title.color(palette(ui).strong));
}

fn items(ui: &mut Ui, rows: &[(String, f32)]) {
    ScrollArea::vertical().id_salt("top items").auto_shrink([false, false]).show(ui, |ui| {
        let columns = [Column::text("Top items", 2.6), Column::figure("Probability", 1.2)];
        let rows: Vec<Vec<Cell>> = rows
            .iter()
            .map(|(title, probability)| {
                vec![
                    Cell::text(title.clone()),
                    Cell::figure(format!("{:.2} %", 100.0 * probability)),
                ]
            })
            .collect();
        grid_table(ui, &columns, &rows);
    });
}

/// A fixed point in full.
fn landmark(ui: &mut Ui, point: &Landmark, landscape: &Landscape) {
    heading(ui, &format!("{}: {}", point.name, point.kind.title()));
    let slowest = point.eigenvalues.first().map_or([0.0, 0.0], |value| *value);
    let leading = match slowest[1] {
        0.0 => format!("{:.3}", slowest[0]),
        imaginary => format!("{:.3} ± {:.3}i", slowest[0], imaginary.abs()),
    };
    let text = format!(
        "Leading eigenvalue {leading} per model time · |f| = {:.1e}{}",
        point.residual,
        match point.relaxation_days {
            Some(days) if days > 3.0 * landscape.median_span_days => {
                ". It relaxes more slowly than most users are around: nobody comes to rest here."
            }
            _ => "",
        }
    );
    let text = RichText::new(text).small().color(palette(ui).muted);
    ui.add(eframe::egui::Label::new(text).wrap());
    ui.add_space(UNIT);
    let rows: Vec<(String, f32)> = point
        .top_items
        .iter()
        .map(|one| (one.title.clone().unwrap_or_else(|| one.item.clone()), one.probability))
        .collect();
    items(ui, &rows);
}

/// Distance along the kept components to the next spot of the same gap, over the time to it.
fn speed_per_day(journey: &crate::analysis::Journey, at: usize) -> f64 {
    let spots = &journey.spots;
    let pair = spots.get(at).zip(spots.get(at + 1)).filter(|(a, b)| a.event == b.event);
    let pair = pair.or_else(|| {
        let before = at.checked_sub(1)?;
        spots.get(before).zip(spots.get(at)).filter(|(a, b)| a.event == b.event)
    });
    let Some((from, to)) = pair else { return 0.0 };
    let distance: f64 =
        from.position.iter().zip(&to.position).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let days = to.days - from.days;
    if days > 0.0 { distance / days } else { 0.0 }
}
