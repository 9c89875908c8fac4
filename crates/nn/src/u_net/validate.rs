//! Which U-Nets exist, and on which fields.

use super::UNet;
use crate::convolution::Boundary;
use crate::error::NnError;
use crate::parameter::LARGEST;

/// Most residual blocks of a depth: the program grows with each.
const MOST_BLOCKS: usize = 1024;

impl UNet {
    /// Errors: a field of the configuration for which the network does not exist.
    pub fn validate(&self) -> Result<(), NnError> {
        let depths = self.hidden_channels.len();
        let rules: [(&'static str, &'static str, bool, String); 8] = [
            ("channels", "at least 1", self.channels > 0, format!("{}", self.channels)),
            ("embedding", "at least 1", self.embedding > 0, format!("{}", self.embedding)),
            (
                "hidden_channels",
                "a list of at least one depth, with at least 2 channels each",
                depths > 0 && self.hidden_channels.iter().all(|c| *c > 1),
                format!("{:?}", self.hidden_channels),
            ),
            (
                "hidden_blocks",
                "as long as `hidden_channels`, with at most 1024 blocks at a depth",
                self.hidden_blocks.len() == depths && self.hidden_blocks.iter().all(|n| *n <= MOST_BLOCKS),
                format!("{:?}", self.hidden_blocks),
            ),
            ("kernel", "odd", self.kernel % 2 == 1, format!("{}", self.kernel)),
            ("stride", "at least 1", self.stride > 0, format!("{}", self.stride)),
            (
                "boundary",
                "a list of one boundary for each spatial axis, 1 or 2",
                matches!(self.boundary.len(), 1 | 2),
                format!("{:?}", self.boundary),
            ),
            ("context", "a forcing of wavenumber at least 1", self.told(), format!("{:?}", self.context)),
        ];
        let broken = rules.into_iter().find(|(_, _, holds, _)| !holds);
        if let Some((field, expected, _, found)) = broken {
            return Err(NnError::Architecture { network: "U-Net", field, expected, found });
        }
        if self.weights() > LARGEST {
            let remedy = "channels, embedding, hidden_channels, hidden_blocks or kernel";
            return Err(NnError::Weights { network: "U-Net", most: LARGEST, remedy });
        }
        Ok(())
    }

    fn told(&self) -> bool {
        !matches!(self.context, Some(super::Context::Forcing { wavenumber: 0 }))
    }

    /// Checks that every spatial axis divides by the stride at each depth, and that circular padding fits.
    ///
    /// Errors: the configuration's, or the size does not suit.
    pub fn check_size(&self, size: &[usize]) -> Result<(), NnError> {
        self.validate()?;
        let refuse = |why| Err(NnError::Size { size: size.to_vec(), why });
        if size.len() != self.boundary.len() {
            return refuse(format!("the network has {} spatial axes", self.boundary.len()));
        }
        let steps = self.hidden_channels.len() - 1;
        let Some(divisor) = u32::try_from(steps).ok().and_then(|n| self.stride.checked_pow(n)) else {
            return refuse(format!("stride {} to the power of {steps} is beyond any field", self.stride));
        };
        if size.iter().any(|n| *n == 0 || n % divisor != 0) {
            return refuse(format!(
                "each axis must divide by {divisor}, the stride {} once for each of {steps} steps down; \
                 choose other sizes or fewer depths",
                self.stride
            ));
        }
        for (n, boundary) in size.iter().zip(&self.boundary) {
            let (deepest, half) = (n / divisor, self.kernel / 2);
            if *boundary == Boundary::Circular && half > deepest {
                return refuse(format!(
                    "at the deepest level an axis has {deepest} points, and circular padding takes {half}; \
                     choose larger sizes, fewer depths or a smaller kernel"
                ));
            }
        }
        Ok(())
    }
}
