//! What kind of fixed point it is, from the eigenvalues of the Jacobian there.

use serde::{Deserialize, Serialize};

/// Kinds of fixed points of a flow in R^H (Strogatz, Nonlinear Dynamics and Chaos, ch. 5).
///
/// In H > 2 a point has eigenvalues of several sorts. It is stable where all real parts are below
/// 0, unstable where all are above, and else a saddle. A stable or unstable point is a spiral
/// where the eigenvalue with the largest real part, which rules what is seen longest or soonest,
/// is one of a complex pair, and else a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An attractor that states run straight into.
    StableNode,
    /// An attractor that states circle into.
    StableSpiral,
    /// Draws in from some sides and lets go on others: it stands on the border of basins.
    Saddle,
    /// Nothing stays near it.
    UnstableNode,
    /// Nothing stays near it, and what leaves circles.
    UnstableSpiral,
    /// Not a fixed point: a minimum of the speed above 0, which states pass slowly.
    Slow,
}

impl Kind {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StableNode => "stable_node",
            Self::StableSpiral => "stable_spiral",
            Self::Saddle => "saddle",
            Self::UnstableNode => "unstable_node",
            Self::UnstableSpiral => "unstable_spiral",
            Self::Slow => "slow",
        }
    }

    /// The word for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::StableNode => "stable",
            Self::StableSpiral => "stable spiral",
            Self::Saddle => "saddle",
            Self::UnstableNode => "unstable",
            Self::UnstableSpiral => "unstable spiral",
            Self::Slow => "slow point",
        }
    }

    /// Whether it is an attractor.
    pub fn is_stable(self) -> bool {
        matches!(self, Self::StableNode | Self::StableSpiral)
    }

    /// The kind of a fixed point with these eigenvalues, `[re, im]`, the largest real part first.
    pub(super) fn of(eigenvalues: &[[f64; 2]]) -> Self {
        let (Some(first), Some(last)) = (eigenvalues.first(), eigenvalues.last()) else {
            return Self::StableNode;
        };
        let spiral = first[1].abs() > 1e-6 * first[0].hypot(first[1]);
        match (first[0] < 0.0, last[0] > 0.0, spiral) {
            (true, _, false) => Self::StableNode,
            (true, _, true) => Self::StableSpiral,
            (false, false, _) => Self::Saddle,
            (false, true, false) => Self::UnstableNode,
            (false, true, true) => Self::UnstableSpiral,
        }
    }

    /// Order in a list: attractors first, slow points last.
    pub(super) fn rank(self) -> usize {
        match self {
            Self::StableNode | Self::StableSpiral => 0,
            Self::Saddle => 1,
            Self::UnstableNode => 2,
            Self::UnstableSpiral => 3,
            Self::Slow => 4,
        }
    }
}

/// Model time in which the slowest mode of a stable point shrinks to 1/e.
pub(super) fn relaxation(eigenvalues: &[[f64; 2]]) -> Option<f64> {
    eigenvalues.first().map(|[re, _]| -1.0 / re).filter(|time| *time > 0.0 && time.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_signs_and_the_leading_pair() {
        let kind = |values: &[[f64; 2]]| Kind::of(values);
        assert_eq!(kind(&[[-1.0, 0.0], [-2.0, 3.0], [-2.0, -3.0]]), Kind::StableNode);
        assert_eq!(kind(&[[-1.0, 2.0], [-1.0, -2.0], [-2.0, 0.0]]), Kind::StableSpiral);
        assert_eq!(kind(&[[0.5, 2.0], [0.5, -2.0], [-2.0, 0.0]]), Kind::Saddle);
        assert_eq!(kind(&[[2.0, 0.0], [0.5, 0.0]]), Kind::UnstableNode);
        assert_eq!(kind(&[[2.0, 1.0], [2.0, -1.0], [0.5, 0.0]]), Kind::UnstableSpiral);
        assert_eq!(relaxation(&[[-0.25, 1.0], [-0.25, -1.0]]), Some(4.0));
        assert_eq!(relaxation(&[[0.25, 0.0]]), None);
        let word = serde_json::to_string(&Kind::StableSpiral).unwrap();
        assert_eq!(word, format!("\"{}\"", Kind::StableSpiral.as_str()));
    }
}
