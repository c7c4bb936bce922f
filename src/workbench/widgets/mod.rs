//! The parts every page is made of. Each control has an accessible name: the label it shows.

mod buttons;
mod layout;
mod setting;
mod slider;
mod stat;
mod table;

pub use buttons::{Tone, button, icon_button, list_row, pill, primary, switch};
pub use layout::{
    card, columns, dialog, empty_state, escape_pressed, notice, page_header, page_scroll,
    progress_bar, section, split_left, split_right, split_rows,
};
pub use setting::{choice_row, combo, number_field_row, row, setting_row, text_field};
pub use slider::{Range as SliderRange, Scale, slider_row, value_slider};
pub use stat::{HistogramBar, histogram, legend_dot, stat};
pub use table::{Cell, Column, grid_table, pick_table};
