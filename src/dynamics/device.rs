//! Where tensors live: the CPU, or a GPU through wgpu (Metal, Vulkan, DX12) or, where that is built
//! in, through CUDA.

use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::tensor::{Device, DeviceKind};
use serde::Serialize;

/// What the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best hardware GPU, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The best hardware GPU, or an error.
    Gpu,
    /// A device whose name contains this text; the only way to a software adapter.
    Named(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" | "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            name => Self::Named(name.to_owned()),
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Named(name) => name,
        })
    }
}

/// What kind of hardware a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hardware {
    Cpu,
    DiscreteGpu,
    IntegratedGpu,
    VirtualGpu,
    /// A GPU of a kind the driver does not tell.
    OtherGpu,
    /// A GPU simulated on the CPU: correct, slow, never chosen by itself.
    SoftwareGpu,
}

impl Hardware {
    fn is_hardware_gpu(self) -> bool {
        !matches!(self, Self::Cpu | Self::SoftwareGpu)
    }
}

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    pub name: String,
    pub hardware: Hardware,
    /// `flex` on the CPU, else the API of the GPU: `vulkan`, `metal`, `dx12`, `gl`, `cuda`.
    pub api: String,
    /// Chosen when nothing is asked for.
    pub default: bool,
    #[serde(skip)]
    way: Way,
}

/// How burn reaches a device.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Flex,
    Wgpu(DeviceKind),
    #[cfg(feature = "cuda")]
    Cuda(usize),
}

/// No such device, or it does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("no hardware GPU was found; use --device cpu, or name a software adapter: {names}")]
    NoGpu { names: String },
    #[error("no device has `{asked}` in its name; there are: {names}")]
    NoneNamed { asked: String, names: String },
    #[error("{name} could not be used: {message}; the CPU works everywhere: --device cpu")]
    Unusable { name: String, message: String },
}

/// Every device of this machine, the CPU first. Asks the graphics drivers, so it can take tens of
/// milliseconds: not for the UI thread.
pub fn devices() -> Vec<DeviceInfo> {
    // One at a time: asking loads the drivers and unloads them again.
    static ASKING: Mutex<()> = Mutex::new(());
    let _asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut devices = vec![cpu()];
    devices.extend(gpus());
    // After the others: a graphics API needs no toolkit, and is the default.
    #[cfg(feature = "cuda")]
    devices.extend(cuda());
    // Discrete before integrated before virtual before unknown.
    let rank = |hardware: Hardware| match hardware {
        Hardware::DiscreteGpu => 0,
        Hardware::IntegratedGpu => 1,
        Hardware::VirtualGpu => 2,
        Hardware::OtherGpu => 3,
        Hardware::Cpu => 4,
        Hardware::SoftwareGpu => 5,
    };
    if let Some(best) = devices.iter_mut().min_by_key(|device| rank(device.hardware)) {
        best.default = true;
    }
    devices
}

/// The CPU, without asking the graphics drivers, which can be slow or broken.
pub fn cpu() -> DeviceInfo {
    DeviceInfo {
        name: cpu_name(),
        hardware: Hardware::Cpu,
        api: "flex".to_owned(),
        default: false,
        way: Way::Flex,
    }
}

/// The GPUs that the CUDA driver counts. By number: asking their names would open them.
#[cfg(feature = "cuda")]
fn cuda() -> impl Iterator<Item = DeviceInfo> {
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_iter();
    found.enumerate().map(|(index, _)| DeviceInfo {
        name: format!("NVIDIA GPU {index}"),
        hardware: Hardware::DiscreteGpu,
        api: "cuda".to_owned(),
        default: false,
        way: Way::Cuda(index),
    })
}

/// The adapters of the first graphics API that has a hardware one (else the first that has any),
/// counted per kind: the same order in which burn's wgpu backend resolves its device kinds.
fn gpus() -> Vec<DeviceInfo> {
    use wgpu::Backend;
    let chain: &[Backend] = if cfg!(target_os = "macos") {
        &[Backend::Metal]
    } else {
        &[Backend::Vulkan, Backend::Dx12, Backend::Gl]
    };
    let mut software_only = Vec::new();
    for &api in chain {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: api.into(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = pollster::block_on(instance.enumerate_adapters(api.into()));
        let mut seen = [0usize; 4];
        let mut count = |kind: usize| {
            seen[kind] += 1;
            seen[kind] - 1
        };
        let found: Vec<DeviceInfo> = adapters
            .iter()
            .filter_map(|adapter| {
                let info = adapter.get_info();
                let (hardware, kind) = match info.device_type {
                    wgpu::DeviceType::DiscreteGpu => {
                        (Hardware::DiscreteGpu, DeviceKind::DiscreteGpu(count(0)))
                    }
                    wgpu::DeviceType::IntegratedGpu => {
                        (Hardware::IntegratedGpu, DeviceKind::IntegratedGpu(count(1)))
                    }
                    wgpu::DeviceType::VirtualGpu => {
                        (Hardware::VirtualGpu, DeviceKind::VirtualGpu(count(2)))
                    }
                    wgpu::DeviceType::Cpu => (Hardware::SoftwareGpu, DeviceKind::Cpu),
                    // burn reaches an adapter of unknown kind only as the API's default one.
                    wgpu::DeviceType::Other if count(3) == 0 => {
                        (Hardware::OtherGpu, DeviceKind::DefaultDevice)
                    }
                    wgpu::DeviceType::Other => return None,
                };
                Some(DeviceInfo {
                    name: info.name,
                    hardware,
                    api: api.to_str().to_owned(),
                    default: false,
                    way: Way::Wgpu(kind),
                })
            })
            .collect();
        if found.iter().any(|device| device.hardware.is_hardware_gpu()) {
            return found;
        }
        if software_only.is_empty() {
            software_only = found;
        }
    }
    software_only
}

fn cpu_name() -> String {
    let refresh = sysinfo::RefreshKind::nothing().with_cpu(sysinfo::CpuRefreshKind::nothing());
    let brand = sysinfo::System::new_with_specifics(refresh)
        .ok()
        .and_then(|system| system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()))
        .filter(|brand| !brand.is_empty())
        .unwrap_or_else(|| "CPU".to_owned());
    format!("{brand} ({} cores)", cores())
}

/// Threads that can run at once on this machine, or that this process is given.
pub fn cores() -> usize {
    // Asking the system reads files on Linux: tens of µs, too long for every request.
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

impl DeviceInfo {
    /// The burn device. Opening a GPU can take seconds the first time.
    ///
    /// # Errors
    /// [`DeviceError::Unusable`] where the driver refuses it.
    pub fn open(&self) -> Result<Device, DeviceError> {
        // The backend panics where a driver fails; a window must outlive that.
        std::panic::catch_unwind(|| {
            let device = match &self.way {
                Way::Flex => Device::flex(),
                Way::Wgpu(kind) => Device::wgpu(kind.clone()),
                #[cfg(feature = "cuda")]
                Way::Cuda(index) => Device::cuda(*index),
            };
            let probe = burn::tensor::Tensor::<1>::ones([4], &device).sum();
            (device, probe.try_into_scalar::<f32>())
        })
        .map_err(|panic| crate::jobs::panic_message(panic.as_ref()))
        .and_then(|(device, probe)| match probe {
            Ok(4.0) => Ok(device),
            Ok(other) => Err(format!("it computed 1+1+1+1 = {other}")),
            Err(error) => Err(error.to_string()),
        })
        .map_err(|message| DeviceError::Unusable { name: self.name.clone(), message })
    }

    /// Name and API, as shown beside every measured number.
    pub fn label(&self) -> String {
        match self.hardware {
            Hardware::Cpu => self.name.clone(),
            Hardware::SoftwareGpu => format!("{} · {} (software)", self.name, self.api),
            _ => format!("{} · {}", self.name, self.api),
        }
    }

    pub fn is_cpu(&self) -> bool {
        self.hardware == Hardware::Cpu
    }
}

/// The device to use for a choice.
///
/// # Errors
/// [`DeviceError`] listing what there is.
pub fn choose(choice: &DeviceChoice) -> Result<DeviceInfo, DeviceError> {
    if *choice == DeviceChoice::Cpu {
        return Ok(cpu());
    }
    let all = devices();
    let names = || all.iter().map(|device| device.name.clone()).collect::<Vec<_>>().join(", ");
    let found = match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => all.iter().find(|device| device.default),
        DeviceChoice::Gpu => {
            all.iter().find(|device| device.default && device.hardware.is_hardware_gpu())
        }
        DeviceChoice::Named(asked) => {
            let asked = asked.to_lowercase();
            all.iter().find(|device| device.label().to_lowercase().contains(&asked))
        }
    };
    found.cloned().ok_or_else(|| match choice {
        DeviceChoice::Named(asked) => {
            DeviceError::NoneNamed { asked: asked.clone(), names: names() }
        }
        _ => DeviceError::NoGpu { names: names() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_exactly_one_device_is_the_default() {
        let all = devices();
        assert_eq!(all[0].hardware, Hardware::Cpu);
        assert_eq!(all.iter().filter(|device| device.default).count(), 1);
        let default = choose(&DeviceChoice::Auto).unwrap();
        assert_ne!(default.hardware, Hardware::SoftwareGpu);
    }

    #[test]
    fn an_unknown_name_lists_what_there_is() {
        let error = choose(&DeviceChoice::Named("no such card".to_owned())).unwrap_err();
        assert!(error.to_string().contains("no such card"), "{error}");
        assert!(error.to_string().contains(&cpu_name()), "{error}");
    }
}
