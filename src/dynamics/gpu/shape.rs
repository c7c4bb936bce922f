//! What the kernels are compiled for, and how the work is cut for a device.

use cubecl::ir::HardwareProperties;

use crate::dynamics::solver;
use crate::settings::{ModelSettings, Targets};

/// Units of a cube in every kernel but the scans.
pub(super) const UNITS: u32 = 256;
/// Buffers that the scans bind, the metadata of their arguments among them.
const BINDINGS: u32 = 13;
/// Values of a state that the scans keep in shared memory for every row, without and with each
/// slice of a product: see the kernels.
const SHARED: usize = 5;
const SHARED_A_SLICE: usize = 3;
/// Slices of a product in the scans, at most.
const SLICES: usize = 8;
/// Units of a scan's cube that hide how long reading a weight takes, if need be on fewer rows.
const ENOUGH: usize = 128;
/// Cubes that a GPU works on at once, where it does not tell.
const MULTIPROCESSORS: u32 = 32;

/// What a scan is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// H.
    pub hidden: usize,
    /// Weights that are read side by side: 4, 2 or 1.
    pub width: usize,
    /// Parts of a product's inner dimension that units sum on their own.
    pub slices: usize,
    /// Evaluations of the field in a substep; 0 where no time passes between events.
    pub stages: usize,
    /// States are scored after the gap, not before it.
    pub query_gap: bool,
    /// Every position has its row in the mask of the states, not just the last.
    pub every: bool,
    pub dropout: bool,
}

/// How the rows of a batch are cut, and the work on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// Rows of a tile, side by side in vectors: 4, 2 or 1.
    pub lanes: usize,
    pub width: usize,
    pub slices: usize,
    /// Units of a cube.
    pub units: u32,
}

/// Why a device cannot run the kernels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is not a GPU")]
    NoGpu,
    #[error("there are no kernels for {model} on a GPU")]
    Flow { model: &'static str },
    #[error("a state of {hidden} values needs {needed} bytes of shared memory, and it has {has}")]
    Shared { hidden: usize, needed: usize, has: usize },
    #[error("it binds {has} buffers at once, {BINDINGS} are needed")]
    Bindings { has: u32 },
    #[error("it runs {has} units together, {UNITS} are needed")]
    Units { has: u32 },
    #[error("this model would need a buffer of {needed} bytes, and it binds {has} at most")]
    Buffer { needed: u64, has: u64 },
}

impl Tile {
    /// For `rows` rows of states of `hidden` values.
    ///
    /// # Errors
    /// [`Unfit`] saying what the device lacks.
    pub fn new(hardware: &HardwareProperties, hidden: usize, rows: usize) -> Result<Self, Unfit> {
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0);
        if units < UNITS {
            return Err(Unfit::Units { has: units });
        }
        if hardware.max_bindings < BINDINGS {
            return Err(Unfit::Bindings { has: hardware.max_bindings });
        }
        let has = hardware.max_shared_memory_size;
        let bytes = |lanes: usize, slices: usize| {
            (SHARED + SHARED_A_SLICE * slices) * hidden * lanes * size_of::<f32>()
        };
        let divides = |part: &usize| hidden.is_multiple_of(*part);
        let width = [4, 2, 1].into_iter().find(divides).unwrap_or(1);
        let columns = hidden / width;
        let most = UNITS as usize;
        let slices = |lanes: usize| {
            [SLICES, 4, 2, 1].into_iter().filter(divides).find(|&slices| {
                (slices == 1 || columns * slices <= most) && bytes(lanes, slices) <= has
            })
        };
        // Weights are read once a tile: larger tiles read less, smaller ones keep more of the
        // device at work.
        let busy = hardware.num_streaming_multiprocessors.unwrap_or(MULTIPROCESSORS) as usize;
        let wide = if rows >= 4 * busy { 4 } else { 2 };
        let ways: Vec<(usize, usize)> = [4, 2, 1]
            .into_iter()
            .filter(|&lanes| lanes <= wide)
            .filter_map(|lanes| slices(lanes).map(|slices| (lanes, slices)))
            .collect();
        let enough = ways.iter().find(|(_, slices)| columns * slices >= ENOUGH);
        let Some(&(lanes, slices)) = enough.or(ways.first()) else {
            return Err(Unfit::Shared { hidden, needed: bytes(1, 1), has });
        };
        let wanted = (columns * slices).next_multiple_of(32);
        Ok(Self { lanes, width, slices, units: wanted.min(most) as u32 })
    }
}

impl Shape {
    pub fn new(settings: &ModelSettings, tile: Tile, dropout: bool) -> Self {
        Self {
            hidden: settings.hidden,
            width: tile.width,
            slices: tile.slices,
            stages: solver::stages(settings.solver).len(),
            query_gap: settings.query_gap,
            every: settings.targets == Targets::All,
            dropout,
        }
    }
}

/// Where the weights of the scan lie, counted from the end of the embedding; see
/// [`crate::dynamics::parameters`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Offsets {
    pub w_input: usize,
    pub b_input: usize,
    pub w_hidden: usize,
    pub b_hidden: usize,
    pub w_in: usize,
    pub b_in: usize,
    pub w_out: usize,
    pub b_out: usize,
}

impl Offsets {
    pub fn new(hidden: usize) -> Self {
        let square = hidden * hidden;
        let gru = 3 * square + 3 * hidden;
        Self {
            w_input: 0,
            b_input: 3 * square,
            w_hidden: gru,
            b_hidden: gru + 3 * square,
            w_in: 2 * gru,
            b_in: 2 * gru + 2 * square,
            w_out: 2 * gru + 2 * square + 2 * hidden,
            b_out: 2 * gru + 4 * square + 2 * hidden,
        }
    }
}

/// Where the transposed matrices lie that the backward scan multiplies by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turned {
    /// `[3H, H]`.
    pub w_hidden: usize,
    /// `[2H, H]`.
    pub w_in: usize,
    /// `[H, 2H]`.
    pub w_out: usize,
    /// Values of all three.
    pub size: usize,
}

impl Turned {
    pub fn new(hidden: usize) -> Self {
        let square = hidden * hidden;
        Self { w_hidden: 0, w_in: 3 * square, w_out: 5 * square, size: 7 * square }
    }
}
