//! The Compare page: every run in a table, groups of seeds, differences, quality against latency.

mod actions;
mod columns;
mod detail;
mod listing;
mod rows;
mod scatter;
mod table;
mod toolbar;

use eframe::egui::{RichText, Ui};

use super::Page;
use super::train::result;
use crate::runs::AblationTable;
use crate::workbench::background::Background;
use crate::workbench::commands::{Command, PageId};
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    card, empty_state, escape_pressed, page_scroll, primary, split_right, split_rows,
};
use actions::Done;
pub use columns::ColumnChoice;
use listing::{Ablation, Compared, Listing};
use rows::Row;
use table::Add;

/// State of the page.
#[derive(Default)]
pub struct ComparePage {
    listing: Listing,
    reading: Background<Listing>,
    /// What `Session::runs_changed` was when the store was read last; none before.
    read_at: Option<u64>,
    rows: Vec<Row>,
    filter: String,
    selected: Vec<String>,
    /// The line that was clicked last, where a range begins.
    last: Option<String>,
    baseline: Option<String>,
    working: Background<Done>,
    /// The runs that are set against each other, and their table once it is made.
    ablation: Option<Ablation>,
    wanted: Option<Compared>,
    tabulating: Background<Ablation>,
}

impl ComparePage {
    fn arrange(&mut self, session: &Session) {
        let choice = &session.kept.columns;
        let mut rows = if choice.grouped {
            rows::of_groups(&self.listing.entries, &self.listing.groups)
        } else {
            rows::of_runs(&self.listing.entries)
        };
        rows.retain(|row| {
            (choice.archived || !row.archived) && columns::matches(row, &self.filter)
        });
        columns::sort(&mut rows, choice);
        self.rows = rows;
        let known = |key: &String| self.rows.iter().any(|row| row.key() == key);
        self.selected.retain(|key| known(key));
    }

    fn row(&self, key: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.key() == key)
    }

    fn selected_rows(&self) -> Vec<&Row> {
        self.selected.iter().filter_map(|key| self.row(key)).collect()
    }

    /// Ids of all runs behind the selected lines.
    fn selected_runs(&self) -> Vec<String> {
        self.selected_rows().iter().flat_map(|row| row.runs.clone()).collect()
    }

    /// The lines whose metrics can stand in one plot: those that were judged as the ablation shown
    /// was, or else as the first finished line was.
    fn comparable(&self) -> Vec<&Row> {
        let shown = self.ablation.as_ref().map(|ablation| &ablation.judged);
        let first = || self.rows.iter().find_map(|row| row.judged.as_ref());
        shown.or_else(first).map_or_else(Vec::new, |judged| rows::judged_like(&self.rows, judged))
    }

    /// Select the line at `index`, or no longer.
    fn select(&mut self, index: usize, add: Add) {
        let Some(key) = self.rows.get(index).map(|row| row.key().to_owned()) else { return };
        let before = self.rows.iter().position(|row| Some(row.key()) == self.last.as_deref());
        let was = self.selected.contains(&key);
        if add != Add::One {
            self.selected.clear();
        }
        match (add, before) {
            (Add::UpTo, Some(before)) => {
                // The first of them stays the one that the next range begins at.
                let lines = &self.rows[before.min(index)..=before.max(index)];
                self.selected.extend(lines.iter().map(|row| row.key().to_owned()));
                return;
            }
            _ if was => self.selected.retain(|other| *other != key),
            _ => self.selected.push(key.clone()),
        }
        self.last = Some(key);
    }

    /// The table of the selected lines, once it is made.
    fn told(&self) -> Option<&AblationTable> {
        let Ablation { of, table, .. } = self.ablation.as_ref()?;
        (*of == Compared::Selected(self.selected_runs())).then_some(table)
    }

    fn table_ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.toolbar(ui, session);
        ui.add_space(UNIT);
        if self.rows.is_empty() {
            let (title, hint) = if self.listing.entries.is_empty() {
                ("No runs yet", "Train something; every run is kept and shows here.")
            } else {
                ("No run matches", "Change the filter, or show archived runs.")
            };
            empty_state(ui, title, hint, |ui| {
                if self.listing.entries.is_empty() && primary(ui, "Go to Train", true, "").clicked()
                {
                    session.ask(Command::Go(PageId::Train));
                }
            });
            return;
        }
        let shown = toolbar::shown_columns(&session.kept.columns);
        let answer = table::ui(
            ui,
            table::Runs {
                rows: &self.rows,
                shown: &shown,
                choice: &session.kept.columns,
                selected: &self.selected,
                baseline: self.baseline.as_deref().and_then(|key| self.row(key)),
                answer: table::Answer::default(),
            },
        );
        if let Some((index, add)) = answer.clicked {
            self.select(index, add);
        }
        if escape_pressed(ui.ctx()) {
            self.selected.clear();
        }
        if let Some(id) = answer.sort {
            let choice = &mut session.kept.columns;
            choice.descending = choice.sort != id || !choice.descending;
            choice.sort = id;
            self.arrange(session);
        }
    }
}

impl Page for ComparePage {
    fn logic(&mut self, session: &mut Session) {
        if self.read_at != Some(session.runs_changed) && !self.reading.is_running() {
            self.read(session);
        }
        if let Some(listing) = self.reading.poll_or_tell(&mut session.toasts) {
            session.unfinished.clone_from(&listing.unfinished);
            self.listing = listing;
            self.wanted = None;
            self.arrange(session);
        }
        if let Some(ablation) = self.tabulating.poll_or_tell(&mut session.toasts) {
            self.ablation = Some(ablation);
        }
        if let Some(done) = self.working.poll_or_tell(&mut session.toasts) {
            session.runs_changed += 1;
            match done.undo {
                Some(undo) => session.toasts.undo(done.text, undo),
                None => session.toasts.done(done.text),
            }
        }
        // What is listed may be on its way to the trash.
        let listed = self.read_at == Some(session.runs_changed) && !self.reading.is_running();
        if listed && !self.working.is_running() {
            self.tabulate(session);
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        let rect = ui.available_rect_before_wrap();
        let (upper, lower) = split_rows(rect, (rect.height() * 0.52).max(260.0));
        card(ui, upper, "runs", None, |ui| self.table_ui(ui, session));
        if self.listing.entries.is_empty() {
            let hint = "Quality against latency and the ablation table follow from finished runs.";
            card(ui, lower, "nothing", None, |ui| {
                empty_state(ui, "Nothing to compare", hint, |_| {});
            });
            return;
        }
        let (left, right) = split_right(lower, (lower.width() - 360.0).clamp(520.0, 760.0));
        let comparable = self.comparable();
        let title = match comparable.first().and_then(|row| row.judged.as_ref()) {
            Some(judged) => format!("Quality against latency · {}", judged.text()),
            None => "Quality against latency".to_owned(),
        };
        card(ui, left, "scatter", Some(&title), |ui| {
            if self.rows.is_empty() {
                empty_state(ui, "No run matches", "Change the filter above.", |_| {});
            } else if scatter::is_empty(&comparable) {
                let hint = "Runs show here once their latency is measured, after the last training of a plan.";
                empty_state(ui, "No latency yet", hint, |_| {});
            } else {
                scatter::ui(ui, &comparable, &self.selected);
            }
        });
        let selected = self.selected_rows();
        if selected.len() > 1 {
            card(ui, right, "detail", Some("What sets them apart"), |ui| {
                page_scroll(ui, "differences", |ui| {
                    detail::told_ui(ui, &selected, self.told(), self.tabulating.is_running());
                    ui.add_space(UNIT);
                    detail::differences_ui(ui, &selected);
                });
            });
            return;
        }
        let title = match &self.ablation {
            Some(Ablation { of: Compared::Group(_), begun, judged, .. }) => {
                let begun = begun.to_zoned(jiff::tz::TimeZone::system());
                format!("Ablation · {} · {}", begun.strftime("%d %b %H:%M"), judged.text())
            }
            _ => "Ablation".to_owned(),
        };
        card(ui, right, "detail", Some(&title), |ui| match &self.ablation {
            Some(Ablation { of: Compared::Group(group), table, judged, .. }) => {
                page_scroll(ui, "ablation", |ui| {
                    result::table_ui(ui, table);
                    ui.add_space(2.0 * UNIT);
                    result::findings_ui(ui, table);
                    let text = format!(
                        "Group {group}: {} on {}. p-values are adjusted (Holm). Select a run to see its \
                     group, two or more to see what sets them apart.",
                        judged.text(),
                        table.device
                    );
                    ui.label(RichText::new(text).small().color(palette(ui).muted));
                    result::caution_ui(ui, table);
                })
            }
            _ if self.tabulating.is_running() => {}
            _ => {
                let hint = "Runs that were started together are compared here once they are done.";
                empty_state(ui, "No ablation yet", hint, |_| {});
            }
        });
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::RefreshRuns => session.runs_changed += 1,
            Command::ShowNewestRuns => self.selected.clear(),
            Command::PinBaseline => {
                self.baseline = match (&self.baseline, self.selected.as_slice()) {
                    (None, [key]) => Some(key.clone()),
                    _ => None,
                };
            }
            Command::ArchiveRuns => self.archive(session),
            Command::UnarchiveRuns(ids) => self.unarchive(ids.clone(), session),
            Command::DeleteRuns => self.delete(session),
            Command::RestoreRuns(ids) => self.restore(ids.clone(), session),
            Command::WriteExport(format, path)
                if !matches!(session.kept.page, PageId::Attractor | PageId::Experiments) =>
            {
                self.export(*format, path, session);
            }
            _ => {}
        }
    }
}
