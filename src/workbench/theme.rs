//! The look: colours with one meaning each, one type scale, one spacing unit, for dark and light.

use std::sync::Arc;

use eframe::egui::{
    self, Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Shadow,
    Stroke, Style, TextStyle, Theme, Vec2, Visuals,
};

use crate::settings::Solver;

/// The spacing unit in points; every distance is a multiple of it.
pub const UNIT: f32 = 4.0;
/// Corner radius of cards.
pub const CARD_RADIUS: u8 = 8;
/// Corner radius of buttons and fields.
pub const CONTROL_RADIUS: u8 = 6;
/// Height of buttons, fields and comboboxes.
pub const CONTROL_HEIGHT: f32 = 28.0;

/// Colours of one theme. One colour per meaning on every page.
#[derive(Debug)]
pub struct Palette {
    pub ground: Color32,
    pub rail: Color32,
    pub card: Color32,
    /// Borders of cards and lines of tables.
    pub line: Color32,
    /// Quiet lines behind plots.
    pub grid: Color32,
    /// Fill of secondary buttons, fields and pills.
    pub control: Color32,
    pub control_hover: Color32,
    /// The part of a slider or progress bar that is not filled.
    pub track: Color32,
    pub knob: Color32,
    pub text: Color32,
    pub strong: Color32,
    pub muted: Color32,
    pub accent: Color32,
    /// Fill of the primary button; white text is readable on it.
    pub primary: Color32,
    pub primary_hover: Color32,
    /// Background of what is selected.
    pub selected: Color32,
    pub good: Color32,
    pub warning: Color32,
    pub error: Color32,
    pub gru: Color32,
    pub euler: Color32,
    pub rk4: Color32,
    pub sasrec: Color32,
    pub tisasrec: Color32,
    pub decay: Color32,
    pub cfc: Color32,
    pub gru_ode: Color32,
    /// System 2, the reasoner; System 1 has the accent.
    pub system2: Color32,
    shadow: Color32,
}

const fn rgb(value: u32) -> Color32 {
    Color32::from_rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

/// The dark theme.
pub const DARK: Palette = Palette {
    ground: rgb(0x14161a),
    rail: rgb(0x111317),
    card: rgb(0x1a1d22),
    line: rgb(0x262a31),
    grid: rgb(0x2b3038),
    control: rgb(0x262a31),
    control_hover: rgb(0x30353e),
    track: rgb(0x2d323a),
    knob: rgb(0xe9edf3),
    text: rgb(0xd7dbe2),
    strong: rgb(0xf4f6fa),
    muted: rgb(0x8b93a1),
    accent: rgb(0x4c9be8),
    primary: rgb(0x2a6bb0),
    primary_hover: rgb(0x337ac6),
    selected: rgb(0x22303f),
    good: rgb(0x5fcf9f),
    warning: rgb(0xf0b429),
    error: rgb(0xf0717a),
    gru: rgb(0x9aa3b2),
    euler: rgb(0xe69f00),
    rk4: rgb(0x2db5a3),
    sasrec: rgb(0xf0e442),
    tisasrec: rgb(0x4a72e0),
    decay: rgb(0x87734b),
    cfc: rgb(0xffd79b),
    gru_ode: rgb(0x9b23ff),
    system2: rgb(0x8f7ee6),
    shadow: Color32::from_black_alpha(110),
};

/// The light theme: the same meanings, dark enough to be read on white.
pub const LIGHT: Palette = Palette {
    ground: rgb(0xf3f4f7),
    rail: rgb(0xe9ebef),
    card: rgb(0xffffff),
    line: rgb(0xdfe2e8),
    grid: rgb(0xdde1e7),
    control: rgb(0xe7eaef),
    control_hover: rgb(0xdbdfe6),
    track: rgb(0xdcdfe5),
    knob: rgb(0xffffff),
    text: rgb(0x29303a),
    strong: rgb(0x11151b),
    muted: rgb(0x626b79),
    accent: rgb(0x2f7fd0),
    primary: rgb(0x2a6bb0),
    primary_hover: rgb(0x245d9a),
    selected: rgb(0xd5e4f4),
    good: rgb(0x17825a),
    warning: rgb(0x9a6700),
    error: rgb(0xc53b45),
    gru: rgb(0x6a7486),
    euler: rgb(0xc17d00),
    rk4: rgb(0x128a7a),
    sasrec: rgb(0x8f8500),
    tisasrec: rgb(0x1f4fb5),
    decay: rgb(0x4b0f23),
    cfc: rgb(0x9b0f0f),
    gru_ode: rgb(0x9b23ff),
    system2: rgb(0x6a57cc),
    shadow: Color32::from_black_alpha(40),
};

impl Palette {
    /// The colour of a model, the same on every page.
    pub fn solver(&self, solver: Solver) -> Color32 {
        match solver {
            Solver::Gru => self.gru,
            Solver::Euler => self.euler,
            Solver::Rk4 => self.rk4,
            Solver::SasRec => self.sasrec,
            Solver::TiSasRec => self.tisasrec,
            Solver::Decay => self.decay,
            Solver::Cfc => self.cfc,
            Solver::GruOde => self.gru_ode,
        }
    }

    fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }
}

/// The palette of the theme that is on.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// Size of the text of plots, captions and units.
pub const SMALL: f32 = 11.5;
/// Size of everything else.
pub const BODY: f32 = 13.0;

/// Semibold text of `size` points, for headings.
pub fn semibold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("semibold".into()))
}

/// Tabular figures of `size` points.
pub fn figures(size: f32) -> FontId {
    FontId::new(size, FontFamily::Monospace)
}

/// Text style of the title of a card.
pub fn card_title() -> TextStyle {
    TextStyle::Name("card title".into())
}

/// Text style of a number that is the point of a card.
pub fn big_figure() -> TextStyle {
    TextStyle::Name("big figure".into())
}

/// Install fonts and both themes. Call once, before the first frame.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| apply(style, theme));
    }
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let ours: [(&str, &'static [u8], FontFamily); 3] = [
        ("Inter", include_bytes!("../../assets/fonts/Inter-Regular.otf"), FontFamily::Proportional),
        (
            "Inter SemiBold",
            include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
            FontFamily::Name("semibold".into()),
        ),
        (
            "JetBrains Mono",
            include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf"),
            FontFamily::Monospace,
        ),
    ];
    // What comes with egui stays behind ours, for glyphs that ours lack.
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    for (name, bytes, family) in ours {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        let chain = fonts.families.entry(family).or_insert_with(|| fallback.clone());
        chain.insert(0, name.to_owned());
        if name == "JetBrains Mono" {
            chain.insert(1, "Inter".to_owned());
        }
    }
    fonts
}

fn apply(style: &mut Style, theme: Theme) {
    let palette = Palette::of(theme);
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(SMALL)),
        (TextStyle::Body, FontId::proportional(BODY)),
        (TextStyle::Button, FontId::proportional(BODY)),
        (TextStyle::Monospace, figures(12.5)),
        (TextStyle::Heading, semibold(18.0)),
        (card_title(), semibold(BODY)),
        (big_figure(), figures(19.0)),
    ]
    .into();
    style.drag_value_text_style = TextStyle::Monospace;
    style.animation_time = 0.1;

    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::splat(2.0 * UNIT);
    spacing.button_padding = egui::vec2(3.0 * UNIT, 1.5 * UNIT);
    spacing.interact_size = egui::vec2(6.0 * UNIT, CONTROL_HEIGHT);
    spacing.window_margin = Margin::same(4 * UNIT as i8);
    spacing.menu_margin = Margin::same(UNIT as i8);
    spacing.slider_rail_height = UNIT;
    spacing.combo_width = 0.0;
    spacing.icon_width = 4.0 * UNIT;
    spacing.icon_width_inner = 2.0 * UNIT;
    spacing.tooltip_width = 320.0;

    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    style.visuals = visuals(theme, palette);
}

fn visuals(theme: Theme, palette: &Palette) -> Visuals {
    let mut visuals = theme.default_visuals();
    let radius = CornerRadius::same(CONTROL_RADIUS);
    let widgets = &mut visuals.widgets;
    for state in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        state.corner_radius = radius;
        state.expansion = 0.0;
        state.bg_stroke = Stroke::NONE;
        state.fg_stroke = Stroke::new(1.0, palette.text);
    }
    widgets.noninteractive.bg_fill = palette.card;
    widgets.noninteractive.weak_bg_fill = palette.card;
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    widgets.inactive.bg_fill = palette.track;
    widgets.inactive.weak_bg_fill = palette.control;
    for state in [&mut widgets.hovered, &mut widgets.active, &mut widgets.open] {
        state.bg_fill = palette.control_hover;
        state.weak_bg_fill = palette.control_hover;
        state.fg_stroke.color = palette.strong;
    }
    widgets.active.bg_stroke = Stroke::new(1.0, palette.accent);

    visuals.weak_text_color = Some(palette.muted);
    visuals.selection.bg_fill = palette.selected;
    visuals.selection.stroke = Stroke::new(1.0, palette.strong);
    visuals.hyperlink_color = palette.accent;
    visuals.faint_bg_color = palette.ground;
    visuals.extreme_bg_color = palette.control;
    visuals.text_edit_bg_color = Some(palette.control);
    visuals.code_bg_color = palette.control;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.error;
    visuals.window_corner_radius = CornerRadius::same(CARD_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(CARD_RADIUS);
    visuals.window_fill = palette.card;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.panel_fill = palette.ground;
    let shadow = Shadow { offset: [0, 6], blur: 20, spread: 0, color: palette.shadow };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    visuals.slider_trailing_fill = true;
    visuals.striped = false;
    visuals.interact_cursor = None;
    visuals.text_cursor.stroke.color = palette.accent;
    visuals
}
