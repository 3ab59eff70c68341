//! Families of figures, written one after the other. A family without a figure is named all the same: whoever asks
//! which there are sees it.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, LabelSetEncoder,
};
use prometheus_client::metrics::MetricType;

use crate::jobs::meter::{BOUNDS, Spread};

/// Names and values of the labels of one figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(Vec<(&'static str, String)>);

impl Labels {
    /// No labels.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn of(labels: &[(&'static str, &str)]) -> Self {
        Self(labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    pub(super) fn job(name: &str) -> Self {
        Self::of(&[("job_name", name)])
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, value.to_owned()));
        self
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

/// Where families are written.
#[derive(Debug)]
pub(super) struct Sheet<'a>(pub(super) DescriptorEncoder<'a>);

impl Sheet<'_> {
    /// What may go up and down.
    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        figures: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in figures {
            if labels.0.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// What only goes up. `_total` is added to the name.
    pub(super) fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        figures: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in figures {
            family.encode_family(&labels)?.encode_counter::<Labels, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// Something that is so. `_info` is added to the name.
    pub(super) fn info(&mut self, name: &str, help: &str, facts: impl IntoIterator<Item = Labels>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        for labels in facts {
            family.encode_info(&labels)?;
        }
        Ok(())
    }

    /// How long things lasted, in seconds.
    pub(super) fn durations(
        &mut self,
        name: &str,
        help: &str,
        figures: impl IntoIterator<Item = (Labels, Spread)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, spread) in figures {
            let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(spread.counts).collect();
            let count = spread.counts.iter().sum();
            let seconds = spread.total.as_secs_f64();
            family.encode_family(&labels)?.encode_histogram::<Labels>(seconds, count, &buckets, None)?;
        }
        Ok(())
    }

    /// A moment, in seconds since 1970.
    pub(super) fn moment(
        &mut self,
        name: &str,
        help: &str,
        moments: impl IntoIterator<Item = (Labels, Timestamp)>,
    ) -> fmt::Result {
        self.gauge(name, help, moments.into_iter().map(|(labels, moment)| (labels, seconds(moment))))
    }

    /// 1 or 0.
    pub(super) fn flag(
        &mut self,
        name: &str,
        help: &str,
        flags: impl IntoIterator<Item = (Labels, bool)>,
    ) -> fmt::Result {
        self.gauge(name, help, flags.into_iter().map(|(labels, flag)| (labels, u64::from(flag))))
    }
}

/// A figure without labels.
pub(super) fn alone<V>(value: V) -> [(Labels, V); 1] {
    [(Labels::none(), value)]
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
fn seconds(moment: Timestamp) -> f64 {
    moment.as_millisecond() as f64 / 1_000.0
}
