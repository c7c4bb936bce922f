//! What is in the loaded set: numbers, two distributions, the first rows.

use eframe::egui::{self, Ui};

use crate::data::Dataset;
use crate::data::stats::{Histogram, Stats};
use crate::workbench::commands::Command;
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Cell, Column, HistogramBar, Tone, button, card, columns, empty_state, grid_table, histogram,
    notice, page_scroll, progress_bar, split_rows, stat,
};

/// Rows of the table.
const FIRST_ROWS: usize = 50;

/// Draw over the whole place.
pub fn ui(ui: &mut Ui, session: &mut Session, error: &mut Option<String>, loading: bool) {
    let mut rect = ui.available_rect_before_wrap();
    if let Some(message) = error.clone() {
        let before = ui.cursor().top();
        notice(ui, palette(ui).error, &message);
        if button(ui, "Dismiss", Tone::Plain, true, "").clicked() {
            *error = None;
        }
        rect = rect.with_min_y(rect.top() + ui.cursor().top() - before + UNIT);
    }
    let Some(loaded) = session.loaded.clone() else {
        card(ui, rect, "nothing", None, |ui| {
            empty_state(ui, "Loading data", "The built-in set is generated in a moment.", |ui| {
                if loading {
                    progress_bar(ui, 240.0, None, "Loading");
                }
            });
        });
        return;
    };
    let (numbers, rest) = split_rows(rect, 132.0);
    let (plots, table) = split_rows(rest, (rest.height() * 0.46).clamp(200.0, 340.0));
    card(ui, numbers, "numbers", None, |ui| stats_ui(ui, &loaded.stats, &loaded.raw));
    if loaded.data.events() == 0 {
        card(ui, rest, "filtered", None, |ui| nothing_left_ui(ui, session, &loaded.raw, loading));
        return;
    }
    let [lengths, gaps] = columns::<2>(plots);
    card(ui, lengths, "lengths", Some("History length"), |ui| {
        let (bars, ticks) = log_bars(&loaded.stats.history_histogram, None, |from, to| {
            let (from, to) = (from.ceil(), (to - 1e-9).floor().max(from.ceil()));
            if from == to { format!("{from} events") } else { format!("{from}–{to} events") }
        });
        histogram(ui, "History length", &bars, Some(&ticks), ["events a user", "users"]);
    });
    card(ui, gaps, "gaps", Some("Time between two events of a user"), |ui| {
        let zeros = loaded.stats.gap_histogram.zeros;
        let (bars, ticks) = log_bars(&loaded.stats.gap_histogram, Some(zeros), |from, to| {
            format!("{} to {}", format::duration(from), format::duration(to))
        });
        histogram(ui, "Gap length", &bars, Some(&ticks), ["gap", "gaps"]);
    });
    card(ui, table, "rows", Some("First rows"), |ui| {
        page_scroll(ui, "first rows", |ui| first_rows(ui, &loaded.data));
    });
}

/// What to do where the filters keep nothing.
fn nothing_left_ui(ui: &mut Ui, session: &mut Session, raw: &Dataset, loading: bool) {
    let filters = &session.config.data;
    let text = format!(
        "There are {} events, but no user with {} or more of items with {} or more{}. Lower the filters at the \
         left and apply them.",
        format::count(raw.events() as u64),
        filters.min_user_events,
        filters.min_item_events,
        if filters.k_core { " once both hold together" } else { "" }
    );
    empty_state(ui, "The filters keep no event", &text, |ui| {
        let help = "2 events per user and 1 per item: a user with one has nothing to predict";
        if button(ui, "Lower them to the least", Tone::Plain, !loading, help).clicked() {
            let least = &mut session.config.data;
            (least.min_user_events, least.min_item_events, least.k_core) = (2, 1, false);
            session.ask(Command::ApplyFilters);
        }
    });
}

fn stats_ui(ui: &mut Ui, stats: &Stats, raw: &Dataset) {
    let rect = ui.available_rect_before_wrap();
    let gap = |value: fn(&crate::data::stats::Gaps) -> f64| stats.gaps.as_ref().map(value);
    let zero = gap(|gaps| gaps.zero_share).map_or_else(dash, format::percent);
    let median = gap(|gaps| gaps.median).map_or_else(dash, format::duration);
    let long = gap(|gaps| gaps.p99).map_or_else(dash, format::duration);
    let span = stats.span.as_ref();
    let days = span.map_or_else(dash, |span| format::duration(span.days * 86_400.0));
    let dates = span.map_or_else(String::new, |span| format!("{} to {}", span.start, span.end));
    let shown: [(&str, String, &str, String); 10] = [
        ("Users", count(stats.users), "", String::new()),
        ("Items", count(stats.items), "", String::new()),
        ("Events", count(stats.events), "", String::new()),
        (
            "Density",
            format::percent(stats.density),
            "",
            "Events for each pair of user and item".into(),
        ),
        ("Span", days, "", dates),
        (
            "History, median",
            format::plain(stats.history.median),
            "events",
            format!("The longest history has {} events", count(stats.history.max)),
        ),
        ("Gap, median", median, "", format!("99 % of gaps are shorter than {long}")),
        ("Zero gaps", zero, "", "Share of gaps of no time at all".into()),
        (
            "Tied timestamps",
            format::percent(stats.tied_timestamps),
            "",
            "Events at the same time as another of their user; they keep the file's order".into(),
        ),
        ("Skipped rows", format::count(raw.report.skipped), "", skipped(raw)),
    ];
    for (index, (label, value, unit, help)) in shown.iter().enumerate() {
        let (column, row) = (index % 5, index / 5);
        let width = rect.width() / 5.0;
        let at = egui::pos2(rect.left() + column as f32 * width, rect.top() + row as f32 * 56.0);
        let place = egui::Rect::from_min_size(at, egui::vec2(width - 2.0 * UNIT, 52.0));
        let mut child = ui.new_child(egui::UiBuilder::new().id_salt(*label).max_rect(place));
        stat(&mut child, label, value, unit, help);
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn count(value: usize) -> String {
    format::count(value as u64)
}

fn skipped(raw: &Dataset) -> String {
    if raw.report.skipped == 0 {
        return "Every row of the file was read".to_owned();
    }
    let mut text = "Left out because something in them was wrong:".to_owned();
    for (line, why) in &raw.report.examples {
        text.push_str(&format!("\nline {}: {why}", format::count(*line)));
    }
    text
}

/// Bars and ticks over the decimal logarithm of a histogram's edges. With `zeros`, x is time, and
/// values of zero stand apart at the left.
fn log_bars(
    histogram: &Histogram,
    zeros: Option<u64>,
    words: impl Fn(f64, f64) -> String,
) -> (Vec<HistogramBar>, Vec<(f64, String)>) {
    let edges = histogram.edges.iter().zip(histogram.edges.iter().skip(1));
    let mut bars: Vec<HistogramBar> = edges
        .zip(&histogram.counts)
        .map(|((&from, &to), &count)| HistogramBar {
            from: from.log10(),
            to: to.log10(),
            count: count as f64,
            label: format!("{}: {}", words(from, to), format::count(count)),
        })
        .collect();
    let (Some(first), Some(last)) = (bars.first().cloned(), bars.last().cloned()) else {
        return (bars, Vec::new());
    };
    let inside = |at: f64| (first.from..=last.to).contains(&at);
    let mut ticks: Vec<(f64, String)> = if zeros.is_some() {
        time_marks(last.to - first.from)
            .iter()
            .map(|seconds| (seconds.log10(), format::tick_duration(*seconds)))
            .filter(|(at, _)| inside(*at))
            .collect()
    } else {
        let parts: &[f64] = match last.to - first.from {
            decades if decades > 2.5 => &[1.0],
            decades if decades > 1.2 => &[1.0, 2.0, 5.0],
            _ => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        };
        (0..8)
            .flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)))
            .map(|value| (value.log10(), format::count(value as u64)))
            .filter(|(at, _)| inside(*at))
            .collect()
    };
    if let Some(zeros) = zeros.filter(|&zeros| zeros > 0) {
        let width = (last.to - first.from) / 30.0;
        let from = first.from - 3.0 * width;
        let label = format!("no time at all: {}", format::count(zeros));
        let bar = HistogramBar { from, to: from + width, count: zeros as f64, label };
        ticks.insert(0, (from + width / 2.0, "0".to_owned()));
        bars.insert(0, bar);
    }
    (bars, ticks)
}

/// Lengths of time to mark on an axis over so many decades: enough to read, too few to collide.
fn time_marks(decades: f64) -> &'static [f64] {
    const MONTH: f64 = 30.44 * 86_400.0;
    const YEAR: f64 = 365.25 * 86_400.0;
    if decades > 5.0 {
        &[0.001, 1.0, 60.0, 3600.0, 86_400.0, MONTH, YEAR]
    } else if decades > 3.0 {
        &[1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0, 604_800.0, MONTH, YEAR]
    } else {
        &[
            1.0,
            2.0,
            5.0,
            10.0,
            30.0,
            60.0,
            120.0,
            300.0,
            600.0,
            1800.0,
            3600.0,
            7200.0,
            21_600.0,
            43_200.0,
            86_400.0,
            172_800.0,
            345_600.0,
            691_200.0,
            MONTH,
            3.0 * MONTH,
            YEAR,
        ]
    }
}

fn first_rows(ui: &mut Ui, data: &Dataset) {
    let has_ratings = !data.rating.is_empty();
    let has_genres = !data.genres.is_empty();
    let mut columns = vec![
        Column::text("User", 1.0),
        Column::text("Item", 2.6),
        Column::figure("Time (UTC)", 2.3),
    ];
    if has_ratings {
        columns.push(Column::figure("Rating", 0.8));
    }
    if has_genres {
        columns.push(Column::text("Genres", 2.0));
    }
    let events = (0..data.users()).flat_map(|user| {
        (data.offsets[user]..data.offsets[user + 1]).map(move |event| (user, event))
    });
    let rows: Vec<Vec<Cell>> = events
        .take(FIRST_ROWS)
        .map(|(user, event)| {
            let item = data.item[event] as usize;
            let mut row = vec![
                Cell::figure(data.user_ids[user].as_str()),
                Cell::text(data.item_title(item)),
                Cell::figure(format::time(data.time[event])),
            ];
            if has_ratings {
                row.push(Cell::figure(format::plain(f64::from(data.rating[event]))));
            }
            if has_genres {
                let genres = data.meta.get(item).map_or(&[][..], |meta| &meta.genres);
                let names: Vec<&str> = genres
                    .iter()
                    .filter_map(|&genre| data.genres.get(usize::from(genre)))
                    .map(String::as_str)
                    .collect();
                row.push(Cell::text(names.join(", ")).color(palette(ui).muted));
            }
            row
        })
        .collect();
    grid_table(ui, &columns, &rows);
}
