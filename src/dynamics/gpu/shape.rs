//! What the kernels are compiled for, and how the work is cut for a device.

use cubecl::ir::HardwareProperties;

use crate::dynamics::solver;
use crate::settings::{ModelSettings, Targets};

/// Units of a cube in every kernel but the scans.
pub(super) const UNITS: u32 = 256;
/// Buffers that the scans bind, the metadata of their arguments among them.
const BINDINGS: u32 = 13;
/// Values a unit of a scan keeps in shared memory for every row: see the kernels.
const SHARED: usize = 6;
/// Cubes that keep a GPU busy, where it does not tell how many it works on at once.
const MULTIPROCESSORS: u32 = 32;

/// What a scan is compiled for. A tile has `groups` × lanes rows, where lanes are the width of the
/// vectors it computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// H.
    pub hidden: usize,
    pub groups: usize,
    /// Evaluations of the field in a substep; 0 where no time passes between events.
    pub stages: usize,
    /// States are scored after the gap, not before it.
    pub query_gap: bool,
    /// Every position has its row in the mask of the states, not just the last.
    pub every: bool,
    pub dropout: bool,
}

/// How the rows of a batch are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// Width of the vectors: 4, 2 or 1 rows side by side.
    pub lanes: usize,
    pub groups: usize,
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
        let bytes = |rows: usize| SHARED * hidden * rows * size_of::<f32>();
        let fits = |rows: usize| bytes(rows) <= hardware.max_shared_memory_size;
        let Some(lanes) = [4, 2, 1].into_iter().find(|&lanes| fits(lanes)) else {
            let has = hardware.max_shared_memory_size;
            return Err(Unfit::Shared { hidden, needed: bytes(1), has });
        };
        // Weights are read once a tile: larger tiles read less, smaller ones keep more of the
        // device at work. A second group of rows pays once there are more tiles than that.
        let busy = hardware.num_streaming_multiprocessors.unwrap_or(MULTIPROCESSORS) as usize;
        let groups = if rows > 2 * lanes * busy && fits(2 * lanes) { 2 } else { 1 };
        let wanted = (hidden * groups).next_multiple_of(32) as u32;
        Ok(Self { lanes, groups, units: wanted.min(UNITS) })
    }

    /// Rows of a tile.
    pub fn rows(&self) -> usize {
        self.lanes * self.groups
    }
}

impl Shape {
    pub fn new(settings: &ModelSettings, tile: Tile, dropout: bool) -> Self {
        Self {
            hidden: settings.hidden,
            groups: tile.groups,
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
