//! The command palette: every action, found by a few of its letters.

use eframe::egui::{
    self, FontId, Frame, Id, Key, Margin, Modal, Modifiers, RichText, ScrollArea, TextEdit,
};

use super::commands::{Action, Command, actions};
use super::theme::{self, UNIT};
use super::widgets::list_row;

/// Open or not, what was typed, and which line is chosen.
#[derive(Debug, Default)]
pub struct CommandPalette {
    open: bool,
    query: String,
    chosen: usize,
}

impl CommandPalette {
    pub fn toggle(&mut self) {
        *self = Self { open: !self.open, ..Self::default() };
    }

    /// Draw it where it is open; returns the command that was picked.
    pub fn show(&mut self, ctx: &egui::Context) -> Option<Command> {
        if !self.open {
            return None;
        }
        let found = search(&self.query);
        self.chosen = self.chosen.min(found.len().saturating_sub(1));
        let keys = ctx.input_mut(|input| {
            let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
            (pressed(Key::ArrowDown), pressed(Key::ArrowUp), pressed(Key::Enter))
        });
        if keys.0 {
            self.chosen = (self.chosen + 1).min(found.len().saturating_sub(1));
        }
        if keys.1 {
            self.chosen = self.chosen.saturating_sub(1);
        }
        let mut picked = keys.2.then(|| found.get(self.chosen)).flatten().cloned();
        let frame = Frame::popup(&ctx.global_style()).inner_margin(2.5 * UNIT);
        let area = Modal::default_area(Id::unique("command palette"))
            .anchor(egui::Align2::CENTER_TOP, egui::vec2(0.0, 24.0 * UNIT));
        let modal =
            Modal::new(Id::unique("command palette")).frame(frame).area(area).show(ctx, |ui| {
                ui.set_width(520.0);
                let field = TextEdit::singleline(&mut self.query)
                    .hint_text("Type a command…")
                    .desired_width(f32::INFINITY)
                    .margin(Margin::symmetric(8, 6))
                    .font(FontId::proportional(theme::BODY));
                let field = ui.add(field).accessible_name("Find a command");
                field.request_focus();
                if field.changed() {
                    self.chosen = 0;
                }
                ui.add_space(UNIT);
                ScrollArea::vertical().max_height(380.0).auto_shrink([false, true]).show(
                    ui,
                    |ui| {
                        ui.spacing_mut().item_spacing.y = 2.0;
                        for (index, action) in found.iter().enumerate() {
                            let line = line(ui, action, index == self.chosen);
                            if index == self.chosen && (keys.0 || keys.1) {
                                line.scroll_to_me(None);
                            }
                            if line.clicked() {
                                picked = Some(action.clone());
                            }
                        }
                        if found.is_empty() {
                            ui.label(RichText::new("No command has these letters.").weak());
                        }
                    },
                );
            });
        if modal.should_close() || picked.is_some() {
            self.open = false;
        }
        picked.map(|action| action.command)
    }
}

fn line(ui: &mut egui::Ui, action: &Action, chosen: bool) -> egui::Response {
    let shortcut = action.shortcut.map(|shortcut| ui.ctx().format_shortcut(&shortcut));
    list_row(ui, action.title, &shortcut.unwrap_or_default(), chosen, "")
}

/// Actions whose titles hold the letters of `query` in order; the tightest match first.
fn search(query: &str) -> Vec<Action> {
    let mut found: Vec<(usize, Action)> = actions()
        .into_iter()
        .filter(|action| action.command != Command::Palette)
        .filter_map(|action| Some((spread(query, action.title)?, action)))
        .collect();
    found.sort_by_key(|(spread, _)| *spread);
    found.into_iter().map(|(_, action)| action).collect()
}

/// How far apart the letters of `query` are in `text`; `None` where they are not all there.
fn spread(query: &str, text: &str) -> Option<usize> {
    let text = text.to_lowercase();
    let query = query.trim().to_lowercase();
    if let Some(at) = text.find(&query) {
        // Where a word begins it counts alike, so that these stay in the order of the list.
        let begins = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        return Some(usize::from(!begins));
    }
    let mut letters = text.char_indices();
    let (mut first, mut last) = (None, 0);
    for wanted in query.chars().filter(|letter| !letter.is_whitespace()) {
        let (at, _) = letters.find(|(_, letter)| *letter == wanted)?;
        first.get_or_insert(at);
        last = at;
    }
    Some(100 + last - first.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_a_command_and_whole_words_come_first() {
        assert_eq!(search("start")[0].title, "Start training");
        let titles =
            |query| search(query).into_iter().map(|action| action.title).collect::<Vec<_>>();
        assert_eq!(
            titles("trai")[..2],
            ["Go to Train", "Start training"],
            "not the one that stops it"
        );
        assert_eq!(search("exmd")[0].title, "Export as Markdown…");
        assert!(search("zzz").is_empty());
        assert!(search("").len() > 20);
    }
}
