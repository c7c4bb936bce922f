//! The card that chooses a user, and the what-if: another item, another gap.

use eframe::egui::{self};
use eframe::egui::{Layout, RichText, Ui};

use super::AttractorPage;
use super::work::Opened;
use crate::workbench::commands::{Command, tooltip};
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Scale, SliderRange, Tone, button, slider_row, text_field};

const MS_PER_DAY: f64 = 86_400_000.0;
/// Shortest and longest gap that can be tried, in days.
const GAPS: (f64, f64) = (0.01, 1000.0);

/// What is tried instead of what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// The event that is edited, an index into the history shown.
    pub event: usize,
    /// Item instead of the event's own.
    pub items: Vec<(usize, u32)>,
    /// Days before the event instead of the gap there was.
    pub gaps: Vec<(usize, f64)>,
    /// Text of the item's field while it is typed.
    typed: Option<String>,
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.gaps.is_empty()
    }

    /// Items and times with the edits; times never run backwards.
    pub fn apply(&self, items: &[u32], times: &[i64]) -> (Vec<u32>, Vec<i64>) {
        let (mut items, mut out) = (items.to_vec(), times.to_vec());
        for &(event, item) in &self.items {
            if let Some(slot) = items.get_mut(event) {
                *slot = item;
            }
        }
        for at in 1..times.len() {
            let own = times[at].saturating_sub(times[at - 1]);
            let tried = self.gaps.iter().find(|(event, _)| *event == at);
            let gap = tried.map_or(own, |(_, days)| (days * MS_PER_DAY) as i64);
            out[at] = out[at - 1].saturating_add(gap);
        }
        (items, out)
    }

    fn set_item(&mut self, event: usize, item: Option<u32>) {
        self.items.retain(|(at, _)| *at != event);
        self.items.extend(item.map(|item| (event, item)));
    }

    fn set_gap(&mut self, event: usize, days: f64) {
        self.gaps.retain(|(at, _)| *at != event);
        self.gaps.push((event, days));
    }
}

impl AttractorPage {
    pub(super) fn user_card(&mut self, ui: &mut Ui, opened: &Opened, session: &mut Session) {
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        ui.horizontal(|ui| {
            let title = RichText::new("User").text_style(theme::card_title());
            ui.label(title.color(palette(ui).strong));
            ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = UNIT;
                let help = "Of the held-out users who stay for long, the one whose gaps vary most";
                if button(ui, "Most irregular", Tone::Plain, true, help).clicked()
                    && let Some(user) = opened.most_irregular
                {
                    self.choose(user);
                }
                let help = tooltip(ui.ctx(), &Command::RandomUser, "Any other held-out user");
                if button(ui, "Random", Tone::Plain, true, &help).clicked() {
                    session.ask(Command::RandomUser);
                }
            });
        });
        let response = text_field(ui, "Find a user", &mut self.search, ui.available_width() - 16.0);
        let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        if self.search.is_empty() && !response.has_focus() {
            let at = response.rect.left_center() + egui::vec2(8.0, 0.0);
            let font = egui::FontId::proportional(theme::BODY);
            let muted = palette(ui).muted;
            ui.painter().text(at, egui::Align2::LEFT_CENTER, "user id, then Enter", font, muted);
        }
        if entered && !self.search.trim().is_empty() {
            match opened.subject.user(self.search.trim()) {
                Ok(user) => self.choose(user),
                Err(error) => session.toasts.error(error.to_string()),
            }
        }
        self.what_if(ui, opened, session);
    }

    fn what_if(&mut self, ui: &mut Ui, opened: &Opened, session: &mut Session) {
        let Some((items, times)) =
            self.drawn.as_ref().map(|drawn| (drawn.key.items.clone(), drawn.key.times.clone()))
        else {
            return;
        };
        let last = items.len().saturating_sub(1);
        self.edits.event = self.edits.event.min(last);
        let event = self.edits.event;
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = UNIT;
            let text = format!("What if, at event {} of {}", event + 1, last + 1);
            ui.label(RichText::new(text).color(palette(ui).text));
            ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
                let help = "Back to what happened";
                let edited = !self.edits.is_empty();
                if button(ui, "Reset", Tone::Plain, edited, help).clicked() {
                    self.edits = super::Edits { event, ..Default::default() };
                }
                if button(ui, "›", Tone::Plain, event < last, "The next event").clicked() {
                    (self.edits.event, self.edits.typed) = (event + 1, None);
                }
                if button(ui, "‹", Tone::Plain, event > 0, "The event before").clicked() {
                    (self.edits.event, self.edits.typed) = (event - 1, None);
                }
            });
        });
        let data = &opened.subject.model.data;
        let Some(&item) = items.get(event) else { return };
        let mut text =
            self.edits.typed.clone().unwrap_or_else(|| data.item_ids[item as usize].clone());
        ui.horizontal(|ui| {
            let field = text_field(ui, "Item", &mut text, 22.0 * UNIT);
            let title = RichText::new(data.item_title(item as usize)).small();
            ui.add(egui::Label::new(title.color(palette(ui).muted)).truncate());
            if field.changed() {
                self.edits.typed = Some(text.clone());
            }
            if field.lost_focus() && self.edits.typed.take().is_some() {
                match opened.subject.model.item(text.trim()) {
                    Some(item) => self.edits.set_item(event, Some(item)),
                    None => session
                        .toasts
                        .error(format!("Item “{}” is not in the catalogue.", text.trim())),
                }
            }
        });
        if event > 0 {
            let gap = (times[event] - times[event - 1]) as f64 / MS_PER_DAY;
            let mut days = gap.clamp(GAPS.0, GAPS.1);
            let range = SliderRange {
                min: GAPS.0,
                max: GAPS.1,
                scale: Scale::Logarithmic,
                integer: false,
                unit: "days",
            };
            let help = "Time since the event before; drag it and watch the way change";
            if slider_row(ui, "Gap before it", &mut days, range, help) {
                self.edits.set_gap(event, days);
            }
        } else {
            let text = format!("The first event, {}", format::time(times[0]));
            ui.label(RichText::new(text).small().color(palette(ui).muted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_moves_what_comes_after_and_an_item_takes_its_place() {
        const DAY: i64 = 86_400_000;
        let mut edits = Edits::default();
        assert!(edits.is_empty());
        let (items, times) = ([7, 8, 9], [0, DAY, 3 * DAY]);
        assert_eq!(edits.apply(&items, &times), (items.to_vec(), times.to_vec()));
        edits.set_gap(1, 2.0);
        edits.set_item(2, Some(4));
        assert_eq!(edits.apply(&items, &times), (vec![7, 8, 4], vec![0, 2 * DAY, 4 * DAY]));
        edits.set_gap(1, 0.5);
        edits.set_item(2, None);
        assert_eq!(edits.apply(&items, &times).1, [0, DAY / 2, DAY / 2 + 2 * DAY]);
        // Edits of another, longer history do no harm.
        edits.set_item(99, Some(1));
        assert_eq!(edits.apply(&items, &times).0, items);
    }
}
