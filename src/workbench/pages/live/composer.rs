//! A request as it is being written: user, history, forced path.

use std::sync::Arc;

use eframe::egui::{self, RichText, TextEdit, Ui};

use crate::routing::Force;
use crate::serving::traffic::Person;
use crate::serving::wire::{ItemId, RecommendRequest};
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Tone, button, pill, text_field};

/// The fields of the composer.
#[derive(Clone, PartialEq)]
pub struct Composer {
    user: String,
    /// Ids, separated by commas.
    items: String,
    /// Times in units of 10 days, separated by commas.
    times: String,
    force: Force,
    /// Which of the held-out users is next.
    turn: usize,
}

impl Default for Composer {
    fn default() -> Self {
        Self {
            user: "demo_user".to_owned(),
            items: "1, 2".to_owned(),
            times: "0.1, 0.2".to_owned(),
            force: Force::No,
            turn: 0,
        }
    }
}

impl Composer {
    /// Draw the fields. Enter in one of them asks to send; returns whether it was pressed.
    pub fn ui(&mut self, ui: &mut Ui, people: Option<&Arc<[Person]>>) -> bool {
        let mut sent = false;
        let has_people = people.is_some_and(|people| !people.is_empty());
        ui.horizontal(|ui| {
            ui.label(RichText::new("User").color(palette(ui).text));
            let help = "Take the history of another held-out user of this run";
            let right = egui::Layout::right_to_left(egui::Align::Center);
            ui.with_layout(right, |ui| {
                if button(ui, "Next real user", Tone::Plain, has_people, help).clicked()
                    && let Some(people) = people
                {
                    self.take(&people[self.turn % people.len()]);
                    // A step coprime to most sizes, so that neighbours differ.
                    self.turn += 7919;
                }
            });
        });
        let enter = |response: &egui::Response, ui: &Ui| {
            response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
        };
        let width = ui.available_width() - 4.0 * UNIT;
        let response = text_field(ui, "User id", &mut self.user, width);
        sent |= enter(&response, ui);
        for (name, hint, text) in [
            ("Items, oldest first", "ids, separated by commas", &mut self.items),
            ("Times, in units of 10 days", "one for each item", &mut self.times),
        ] {
            ui.label(RichText::new(name).color(palette(ui).text));
            let field = TextEdit::multiline(text)
                .desired_rows(2)
                .desired_width(width)
                .hint_text(hint)
                .font(theme::figures(12.0));
            ui.add(field).accessible_name(name);
        }
        ui.horizontal(|ui| {
            for (force, name, help) in [
                (Force::No, "Routed", "The router decides"),
                (Force::Fast, "Force fast", "X-Demo-Mode: force_fast, System 1 answers"),
                (Force::Slow, "Force slow", "X-Demo-Mode: force_slow, System 2 answers"),
            ] {
                if pill(ui, name, self.force == force, None, help).clicked() {
                    self.force = force;
                }
            }
        });
        sent
    }

    /// Show a user of the model's own data, unless something was written already.
    pub fn begin(&mut self, people: &[Person]) {
        if let Some(person) = people.first().filter(|_| *self == Self::default()) {
            self.take(person);
        }
    }

    fn take(&mut self, person: &Person) {
        self.user.clone_from(&person.user_id);
        self.items = person.items.join(", ");
        let first = person.times.first().copied().unwrap_or_default();
        let times: Vec<String> = person
            .times
            .iter()
            .map(|time| {
                // Only gaps matter to the model, so the history starts at 0.
                units_text((time - first) as f64 / (10.0 * 86_400_000.0))
            })
            .collect();
        self.times = times.join(", ");
    }

    /// Show a request that was logged.
    pub fn load(&mut self, request: &RecommendRequest) {
        let join = |texts: Vec<String>| texts.join(", ");
        self.user.clone_from(&request.user_id);
        self.items = join(request.recent_items.iter().map(ToString::to_string).collect());
        let units = match (&request.recent_times, &request.recent_timestamps) {
            (Some(times), _) => times.clone(),
            (None, Some(seconds)) => {
                let first = seconds.first().copied().unwrap_or_default();
                seconds.iter().map(|second| (second - first) / (10.0 * 86_400.0)).collect()
            }
            (None, None) => Vec::new(),
        };
        self.times = join(units.into_iter().map(units_text).collect());
    }

    /// The request, or what is wrong with the fields.
    pub fn request(&self) -> Result<(RecommendRequest, Force), String> {
        let parts = |text: &str| -> Vec<String> {
            text.split([',', ' ', '\n'])
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let times = parts(&self.times)
            .iter()
            .map(|time| {
                time.parse::<f64>().map_err(|_| format!("“{time}” is not a time; write numbers"))
            })
            .collect::<Result<Vec<f64>, String>>()?;
        let request = RecommendRequest {
            user_id: self.user.clone(),
            recent_items: parts(&self.items).iter().map(|id| ItemId::of(id)).collect(),
            recent_times: Some(times),
            ..Default::default()
        };
        Ok((request, self.force))
    }

    /// The same request as a line for a shell.
    pub fn curl(&self, address: &str, token: Option<&str>) -> Result<String, String> {
        let (request, force) = self.request()?;
        let body = serde_json::to_string(&request).map_err(|error| error.to_string())?;
        let mut line =
            format!("curl -X POST {address}/recommend -H 'Content-Type: application/json'");
        match force {
            Force::No => {}
            Force::Fast => line.push_str(" -H 'X-Demo-Mode: force_fast'"),
            Force::Slow => line.push_str(" -H 'X-Demo-Mode: force_slow'"),
        }
        if token.is_some() {
            // The token itself stays out of shell histories and screenshots.
            line.push_str(" -H \"Authorization: Bearer $DEEPM3_TOKEN\"");
        }
        line.push_str(&format!(" -d '{}'", body.replace('\'', "'\\''")));
        Ok(line)
    }
}

/// A time to a second, without places that say nothing.
fn units_text(units: f64) -> String {
    format!("{units:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_a_request_and_a_line_for_a_shell() {
        let composer = Composer { user: "o'neil".to_owned(), ..Composer::default() };
        let (request, force) = composer.request().unwrap();
        assert_eq!(request.recent_items, [ItemId::Number(1), ItemId::Number(2)]);
        assert_eq!(request.recent_times.as_deref(), Some(&[0.1, 0.2][..]));
        assert_eq!(force, Force::No);
        let line = composer.curl("http://127.0.0.1:8000", Some("secret")).unwrap();
        assert!(line.contains(r"o'\''neil"), "{line}");
        assert!(!line.contains("secret"), "{line}");
        let wrong = Composer { times: "soon".to_owned(), ..Composer::default() };
        assert!(wrong.request().unwrap_err().contains("soon"));
    }
}
