//! Workloads, hand-written baselines and measurements.
