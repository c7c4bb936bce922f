//! What the server does right now: the numbers of the last seconds, and four plots.

use eframe::egui::{self, Layout, Rect, RichText, Ui, vec2};

use crate::reasoning::BreakerState;
use crate::routing::Reason;
use crate::serving::Engine;
use crate::serving::telemetry::{LiveView, Served, Window};
use crate::settings::ReasonerKind;
use crate::workbench::charts::times::{Labels, Scale, Trace, chart};
use crate::workbench::format;
use crate::workbench::theme::{Palette, UNIT, card_title, palette};
use crate::workbench::widgets::{card, columns, pill, split_rows, stat};

/// Height of the row of numbers.
const NUMBERS: f32 = 16.0 * UNIT;

/// What is looked at.
#[derive(Debug, Default)]
pub struct Choice {
    pub window: Window,
    /// Which of the levels the last plot shows.
    pub level: Level,
    /// Time pointed at, in seconds before now, shared between the plots.
    cursor: Option<f64>,
}

/// A level of the budget or the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    #[default]
    Tokens,
    Share,
    Cost,
    Hits,
}

/// The colour of a path, the same on every page.
pub fn path_color(palette: &Palette, served: Served) -> egui::Color32 {
    match served {
        Served::Fast => palette.accent,
        Served::Slow => palette.system2,
        Served::Cache => palette.good,
    }
}

/// The name of a path, for people.
pub fn path_name(served: Served) -> &'static str {
    match served {
        Served::Fast => "System 1",
        Served::Slow => "System 2",
        Served::Cache => "Cache",
    }
}

/// A reason's name, for people.
pub fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Forced => "forced",
        Reason::Confident => "confident",
        Reason::Uncertain => "uncertain",
        Reason::Conflict => "conflict",
        Reason::BudgetExhausted => "no budget",
        Reason::BreakerOpen => "breaker open",
        Reason::Cache => "cache",
    }
}

fn reason_color(palette: &Palette, reason: Reason) -> egui::Color32 {
    match reason {
        Reason::Forced => palette.muted,
        Reason::Confident => palette.accent,
        Reason::Uncertain => palette.system2,
        Reason::Conflict => palette.system2.gamma_multiply(0.55),
        Reason::BudgetExhausted => palette.warning,
        Reason::BreakerOpen => palette.error,
        Reason::Cache => palette.good,
    }
}

/// Draw numbers and plots over `rect`.
pub fn ui(ui: &mut Ui, rect: Rect, engine: &Engine, choice: &mut Choice) {
    let view = engine.telemetry().live(choice.window);
    let (top, plots) = split_rows(rect, NUMBERS);
    card(ui, top, "live numbers", None, |ui| numbers(ui, engine, &view));
    let (upper, lower) = split_rows(plots, (plots.height() - 3.0 * UNIT) / 2.0);
    let [latency, requests] = columns(upper);
    let [reasons, levels] = columns(lower);
    let pointed = choice.cursor.take();
    let mut cursor = pointed;
    // The time pointed at lasts only while a plot is pointed at.
    let inside = ui.input(|input| input.pointer.hover_pos()).is_some_and(|at| plots.contains(at));
    if !inside {
        cursor = None;
    }
    card(ui, latency, "latency", None, |ui| {
        title_row(ui, "Latency: p50, and p99 dashed", |_| ());
        latencies(ui, &view, &mut cursor);
    });
    card(ui, requests, "requests a second", None, |ui| {
        title_row(ui, "Requests", |_| ());
        requests_by_path(ui, &view, &mut cursor);
    });
    card(ui, reasons, "decisions", None, |ui| {
        title_row(ui, "Decisions by reason", |_| ());
        decisions(ui, &view, &mut cursor);
    });
    card(ui, levels, "levels", None, |ui| {
        title_row(ui, "Levels", |ui| {
            for (level, name, help) in [
                (Level::Hits, "Hits", "Share of the answers that came from the cache"),
                (Level::Cost, "Cost", "Dollars that System 2 took in the hour before"),
                (Level::Share, "Share", "Escalated, of the requests that the cache did not answer"),
                (Level::Tokens, "Tokens", "Tokens in the router's bucket"),
            ] {
                if pill(ui, name, choice.level == level, None, help).clicked() {
                    choice.level = level;
                }
            }
        });
        level(ui, &view, choice.level, &mut cursor);
    });
    choice.cursor = cursor;
}

/// How far back the plots reach: pills, the last one first.
pub fn windows(ui: &mut Ui, choice: &mut Choice) {
    ui.spacing_mut().item_spacing.x = UNIT;
    for window in Window::ALL.into_iter().rev() {
        let help = "How far back the plots reach";
        if pill(ui, window.title(), choice.window == window, None, help).clicked() {
            choice.window = window;
        }
    }
}

/// A card's title with choices at its right.
fn title_row(ui: &mut Ui, title: &str, choices: impl FnOnce(&mut Ui)) {
    let size = vec2(ui.available_width(), 6.0 * UNIT);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(egui::Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        ui.label(RichText::new(title).text_style(card_title()).color(palette(ui).strong));
        ui.with_layout(Layout::right_to_left(egui::Align::Center), choices);
    });
}

fn numbers(ui: &mut Ui, engine: &Engine, view: &LiveView) {
    let (now, levels, breaker) = (&view.current, engine.levels(), engine.breaker());
    let milliseconds = |value: Option<f64>| value.map_or("–".to_owned(), format::number);
    let p99 = |served: Served| milliseconds(now.paths[served as usize].p99_ms);
    let of_budget = format!("of {}", format::plain(levels.capacity));
    let (state, wait) = match (breaker.state, breaker.retry_in) {
        (BreakerState::Closed, _) => ("closed", String::new()),
        (BreakerState::HalfOpen, _) => ("half-open", "next call tries".to_owned()),
        (BreakerState::Open, Some(left)) => {
            ("open", format!("tries in {} s", left.as_secs_f64().ceil()))
        }
        (BreakerState::Open, None) => ("open", "trying".to_owned()),
    };
    let hit_rate = now.hit_rate.map_or("–".to_owned(), |rate| format!("{:.1}", 100.0 * rate));
    let (p99_label, cost_label) = match engine.health().reasoner {
        ReasonerKind::Mock => ("Mock p99", "Mock cost"),
        ReasonerKind::Llm => ("LLM p99", "LLM cost"),
        ReasonerKind::Local => ("Local p99", "Local cost"),
    };
    let log = engine.impressions().map(|log| log.status());
    let requests_help = match &log {
        Some(log) => format!(
            "Answers a second, last 10 s; {} lines in {}",
            format::count(log.written),
            log.file.display()
        ),
        None => "Answers a second, last 10 s; not logged".to_owned(),
    };
    let mut stats: Vec<(&str, String, &str, &str)> = vec![
        ("Requests", format::number(now.requests), "/s", &requests_help),
        ("System 1 p99", p99(Served::Fast), "ms", "99 of 100 were answered faster, last 10 s"),
        (
            p99_label,
            p99(Served::Slow),
            "ms",
            "Of requests that System 2 answered, last 10 s; the mock's latency is simulated",
        ),
        ("Cache hits", hit_rate, "%", "Share of the answers that came from the cache, last 10 s"),
        ("Tokens", format!("{:.1}", levels.tokens), &of_budget, "In the router's bucket"),
        (
            cost_label,
            format!("${:.3}", levels.hour_cost),
            "/h",
            "Dollars that System 2 took in the hour before now, at the prices set; the mock's are \
             simulated",
        ),
        ("Breaker", state.to_owned(), &wait, "Open: System 2 failed too often and is left alone"),
    ];
    let failing = log.as_ref().and_then(|log| Some((log.lost, log.failing.as_deref()?)));
    if let Some((lost, why)) = failing {
        stats.push(("Log failing", format::count(lost), "lost", why));
    }
    let whole = ui.available_rect_before_wrap();
    let width = whole.width() / stats.len() as f32;
    for (at, (label, value, unit, help)) in stats.into_iter().enumerate() {
        let corner = whole.left_top() + vec2(at as f32 * width, 0.0);
        let place = Rect::from_min_size(corner, vec2(width - UNIT, whole.height()));
        let mut column = ui.new_child(egui::UiBuilder::new().id_salt(label).max_rect(place));
        column.shrink_clip_rect(place);
        stat(&mut column, label, &value, unit, help);
    }
}

fn span(view: &LiveView) -> (&[f64], f64) {
    (&view.seconds, view.window.seconds() as f64)
}

fn latencies(ui: &mut Ui, view: &LiveView, cursor: &mut Option<f64>) {
    let palette = palette(ui);
    let mut traces = Vec::new();
    for served in Served::ALL {
        let path = &view.paths[served as usize];
        if path.p50_ms.iter().all(|value| value.is_nan()) {
            continue;
        }
        let color = path_color(palette, served);
        let name = path_name(served);
        traces.push(Trace { name, color, values: &path.p50_ms, dashed: false });
        traces.push(Trace { name: "p99", color, values: &path.p99_ms, dashed: true });
    }
    let value = |value: f64| format!("{} ms", format::number(value));
    let labels = Labels { name: "Latency by path", y: "latency (ms)", value };
    chart(ui, &labels, span(view), &traces, Scale::Log, cursor);
}

fn requests_by_path(ui: &mut Ui, view: &LiveView, cursor: &mut Option<f64>) {
    let palette = palette(ui);
    let mut traces: Vec<Trace<'_>> = Served::ALL
        .into_iter()
        .map(|served| Trace {
            name: path_name(served),
            color: path_color(palette, served),
            values: &view.paths[served as usize].requests,
            dashed: false,
        })
        .collect();
    traces.push(Trace {
        name: "Refused",
        color: palette.error,
        values: &view.rejected,
        dashed: false,
    });
    let value = |value: f64| format!("{} /s", format::number(value));
    let labels = Labels { name: "Requests a second", y: "requests/s", value };
    chart(ui, &labels, span(view), &traces, Scale::Stacked, cursor);
}

fn decisions(ui: &mut Ui, view: &LiveView, cursor: &mut Option<f64>) {
    let palette = palette(ui);
    let traces: Vec<Trace<'_>> = Reason::ALL
        .iter()
        .filter(|&&reason| view.decisions[reason as usize].iter().any(|&rate| rate > 0.0))
        .map(|&reason| Trace {
            name: reason_name(reason),
            color: reason_color(palette, reason),
            values: &view.decisions[reason as usize],
            dashed: false,
        })
        .collect();
    let value = |value: f64| format!("{} /s", format::number(value));
    let labels = Labels { name: "Decisions by reason", y: "decisions/s", value };
    chart(ui, &labels, span(view), &traces, Scale::Stacked, cursor);
}

fn level(ui: &mut Ui, view: &LiveView, level: Level, cursor: &mut Option<f64>) {
    let palette = palette(ui);
    let percent = |values: &[f64]| values.iter().map(|value| 100.0 * value).collect::<Vec<_>>();
    let (share, hits) = (percent(&view.share), percent(&view.hit_rate));
    let as_percent: fn(f64) -> String = |value| format!("{value:.1} %");
    let (name, y, values, color, scale, value): (_, _, &[f64], _, _, fn(f64) -> String) =
        match level {
            Level::Tokens => {
                let value = |value: f64| format!("{value:.1}");
                let scale = Scale::Linear(1.0);
                ("Tokens in the bucket", "tokens", &view.tokens, palette.warning, scale, value)
            }
            Level::Share => {
                let scale = Scale::Linear(1.0);
                ("Escalated share", "of requests (%)", &share, palette.system2, scale, as_percent)
            }
            Level::Cost => {
                let value = |value: f64| format!("${}", format::number(value));
                let scale = Scale::Linear(0.001);
                (
                    "Cost of System 2",
                    "$ in the hour before",
                    &view.hour_cost,
                    palette.system2,
                    scale,
                    value,
                )
            }
            Level::Hits => {
                let scale = Scale::Linear(80.0);
                ("Cache hits", "of answers (%)", &hits, palette.good, scale, as_percent)
            }
        };
    let labels = Labels { name, y, value };
    let traces = [Trace { name, color, values, dashed: false }];
    chart(ui, &labels, span(view), &traces, scale, cursor);
}
