//! The Compare page: every run in a table, groups of seeds, differences, quality against latency.

mod columns;
mod detail;
mod rows;
mod scatter;
mod table;

use std::path::Path;

use eframe::egui::{self, RichText, Ui};

use super::Page;
use super::train::result;
use crate::figures;
use crate::jobs::Context;
use crate::runs::{
    AblationTable, Group, RunEntry, RunState, RunStore, RunSummary, groups, write_atomic,
};
use crate::workbench::background::Background;
use crate::workbench::commands::{Command, ExportFormat, PageId, tooltip};
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Tone, button, card, combo, empty_state, page_header, page_scroll, pill, primary, split_right,
    split_rows, text_field,
};
pub use columns::ColumnChoice;
use columns::ColumnInfo;
use rows::Row;

/// What was read from the store.
#[derive(Debug, Default, Clone)]
struct Listing {
    entries: Vec<RunEntry>,
    groups: Vec<Group>,
}

/// Something that was done to runs: what to say, and how to take it back.
struct Done {
    text: String,
    undo: Option<Command>,
}

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
    baseline: Option<String>,
    working: Background<Done>,
    /// The group whose ablation is shown, and its table once it is made.
    ablation: Option<(String, AblationTable)>,
    wanted_group: Option<String>,
    tabulating: Background<(String, AblationTable)>,
}

impl ComparePage {
    fn read(&mut self, session: &mut Session) {
        let Ok(store) = session.store.clone() else { return };
        self.read_at = Some(session.runs_changed);
        let work = move |_: &Context<()>| {
            let entries = store.list();
            let groups = groups(&entries);
            Ok(Listing { entries, groups })
        };
        if let Err(message) = self.reading.start(&session.ctx, "Reading runs", work) {
            session.toasts.error(message);
        }
    }

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

    /// The group to show: of the selected line, else of the newest run that is done.
    fn group(&self) -> Option<String> {
        let selected = self.selected_rows().first().and_then(|row| row.group.clone());
        selected.or_else(|| {
            let done = self.listing.entries.iter().filter(|entry| !entry.archived);
            done.filter_map(|entry| entry.summary.as_ref()).find_map(|s| s.group.clone())
        })
    }

    fn tabulate(&mut self, session: &mut Session) {
        let wanted = self.group();
        if wanted == self.wanted_group {
            return;
        }
        self.wanted_group.clone_from(&wanted);
        let (Some(group), Ok(store)) = (wanted, session.store.clone()) else { return };
        let entries: Vec<RunEntry> = self
            .listing
            .entries
            .iter()
            .filter(|entry| {
                entry.summary.as_ref().is_some_and(|s| s.group.as_ref() == Some(&group))
            })
            .cloned()
            .collect();
        let work = move |_: &Context<()>| Ok((group, ablation_of(&entries, &store)?));
        if let Err(message) = self.tabulating.start(&session.ctx, "Comparing models", work) {
            session.toasts.error(message);
        }
    }

    /// Do something to runs off the UI thread.
    fn work(
        &mut self,
        session: &mut Session,
        name: &str,
        work: impl FnOnce(&RunStore) -> Result<Done, String> + Send + 'static,
    ) {
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        if self.working.is_running() {
            return session.toasts.info("One thing at a time: the last action is not done yet.");
        }
        if let Err(message) = self.working.start(&session.ctx, name, move |_| work(&store)) {
            session.toasts.error(message);
        }
    }

    fn toolbar(&mut self, ui: &mut Ui, session: &mut Session) {
        let mut changed = false;
        ui.horizontal(|ui| {
            let field = text_field(ui, "Filter runs", &mut self.filter, 220.0);
            if self.filter.is_empty() {
                let at = field.rect.left_center() + egui::vec2(8.0, 0.0);
                let font = egui::FontId::proportional(13.0);
                let color = palette(ui).muted;
                ui.painter().text(at, egui::Align2::LEFT_CENTER, "Filter runs", font, color);
            }
            changed |= field.changed();
            let choice = &mut session.kept.columns;
            let help = "Runs that differ only in their seed as one line, mean ± 95 % interval";
            if pill(ui, "Group seeds", choice.grouped, None, help).clicked() {
                choice.grouped = !choice.grouped;
                changed = true;
            }
            if pill(ui, "Archived", choice.archived, None, "Show archived runs too").clicked() {
                choice.archived = !choice.archived;
                changed = true;
            }
            column_menu(ui, choice);
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = match (self.selected.len(), &self.baseline) {
                    (0, None) => "Click a run; Ctrl-click for more".to_owned(),
                    (0, Some(_)) => "Differences to the baseline".to_owned(),
                    (n, _) => format!("{n} selected"),
                };
                ui.label(RichText::new(text).small().color(palette(ui).muted));
            });
        });
        if changed {
            self.arrange(session);
        }
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
        let shown = shown_columns(&session.kept.columns);
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
        if let Some((index, add)) = answer.clicked
            && let Some(key) = self.rows.get(index).map(|row| row.key().to_owned())
        {
            let was = self.selected.contains(&key);
            if !add {
                self.selected.clear();
            }
            if was {
                self.selected.retain(|other| *other != key);
            } else {
                self.selected.push(key);
            }
        }
        if let Some(id) = answer.sort {
            let choice = &mut session.kept.columns;
            choice.descending = choice.sort != id || !choice.descending;
            choice.sort = id;
            self.arrange(session);
        }
    }

    fn header(&self, ui: &mut Ui, session: &mut Session) {
        let selected = self.selected_rows();
        let any = !selected.is_empty();
        let interrupted = match selected.as_slice() {
            [row] if row.state == RunState::Interrupted => Some(row.key().to_owned()),
            _ => None,
        };
        let sentence = self.sentence();
        page_header(ui, "Compare", &sentence, |ui| {
            export_menu(ui, session);
            let help = tooltip(ui.ctx(), &Command::DeleteRuns, "Delete; can be undone");
            if button(ui, "Delete", Tone::Danger, any, &help).clicked() {
                session.ask(Command::DeleteRuns);
            }
            let archived = any && selected.iter().all(|row| row.archived);
            let (label, help) = if archived {
                ("Unarchive", "Take out of the archive")
            } else {
                ("Archive", "Keep out of the way")
            };
            let help = tooltip(ui.ctx(), &Command::ArchiveRuns, help);
            if button(ui, label, Tone::Plain, any, &help).clicked() {
                session.ask(Command::ArchiveRuns);
            }
            let pinned = self.baseline.is_some();
            let label = if pinned { "Unpin baseline" } else { "Pin baseline" };
            let help = "Show the other runs as differences to the selected one";
            let help = tooltip(ui.ctx(), &Command::PinBaseline, help);
            if button(ui, label, Tone::Plain, pinned || selected.len() == 1, &help).clicked() {
                session.ask(Command::PinBaseline);
            }
            if let Some(id) = interrupted {
                let help = "Go on from its last checkpoint, on the Train page";
                if primary(ui, "Resume run", true, help).clicked() {
                    session.ask(Command::ResumeRun(id));
                }
            }
        });
    }

    fn sentence(&self) -> String {
        let entries = &self.listing.entries;
        if entries.is_empty() {
            return "Every run is kept here once something was trained".to_owned();
        }
        let done = entries.iter().filter(|entry| entry.state == RunState::Done).count();
        let interrupted =
            entries.iter().filter(|entry| entry.state == RunState::Interrupted).count();
        let more =
            if interrupted > 0 { format!(", {interrupted} to resume") } else { String::new() };
        format!("{done} finished of {} runs{more}", entries.len())
    }

    /// The lines whose metrics can stand in one plot: of the data and protocol of the ablation
    /// shown, or else of the first finished line.
    fn comparable(&self) -> Vec<&Row> {
        let of = |row: &Row| {
            row.config.as_ref().map(|c| (row.data.clone(), c.evaluation.protocol.word().to_owned()))
        };
        let shown = match &self.ablation {
            Some((_, table)) => Some((table.data.name.clone(), table.protocol.clone())),
            None => self.rows.iter().find(|row| row.ndcg10.is_some()).and_then(of),
        };
        self.rows.iter().filter(|row| of(row) == shown).collect()
    }

    fn export(&mut self, format: ExportFormat, path: &Path, session: &mut Session) {
        let rows = self.rows.clone();
        let shown = shown_columns(&session.kept.columns);
        let ablation = self.ablation.as_ref().map(|(_, table)| table.clone());
        let dark = session.ctx.theme() == egui::Theme::Dark;
        let figure = scatter::figure(&self.comparable(), dark);
        let path = path.to_owned();
        self.work(session, "Exporting", move |_| {
            let svg = || figure.to_svg();
            let bytes = match format {
                ExportFormat::Csv => columns::to_csv(&rows, &shown).into_bytes(),
                ExportFormat::Markdown => {
                    let runs = columns::to_markdown(&rows, &shown);
                    let ablation = ablation.map(|table| table.to_markdown() + "\n");
                    (ablation.unwrap_or_default() + &runs).into_bytes()
                }
                ExportFormat::Svg => svg().into_bytes(),
                ExportFormat::Png => {
                    figures::to_png(&svg(), 2.0).map_err(|error| error.to_string())?
                }
            };
            write_atomic(&path, &bytes)
                .map_err(|error| format!("{} could not be written: {error}", path.display()))?;
            Ok(Done { text: format!("Written to {}", path.display()), undo: None })
        });
    }
}

/// The ablation table of finished runs of one group.
fn ablation_of(entries: &[RunEntry], store: &RunStore) -> Result<AblationTable, String> {
    // Listed newest first; the table goes by the order in which they were started.
    let summaries: Vec<RunSummary> =
        entries.iter().rev().filter_map(|entry| entry.summary.clone()).collect();
    AblationTable::of_stored(store, &summaries).map_err(|error| error.to_string())
}

fn shown_columns(choice: &ColumnChoice) -> Vec<ColumnInfo> {
    let all = columns::all();
    let find = |id: &String| all.iter().find(|column| column.id == *id).cloned();
    choice.shown.iter().filter_map(find).collect()
}

fn column_menu(ui: &mut Ui, choice: &mut ColumnChoice) {
    combo(ui, "Columns", "Columns", |ui| {
        ui.set_min_width(240.0);
        for column in columns::all() {
            let mut on = choice.shown.contains(&column.id);
            if ui.checkbox(&mut on, &column.title).on_hover_text(&column.id).changed() {
                if on {
                    choice.shown.push(column.id);
                } else {
                    choice.shown.retain(|id| *id != column.id);
                }
            }
        }
    });
}

fn export_menu(ui: &mut Ui, session: &mut Session) {
    combo(ui, "Export", "Export…", |ui| {
        ui.set_min_width(260.0);
        for (format, label, help) in [
            (ExportFormat::Csv, "Runs as CSV…", "Lines and columns as shown, plain numbers"),
            (ExportFormat::Markdown, "Tables as Markdown…", "The ablation, and lines as shown"),
            (ExportFormat::Png, "Plot as PNG…", "Quality against latency"),
            (ExportFormat::Svg, "Plot as SVG…", "Quality against latency"),
        ] {
            if crate::workbench::widgets::list_row(ui, label, "", false, help).clicked() {
                session.ask(Command::Export(format));
                ui.close();
            }
        }
    });
}

impl Page for ComparePage {
    fn logic(&mut self, session: &mut Session) {
        if self.read_at != Some(session.runs_changed) && !self.reading.is_running() {
            self.read(session);
        }
        if let Some(listing) = self.reading.poll_or_tell(&mut session.toasts) {
            self.listing = listing;
            self.wanted_group = None;
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
        self.tabulate(session);
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
        let title = match comparable.first().and_then(|row| Some((row, row.config.as_ref()?))) {
            Some((row, config)) => format!(
                "Quality against latency · {}, {}",
                row.data,
                config.evaluation.protocol.word()
            ),
            None => "Quality against latency".to_owned(),
        };
        card(ui, left, "scatter", Some(&title), |ui| {
            if scatter::is_empty(&comparable) {
                let hint = "Finished runs with a measured latency show here.";
                empty_state(ui, "No finished run", hint, |_| {});
            } else {
                scatter::ui(ui, &comparable, &self.selected);
            }
        });
        let selected = self.selected_rows();
        if selected.len() > 1 {
            card(ui, right, "detail", Some("What sets them apart"), |ui| {
                detail::differences_ui(ui, &selected);
            });
            return;
        }
        card(ui, right, "detail", Some("Ablation"), |ui| match &self.ablation {
            Some((group, table)) => page_scroll(ui, "ablation", |ui| {
                result::table_ui(ui, table);
                ui.add_space(2.0 * UNIT);
                result::findings_ui(ui, table);
                let text = format!(
                    "Group {group}, protocol {}, {} on {}. p-values are adjusted (Holm). Select a run to see its group, two or \
                     more to see what sets them apart.",
                    table.protocol, table.data.name, table.device
                );
                ui.label(RichText::new(text).small().color(palette(ui).muted));
            }),
            None => {
                let hint = "Runs that were started together are compared here once they are done.";
                empty_state(ui, "No ablation yet", hint, |_| {});
            }
        });
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::RefreshRuns => session.runs_changed += 1,
            Command::PinBaseline => {
                self.baseline = match (&self.baseline, self.selected.as_slice()) {
                    (None, [key]) => Some(key.clone()),
                    _ => None,
                };
            }
            Command::ArchiveRuns => {
                let ids = self.selected_runs();
                if ids.is_empty() {
                    return;
                }
                let back = self.selected_rows().iter().all(|row| row.archived);
                if back {
                    session.ask(Command::UnarchiveRuns(ids));
                    return;
                }
                self.work(session, "Archiving", move |store| {
                    each(&ids, |id| store.archive(id))?;
                    let text = count_text(ids.len(), "archived");
                    Ok(Done { text, undo: Some(Command::UnarchiveRuns(ids)) })
                });
            }
            Command::UnarchiveRuns(ids) => {
                let ids = ids.clone();
                self.work(session, "Unarchiving", move |store| {
                    each(&ids, |id| store.unarchive(id))?;
                    Ok(Done { text: count_text(ids.len(), "back from the archive"), undo: None })
                });
            }
            Command::DeleteRuns => {
                let ids = self.selected_runs();
                if ids.is_empty() {
                    return;
                }
                self.selected.clear();
                self.work(session, "Deleting", move |store| {
                    each(&ids, |id| store.delete(id))?;
                    let text = count_text(ids.len(), "deleted");
                    Ok(Done { text, undo: Some(Command::RestoreRuns(ids)) })
                });
            }
            Command::RestoreRuns(ids) => {
                let ids = ids.clone();
                self.work(session, "Restoring", move |store| {
                    each(&ids, |id| store.restore(id))?;
                    Ok(Done { text: count_text(ids.len(), "brought back"), undo: None })
                });
            }
            Command::WriteExport(format, path) => self.export(*format, path, session),
            _ => {}
        }
    }
}

fn each(
    ids: &[String],
    mut act: impl FnMut(&str) -> Result<(), crate::runs::RunError>,
) -> Result<(), String> {
    for id in ids {
        act(id).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn count_text(count: usize, what: &str) -> String {
    if count == 1 { format!("One run {what}.") } else { format!("{count} runs {what}.") }
}
