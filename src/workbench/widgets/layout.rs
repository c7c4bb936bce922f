//! Where things go on a page: headers, cards, columns, and what an empty place says.

use eframe::egui::emath::GuiRounding as _;
use eframe::egui::{
    self, Align, CornerRadius, Frame, Layout, Margin, Rect, RichText, ScrollArea, Stroke,
    StrokeKind, TextStyle, Ui, UiBuilder, pos2, vec2,
};

use crate::workbench::theme::{self, CARD_RADIUS, UNIT, palette};

/// Space between cards.
const GUTTER: f32 = 3.0 * UNIT;

/// The headline of a page, the sentence under it, and its actions at the right (added from the
/// right end leftwards). Returns what `actions` returned.
pub fn page_header<R>(
    ui: &mut Ui,
    title: &str,
    sentence: &str,
    actions: impl FnOnce(&mut Ui) -> R,
) -> R {
    let palette = palette(ui);
    let full = ui.available_rect_before_wrap();
    let rect = Rect::from_min_size(full.min, vec2(full.width(), 12.0 * UNIT));
    let mut right = ui.new_child(
        UiBuilder::new()
            .id_salt("header actions")
            .max_rect(rect)
            .layout(Layout::right_to_left(Align::Center)),
    );
    let result = actions(&mut right);
    let mut text_rect = rect;
    text_rect.max.x = (right.min_rect().left() - 2.0 * GUTTER).max(rect.left());
    let mut left = ui.new_child(
        UiBuilder::new()
            .id_salt("header text")
            .max_rect(text_rect)
            .layout(Layout::top_down(Align::Min)),
    );
    left.spacing_mut().item_spacing.y = UNIT;
    left.add(egui::Label::new(RichText::new(title).heading().color(palette.strong)).truncate());
    left.add(egui::Label::new(RichText::new(sentence).color(palette.muted)).truncate());
    ui.allocate_rect(rect, egui::Sense::hover());
    ui.add_space(UNIT / 2.0);
    result
}

/// A card that fills `rect`, with an optional title. Contents that do not fit are clipped; put a
/// scroll area inside where they may grow.
pub fn card<R>(
    ui: &mut Ui,
    rect: Rect,
    name: &str,
    title: Option<&str>,
    add: impl FnOnce(&mut Ui) -> R,
) -> R {
    let palette = palette(ui);
    let radius = CornerRadius::same(CARD_RADIUS);
    let rect = rect.round_to_pixels(ui.pixels_per_point());
    ui.painter().rect(
        rect,
        radius,
        palette.card,
        Stroke::new(1.0, palette.line),
        StrokeKind::Inside,
    );
    let inner = rect.shrink2(vec2(3.5 * UNIT, 3.0 * UNIT));
    let mut child = ui.new_child(
        UiBuilder::new().id_salt(name).max_rect(inner).layout(Layout::top_down(Align::Min)),
    );
    child.shrink_clip_rect(rect.shrink(1.0));
    if let Some(title) = title {
        let text = RichText::new(title).text_style(theme::card_title()).color(palette.strong);
        child.label(text);
        child.add_space(UNIT / 2.0);
    }
    add(&mut child)
}

/// Contents that scroll when they are taller than their place.
pub fn page_scroll<R>(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    ScrollArea::vertical()
        .id_salt(name)
        .auto_shrink([false, false])
        .show(ui, |ui| {
            // Room for the floating scroll bar, so that it never lies on a value.
            Frame::NONE.inner_margin(Margin { right: 6, ..Margin::ZERO }).show(ui, add).inner
        })
        .inner
}

/// A heading inside a card.
pub fn section(ui: &mut Ui, title: &str) {
    ui.add_space(2.0 * UNIT);
    let text = RichText::new(title).text_style(theme::card_title()).color(palette(ui).strong);
    ui.label(text);
}

/// Split off a column of `width` at the left.
pub fn split_left(rect: Rect, width: f32) -> (Rect, Rect) {
    let x = rect.left() + width.min(rect.width());
    let right = Rect::from_min_max(pos2((x + GUTTER).min(rect.right()), rect.top()), rect.max);
    (Rect::from_min_max(rect.min, pos2(x, rect.bottom())), right)
}

/// Split off a column of `width` at the right.
pub fn split_right(rect: Rect, width: f32) -> (Rect, Rect) {
    let x = (rect.right() - width).max(rect.left());
    let left = Rect::from_min_max(rect.min, pos2((x - GUTTER).max(rect.left()), rect.bottom()));
    (left, Rect::from_min_max(pos2(x, rect.top()), rect.max))
}

/// Cut into an upper part of `height` and the rest.
pub fn split_rows(rect: Rect, height: f32) -> (Rect, Rect) {
    let y = rect.top() + height.min(rect.height());
    let lower = Rect::from_min_max(pos2(rect.left(), (y + GUTTER).min(rect.bottom())), rect.max);
    (Rect::from_min_max(rect.min, pos2(rect.right(), y)), lower)
}

/// `N` columns of equal width.
pub fn columns<const N: usize>(rect: Rect) -> [Rect; N] {
    let width = (rect.width() - GUTTER * (N as f32 - 1.0)) / N as f32;
    std::array::from_fn(|index| {
        let x = rect.left() + index as f32 * (width + GUTTER);
        Rect::from_min_size(pos2(x, rect.top()), vec2(width, rect.height()))
    })
}

/// What an empty place says: what will be here, and what to do to fill it.
pub fn empty_state<R>(
    ui: &mut Ui,
    title: &str,
    hint: &str,
    action: impl FnOnce(&mut Ui) -> R,
) -> R {
    let palette = palette(ui);
    let space = (ui.available_height() - 26.0 * UNIT).max(0.0) / 2.0;
    ui.add_space(space);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(title).font(theme::semibold(15.0)).color(palette.text));
        ui.add_space(UNIT / 2.0);
        ui.set_max_width(ui.available_width().min(440.0));
        ui.label(RichText::new(hint).color(palette.muted));
        ui.add_space(2.0 * UNIT);
        action(ui)
    })
    .inner
}

/// Whether Escape is for what lies on the page: what lies above it closes first.
pub fn escape_pressed(ctx: &egui::Context) -> bool {
    let covered = egui::Popup::is_any_open(ctx)
        || ctx.memory(|memory| memory.top_modal_layer().is_some())
        || ctx.egui_wants_keyboard_input();
    !covered && ctx.input(|input| input.key_pressed(egui::Key::Escape))
}

/// A dialog over everything else; a click beside it or Escape closes it.
pub fn dialog<R>(
    ctx: &egui::Context,
    name: &str,
    width: f32,
    add: impl FnOnce(&mut Ui) -> R,
) -> egui::ModalResponse<R> {
    let style = ctx.global_style();
    let frame = Frame::popup(&style).inner_margin(Margin::same(20));
    egui::Modal::new(egui::Id::unique(("dialog", name.to_owned()))).frame(frame).show(ctx, |ui| {
        ui.set_width(width);
        add(ui)
    })
}

/// A message inside a page with a coloured edge; for errors that stay until they are dealt with.
pub fn notice(ui: &mut Ui, color: egui::Color32, text: &str) {
    let palette = palette(ui);
    let shown = Frame::NONE
        .fill(palette.control)
        .corner_radius(CornerRadius::same(theme::CONTROL_RADIUS))
        .inner_margin(Margin { left: 14, right: 10, top: 8, bottom: 8 })
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.add(
                egui::Label::new(RichText::new(text).color(palette.text)).wrap().selectable(true),
            );
        });
    let rect = shown.response.rect;
    let edge = Rect::from_min_max(rect.min, pos2(rect.left() + UNIT, rect.bottom()));
    ui.painter().rect_filled(edge, CornerRadius { nw: 6, sw: 6, ne: 0, se: 0 }, color);
}

/// A thin bar, `fraction` of it filled; where it is not known, a moving part.
pub fn progress_bar(ui: &mut Ui, width: f32, fraction: Option<f32>, name: &str) {
    let palette = palette(ui);
    let height = ui.text_style_height(&TextStyle::Body);
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), egui::Sense::hover());
    let track = Rect::from_center_size(rect.center(), vec2(width, 1.5 * UNIT));
    ui.painter().rect_filled(track, 3.0, palette.track);
    let (from, to) = match fraction {
        Some(fraction) => (0.0, fraction.clamp(0.0, 1.0)),
        None => {
            let phase = (ui.input(|input| input.time) * 0.6).fract() as f32;
            let from = phase * 1.3 - 0.3;
            (from.max(0.0), (from + 0.3).min(1.0))
        }
    };
    let filled = Rect::from_x_y_ranges(
        (track.left() + from * width)..=(track.left() + to * width),
        track.y_range(),
    );
    ui.painter().rect_filled(filled, 3.0, palette.accent);
    let value = f64::from(fraction.unwrap_or(0.0));
    response.widget_info(|| egui::WidgetInfo {
        label: Some(name.to_owned()),
        value: Some(value),
        ..egui::WidgetInfo::new(egui::Role::ProgressIndicator)
    });
}
