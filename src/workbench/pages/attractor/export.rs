//! The page's files: the picture, the user's way, the analysis.

use std::path::Path;

use super::AttractorPage;
use crate::analysis::portrait;
use crate::figures::{Theme, to_png};
use crate::runs::write_atomic;
use crate::workbench::commands::ExportFormat;
use crate::workbench::session::Session;

impl AttractorPage {
    pub(super) fn export(&mut self, format: ExportFormat, path: &Path, session: &mut Session) {
        let (Some(opened), Some(mut view)) = (self.opened.clone(), self.view()) else {
            session.toasts.error("There is no analysis to export yet.");
            return;
        };
        if session.ctx.theme() == eframe::egui::Theme::Light {
            view.theme = Theme::Light;
        }
        let journeys = self.journeys().to_vec();
        let path = path.to_owned();
        let work = move |_: &crate::jobs::Context<()>| {
            let svg = || portrait(&opened.subject, &opened.landscape, &journeys, view).to_svg();
            let bytes = match format {
                ExportFormat::Svg => svg().into_bytes(),
                ExportFormat::Png => to_png(&svg(), 2.0).map_err(|error| error.to_string())?,
                ExportFormat::Csv => match journeys.first() {
                    Some(journey) => journey.to_csv(&opened.subject).into_bytes(),
                    None => return Err("No user is shown; choose one first.".to_owned()),
                },
                ExportFormat::Json => serde_json::to_vec_pretty(&*opened.landscape)
                    .map_err(|error| error.to_string())?,
                ExportFormat::Markdown | ExportFormat::Html => {
                    return Err("This page exports PNG, SVG, CSV and JSON.".to_owned());
                }
            };
            write_atomic(&path, &bytes)
                .map_err(|error| format!("{} could not be written: {error}", path.display()))?;
            Ok(format!("Written to {}", path.display()))
        };
        if let Err(message) = self.writing.start(&session.ctx, "Exporting", work) {
            session.toasts.error(message);
        }
    }
}
