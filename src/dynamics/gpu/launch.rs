//! Launches of the kernels, counted.

use std::cell::Cell;

use cubecl::client::Client;
use cubecl::prelude::*;

use super::backward::backward;
use super::buffer::{At, Buffer};
use super::forward::{ExtentLaunch, forward};
use super::product::{EACH, Form, PlacesLaunch, TILE, fold, product};
use super::reduce::{RatesLaunch, adam, cross_entropy, measure, squares};
use super::rows::{embed, embedding, turn};
use super::shape::{Shape, Tile, Turned, UNITS};

/// Cubes along one dimension, at most: every graphics API has these.
const GRID: u32 = 1 << 15;
/// Cubes that a product is cut into, about, where its result alone does not make as many, and the
/// least of the inner dimension that is worth one.
const CUBES: usize = 512;
const DEPTH: usize = 128;
/// Cubes that sum squares.
const SUMS: u32 = 256;

/// The client of a device.
pub(super) struct Launcher {
    client: Client,
    launched: Cell<usize>,
}

/// What both scans are given.
pub(super) struct Scan<'a> {
    pub gates: &'a Buffer,
    pub from_state: &'a Buffer,
    pub before: &'a Buffer,
    pub scored: &'a Buffer,
    pub points: &'a Buffer,
    pub inner: &'a Buffer,
    pub by_inner: &'a Buffer,
    pub outer: &'a Buffer,
    pub plan: &'a Buffer,
    pub lengths: &'a Buffer,
    pub masks: &'a Buffer,
    pub rows: usize,
    pub len: usize,
    pub tiles: usize,
    pub decay: f32,
    pub tile: Tile,
    pub shape: Shape,
}

/// Where the gradient of the embedding finds its events; see [`super::plan::Plan`].
pub(super) struct Segments {
    pub items: usize,
    pub starts: usize,
    pub order: usize,
    pub hidden: usize,
    pub dropout: bool,
    pub tied: bool,
}

impl Launcher {
    pub fn new(client: Client) -> Self {
        Self { client, launched: Cell::new(0) }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Kernels launched since the last time this was asked.
    pub fn launched(&self) -> usize {
        self.launched.take()
    }

    fn count(&self) -> &Client {
        self.launched.set(self.launched.get() + 1);
        &self.client
    }

    /// Room for `len` values.
    pub fn room(&self, len: usize) -> Buffer {
        // No graphics API binds an empty buffer.
        let len = len.max(4);
        Buffer::new(self.client.empty(len * size_of::<f32>()), len)
    }

    pub fn floats(&self, values: &[f32]) -> Buffer {
        if values.is_empty() {
            return self.room(0);
        }
        let handle = self.client.create_from_slice(f32::as_bytes(values));
        Buffer::new(handle, values.len())
    }

    pub fn words(&self, values: &[u32]) -> Buffer {
        let handle = self.client.create_from_slice(u32::as_bytes(values));
        Buffer::new(handle, values.len())
    }

    /// out ← A·B, M × K by K × N, or with a row of ones under A.
    pub fn product(&self, [a, b, out]: [At<'_>; 3], [m, n, k]: [usize; 3], form: Form) {
        let rows = m + usize::from(form.ones);
        if rows == 0 || n == 0 {
            return;
        }
        let (across, down) = (n.div_ceil(TILE), m.div_ceil(TILE).max(1));
        // A long sum is cut into parts, so that a small result keeps the device busy too.
        let parts = (CUBES / (across * down)).clamp(1, k.div_ceil(DEPTH).max(1));
        let k_each = k.div_ceil(parts).max(1);
        let parts = k.div_ceil(k_each).max(1);
        let size = rows * n;
        let apart = (parts > 1).then(|| self.room(parts * size));
        let (to, first) = match &apart {
            Some(buffer) => (buffer, 0),
            None => (out.buffer, out.first),
        };
        let direct = Form { add: form.add && apart.is_none(), ..form };
        let places = PlacesLaunch::new(a.first, b.first, first, a.width, b.width, m, n, k, k_each);
        // SAFETY: units go only where rows, columns and depth are below m, n and k, so that what
        // is read and written lies in the matrices, which the callers lay inside of their buffers.
        unsafe {
            product::launch_unchecked(
                self.count(),
                CubeCount::Static(across as u32, down as u32, parts as u32),
                CubeDim::new_1d(UNITS),
                EACH,
                a.buffer.arg(),
                b.buffer.arg(),
                to.arg(),
                places,
                direct,
            );
        }
        if let Some(apart) = apart {
            let (cubes, units) = grid(size);
            // SAFETY: one unit for each of `size` values, of which `apart` has `parts` times as
            // many and the result has room for as many from `first` on.
            unsafe {
                fold::launch_unchecked(
                    self.count(),
                    cubes,
                    units,
                    apart.arg(),
                    out.buffer.arg(),
                    out.first,
                    size,
                    parts,
                    form.add,
                );
            }
        }
    }

    pub fn forward(&self, weights: &Buffer, first: usize, scan: &Scan<'_>) {
        // SAFETY: the plan gives places below Q and substeps below S, rows past the batch are left
        // out, and the step sizes every buffer by the same plan.
        unsafe {
            forward::launch_unchecked(
                self.count(),
                CubeCount::Static(scan.tiles as u32, 1, 1),
                CubeDim::new_1d(scan.tile.units),
                scan.tile.lanes,
                scan.tile.width,
                weights.vectors(scan.tile.width),
                scan.gates.arg(),
                scan.from_state.arg(),
                scan.before.arg(),
                scan.scored.arg(),
                scan.points.arg(),
                scan.inner.arg(),
                scan.outer.arg(),
                scan.plan.arg(),
                scan.lengths.vectors(scan.tile.lanes),
                scan.masks.arg(),
                ExtentLaunch::new(scan.rows, scan.len, first),
                scan.decay,
                scan.shape,
            );
        }
    }

    pub fn backward(&self, turned: &Buffer, scan: &Scan<'_>) {
        // SAFETY: as of `forward`.
        unsafe {
            backward::launch_unchecked(
                self.count(),
                CubeCount::Static(scan.tiles as u32, 1, 1),
                CubeDim::new_1d(scan.tile.units),
                scan.tile.lanes,
                scan.tile.width,
                turned.vectors(scan.tile.width),
                scan.gates.arg(),
                scan.from_state.arg(),
                scan.before.arg(),
                scan.scored.arg(),
                scan.inner.arg(),
                scan.by_inner.arg(),
                scan.outer.arg(),
                scan.plan.arg(),
                scan.lengths.vectors(scan.tile.lanes),
                scan.masks.arg(),
                ExtentLaunch::new(scan.rows, scan.len, 0),
                scan.decay,
                scan.shape,
            );
        }
    }

    /// Embedded items of `events` events, `[E, H]`.
    pub fn embed(
        &self,
        [weights, plan, masks, embedded]: [&Buffer; 4],
        events: usize,
        hidden: usize,
        dropout: bool,
    ) {
        let (cubes, units) = grid(events * hidden);
        // SAFETY: one unit for each value of `embedded`; the plan's items are rows of the embedding.
        unsafe {
            embed::launch_unchecked(
                self.count(),
                cubes,
                units,
                weights.arg(),
                plan.arg(),
                masks.arg(),
                embedded.arg(),
                events,
                hidden,
                dropout,
            );
        }
    }

    /// The gradient of the embedding.
    pub fn embedding(
        &self,
        [by_embedded, plan, masks, gradients]: [&Buffer; 4],
        segments: &Segments,
    ) {
        let (cubes, units) = grid((segments.items + 1) * segments.hidden);
        // SAFETY: one unit for each value of the embedding, which the gradients begin with; the plan
        // lists events below E.
        unsafe {
            embedding::launch_unchecked(
                self.count(),
                cubes,
                units,
                by_embedded.arg(),
                plan.arg(),
                masks.arg(),
                gradients.arg(),
                segments.items,
                segments.starts,
                segments.order,
                segments.hidden,
                segments.dropout,
                segments.tied,
            );
        }
    }

    /// The transposed matrices, of the cell alone or of cell and field.
    pub fn turn(&self, weights: &Buffer, first: usize, hidden: usize, field: bool) -> Buffer {
        let all = Turned::new(hidden);
        let size = if field { all.size } else { all.w_in };
        let turned = self.room(size);
        let (cubes, units) = grid(size);
        // SAFETY: one unit for each of the `size` values, each from its place in the weights.
        unsafe {
            turn::launch_unchecked(
                self.count(),
                cubes,
                units,
                weights.arg(),
                turned.arg(),
                first,
                size,
                hidden,
            );
        }
        turned
    }

    /// Cross entropy of `rows` rows of scores, the first of which is the `first` of all.
    pub fn cross_entropy(
        &self,
        [scores, weights, plan, losses]: [&Buffer; 4],
        [bias, targets, first, items, rows]: [usize; 5],
        weight: f32,
    ) {
        // SAFETY: one cube for each row of scores; targets are columns.
        unsafe {
            cross_entropy::launch_unchecked(
                self.count(),
                CubeCount::Static(rows as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                scores.arg(),
                weights.arg(),
                plan.arg(),
                losses.arg(),
                bias,
                targets,
                first,
                items,
                weight,
            );
        }
    }

    /// Mean of `scored` losses, norm of the gradient, and its scale: three values.
    pub fn measure(
        &self,
        losses: &Buffer,
        scored: usize,
        gradients: &Buffer,
        size: usize,
        clip_norm: f32,
    ) -> Buffer {
        let cubes = (size as u32).div_ceil(UNITS).clamp(1, SUMS);
        let (sums, measured) = (self.room(cubes as usize), self.room(3));
        // SAFETY: `squares` writes one sum a cube and reads `size` gradients; `measure` reads as
        // many sums, and `scored` losses.
        unsafe {
            squares::launch_unchecked(
                self.count(),
                CubeCount::Static(cubes, 1, 1),
                CubeDim::new_1d(UNITS),
                gradients.arg(),
                sums.arg(),
                size,
            );
            measure::launch_unchecked(
                self.count(),
                CubeCount::Static(1, 1, 1),
                CubeDim::new_1d(UNITS),
                losses.arg(),
                sums.arg(),
                measured.arg(),
                scored,
                cubes as usize,
                clip_norm,
            );
        }
        measured
    }

    /// Update all `size` weights.
    pub fn adam(
        &self,
        [weights, gradients, first, second, measured]: [&Buffer; 5],
        rates: RatesLaunch,
        size: usize,
    ) {
        let (cubes, units) = grid(size);
        // SAFETY: one unit for each of `size` values, which all four have.
        unsafe {
            adam::launch_unchecked(
                self.count(),
                cubes,
                units,
                weights.arg(),
                gradients.arg(),
                first.arg(),
                second.arg(),
                measured.arg(),
                rates,
                size,
            );
        }
    }
}

/// Enough cubes for `units` units.
fn grid(units: usize) -> (CubeCount, CubeDim) {
    let cubes = units.div_ceil(UNITS as usize).max(1) as u32;
    let across = cubes.min(GRID);
    (CubeCount::Static(across, cubes.div_ceil(across), 1), CubeDim::new_1d(UNITS))
}
