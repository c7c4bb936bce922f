//! Values on the device, and where a matrix lies among them.

use cubecl::prelude::*;
use cubecl::server::Handle;

/// Values of four bytes on the device.
#[derive(Clone)]
pub(super) struct Buffer {
    pub handle: Handle,
    len: usize,
}

impl Buffer {
    /// `handle` was made for `len` values of four bytes.
    pub fn new(handle: Handle, len: usize) -> Self {
        Self { handle, len }
    }

    pub fn arg(&self) -> BufferArg {
        self.vectors(1)
    }

    /// As vectors of `lanes` values.
    pub fn vectors(&self, lanes: usize) -> BufferArg {
        // SAFETY: `Launcher` makes the handle for `len` values of four bytes, and nothing changes
        // either of them.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len / lanes) }
    }
}

/// One factor or the result of a product: where in which buffer.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub buffer: &'a Buffer,
    pub first: usize,
    /// Columns as stored; not used of a result, which is dense.
    pub width: usize,
}

impl<'a> At<'a> {
    pub fn new(buffer: &'a Buffer, first: usize, width: usize) -> Self {
        Self { buffer, first, width }
    }
}
