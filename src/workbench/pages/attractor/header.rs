//! The headline: run, plane, what is drawn, export.

use eframe::egui::Ui;

use super::AttractorPage;
use super::work::Opened;
use crate::analysis::View;
use crate::workbench::commands::{Command, ExportFormat};
use crate::workbench::session::Session;
use crate::workbench::theme::UNIT;
use crate::workbench::widgets::{combo, page_header, pill};

/// Arrows along x, from few to many.
const DENSITIES: [(usize, &str); 3] = [(18, "Sparse"), (26, "Medium"), (38, "Dense")];

impl AttractorPage {
    pub(super) fn header(&mut self, ui: &mut Ui, session: &mut Session) {
        let sentence = self.sentence();
        page_header(ui, "Attractor", &sentence, |ui| {
            ui.spacing_mut().item_spacing.x = UNIT;
            if self.shown().is_some() {
                self.export_menu(ui, session);
                self.overlay_pills(ui);
                self.plane(ui);
            }
            if !self.runs.is_empty() {
                self.runs.ui(ui);
            }
        });
    }

    /// What is drawn, where it is of the run that is chosen.
    fn shown(&self) -> Option<&Opened> {
        let chosen = self.runs.run().map(|run| &run.id);
        self.opened.as_ref().filter(|opened| Some(&opened.run) == chosen)
    }

    fn sentence(&self) -> String {
        let drawn = self.drawn.as_ref().and_then(|drawn| drawn.journeys.first());
        match (self.shown(), drawn) {
            (Some(opened), Some(journey)) => format!(
                "User {} of {} · {} events over {:.0} days",
                journey.user_id,
                opened.subject.model.data.name,
                journey.visits.len(),
                journey.span()
            ),
            (Some(opened), None) => {
                format!(
                    "{} held-out users of {}",
                    opened.users.len(),
                    opened.subject.model.data.name
                )
            }
            (None, _) => "What the model has learned, and what draws its users".to_owned(),
        }
    }

    fn export_menu(&mut self, ui: &mut Ui, session: &mut Session) {
        combo(ui, "Export", "Export…", |ui| {
            ui.set_min_width(220.0);
            for (format, name, help) in [
                (ExportFormat::Png, "Picture as PNG…", "The plot as it is shown"),
                (ExportFormat::Svg, "Picture as SVG…", "The plot as it is shown"),
                (ExportFormat::Csv, "The user's way as CSV…", "Time, event and position"),
                (ExportFormat::Json, "Fixed points as JSON…", "All that the analysis found"),
            ] {
                if ui.button(name).on_hover_text(help).clicked() {
                    session.ask(Command::Export(format));
                    ui.close();
                }
            }
        });
    }

    fn overlay_pills(&mut self, ui: &mut Ui) {
        let overlays = &mut self.overlays;
        // From the right end leftwards.
        for (on, name, help) in [
            (
                &mut overlays.solvers,
                "Solvers",
                "The same weights and history integrated by the other solvers too",
            ),
            (
                &mut overlays.basins,
                "Basins",
                "Colour the visited states by the attractor they flow to",
            ),
            (&mut overlays.others, "Others", "States that other users visit"),
            (
                &mut overlays.shading,
                "Depth",
                "Shade where the field mostly points out of the plane: arrows there say little",
            ),
            (&mut overlays.field, "Field", "Where a state at each place would flow"),
        ] {
            if pill(ui, name, *on, None, help).clicked() {
                *on = !*on;
            }
        }
        let shown = DENSITIES
            .iter()
            .find(|(density, _)| *density == overlays.density)
            .map_or("Medium", |(_, name)| name);
        combo(ui, "Arrows", shown, |ui| {
            for (density, name) in DENSITIES {
                ui.selectable_value(&mut overlays.density, density, name);
            }
        });
    }

    /// Which principal components are on x and y.
    fn plane(&mut self, ui: &mut Ui) {
        let Some(opened) = &self.opened else { return };
        let kept = opened.landscape.explained_variance.len();
        let axes = self.axes();
        let mut chosen = axes;
        let shown = format!("PC {}–{}", axes[0] + 1, axes[1] + 1);
        combo(ui, "Plane", &shown, |ui| {
            ui.set_min_width(260.0);
            for (axis, name) in [(0, "On x"), (1, "On y")] {
                ui.label(name);
                for component in 0..kept {
                    let label = View::axis_label(&opened.landscape, component);
                    if ui.selectable_label(axes[axis] == component, label).clicked() {
                        // Two different ones: the other makes way.
                        if chosen[1 - axis] == component {
                            chosen[1 - axis] = axes[axis];
                        }
                        chosen[axis] = component;
                    }
                }
            }
        });
        if chosen != axes {
            self.axes = chosen;
            self.zoom = None;
        }
    }
}
