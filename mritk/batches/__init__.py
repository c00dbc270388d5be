"""The way of samples to a network: resized, held in memory or on the device, cut into batches."""
